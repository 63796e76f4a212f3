package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// The ways to get items out of memcached, and a dump's into it, which are contenders.
const (
	dumpFile     = "dump, file"
	dumpPipe     = "dump, pipe"
	dumpProtocol = "protocol, list and mg"
	dumpTool     = "memcached-tool dump"
	restoreFile  = "restore"
)

// tool is of the distribution's memcached package.
const tool = "/usr/share/memcached/scripts/memcached-tool"

// measureDump compares them. Each dump is of a memcached of its own, which has been loaded before.
func measureDump(b *bench, s *section) error {
	turns := []turn{
		{once, dumpProtocol}, {once, dumpFile}, {once, dumpPipe}, {once, doorFile}, {once, restoreFile},
		{larger, dumpProtocol}, {larger, dumpFile}, {larger, dumpPipe}, {larger, doorFile}, {larger, restoreFile},
	}
	if _, err := os.Stat(tool); err == nil {
		turns = append(turns, turn{twentieth, dumpTool}, turn{twentieth, dumpFile})
	}
	if err := b.alternate(s, turns, (*input).presized); err != nil {
		return err
	}
	return b.disturbByDumps(s)
}

// dumping is a dump of the input's items by a command, which prints its seconds where it is timed by itself.
func dumping(command func(s *server, in *input, to string) *exec.Cmd, check func(in *input, out []byte, took float64) (float64, error)) contender {
	return func(b *bench, in *input, args []string) (float64, error) {
		s, err := b.loaded(in, args)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		to := b.own("dumped")
		defer os.Remove(to)
		cmd := command(s, in, to)
		cmd.Stderr = os.Stderr
		began := time.Now()
		out, err := cmd.Output()
		took := time.Since(began).Seconds()
		if err != nil {
			return 0, fmt.Errorf("%v: %w", cmd.Args, err)
		}
		// What is there at least, or the time means nothing.
		if info, err := os.Stat(to); to != "" && err == nil && info.Size() < in.Bytes {
			return 0, fmt.Errorf("%v: %d bytes of %d", cmd.Args, info.Size(), in.Bytes)
		}
		return check(in, out, took)
	}
}

// loaded starts a memcached that has the input's rows.
func (b *bench) loaded(in *input, args []string) (*server, error) {
	s, err := loadLibrary(b, args...)
	if err != nil {
		return nil, err
	}
	if _, err := loadFile(s, in); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// asTimed takes the time around the process, whose output is of no interest.
func asTimed(_ *input, _ []byte, took float64) (float64, error) { return took, nil }

// asCounted does so of the client, which says that all items are in the dump.
func asCounted(in *input, out []byte, took float64) (float64, error) {
	var outcome struct {
		Written int
		Engine  string
	}
	if err := json.Unmarshal(out, &outcome); err != nil {
		return 0, fmt.Errorf("client dump: %w", err)
	}
	if outcome.Written != in.Rows || outcome.Engine != "native" {
		return 0, fmt.Errorf("%d of %d items are written, by engine %q", outcome.Written, in.Rows, outcome.Engine)
	}
	return took, nil
}

// asPrinted takes what the program says.
func asPrinted(_ *input, out []byte, _ float64) (float64, error) { return seconds(out, nil) }

func init() {
	contenders[dumpFile] = dumping(func(s *server, _ *input, to string) *exec.Cmd {
		return s.client("--json", "dump", to)
	}, asCounted)
	contenders[dumpPipe] = dumping(func(s *server, _ *input, _ string) *exec.Cmd {
		return exec.CommandContext(s.bench.ctx, "sh", "-c", `{ "$0" --json --door "$1" dump 2>&3 | cat >/dev/null; } 3>&1`, s.bench.in("client"), s.door)
	}, asCounted)
	contenders[dumpProtocol] = dumping(func(s *server, in *input, to string) *exec.Cmd {
		return exec.CommandContext(s.bench.ctx, s.bench.own("dump"), s.socket, to, strconv.Itoa(in.Rows))
	}, asPrinted)
	contenders[dumpTool] = dumping(func(s *server, _ *input, to string) *exec.Cmd {
		return exec.CommandContext(s.bench.ctx, "sh", "-c", `"$0" "$1" dump >"$2" 2>/dev/null`, tool, s.socket, to)
	}, asTimed)
	contenders[restoreFile] = restore
}

// restore loads a dump of the input's items.
func restore(b *bench, in *input, args []string) (float64, error) {
	path := in.path + " as dump"
	if _, err := os.Stat(path); err != nil {
		s, err := b.loaded(in, args)
		if err != nil {
			return 0, err
		}
		err = s.client("dump", path).Run()
		s.stop()
		if err != nil {
			return 0, fmt.Errorf("client dump: %w", err)
		}
	}
	s, err := loadLibrary(b, args...)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	began := time.Now()
	out, err := s.client("--json", "restore", path).Output()
	took := time.Since(began).Seconds()
	if err != nil {
		return 0, fmt.Errorf("client restore: %w", err)
	}
	return took, in.check(out)
}

// What is measured of the traffic beside dumps, and beside deletes.
const (
	besideDump   = "beside a dump"
	besideDelete = "beside a delete"
)

// disturbByDumps measures what other clients see of dumps and of deletes, one after the other for as long as is looked. Each
// delete walks through all items, and deletes a tenth of those that the load has stored.
func (b *bench) disturbByDumps(s *section) error {
	in, err := b.input(s, once)
	if err != nil {
		return err
	}
	rate, err := b.halfRate()
	if err != nil {
		return err
	}
	for range *rounds {
		for _, with := range []struct{ name, script string }{
			{besideDump, strings.Repeat(`"$0" --door "$1" dump "$2" >/dev/null && `, 20) + "true"},
			{besideDelete, `for n in 0 1 2 3 4 5 6 7 8 9; do "$0" --door "$1" delete --yes --match "user_*$n" >/dev/null || exit; done`},
			{busy, "while :; do :; done"},
		} {
			m, err := b.loaded(in, in.presized())
			if err != nil {
				return err
			}
			_, err = m.disturb(s, with.name, rate, exec.CommandContext(b.ctx, "sh", "-c", with.script, b.in("client"), m.door, b.own("dumped")))
			m.stop()
			if err != nil {
				return fmt.Errorf("traffic %s: %w", with.name, err)
			}
		}
	}
	return nil
}

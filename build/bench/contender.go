package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The contenders: the ways to get an input into memcached.
const (
	protocolMS    = "protocol, ms q"
	protocolSet   = "protocol, set noreply"
	doorFile      = "door, file"
	doorPipe      = "door, pipe"
	doorUnlocated = "door, file, without prefetching"
	doorDefault   = "door, file, default table"
	loopC         = "loop in C"
)

// A contender loads an input into a memcached of its own, with arguments, and says how long that took.
type contender func(b *bench, in *input, args []string) (seconds float64, err error)

var contenders = map[string]contender{
	protocolMS:    protocol("ms"),
	protocolSet:   protocol("set"),
	doorFile:      byDoor(loadLibrary, loadFile),
	doorPipe:      byDoor(loadLibrary, loadPipe),
	doorUnlocated: byDoor((*bench).startUnlocated, loadFile),
	doorDefault: func(b *bench, in *input, _ []string) (float64, error) {
		return byDoor(loadLibrary, loadFile)(b, in, nil)
	},
	loopC: loop,

	asRaw:       byFormat(asRaw),
	asMySQL:     byFormat(asMySQL),
	asPSQL:      byFormat(asPSQL),
	asCSV:       byFormat(asCSV),
	asCSVObject: byFormat(asCSVObject),
	asTSV:       byFormat(asTSV),
	asJSONL:     byFormat(asJSONL),
	asMemcached: byFormat(asMemcached),
}

func protocol(command string) contender {
	return func(b *bench, in *input, args []string) (float64, error) {
		s, err := b.startStock(args...)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		return seconds(s.protocol(command, in).Output())
	}
}

// protocol is a load by the protocol, which prints its seconds.
func (s *server) protocol(command string, in *input) *exec.Cmd {
	return exec.CommandContext(s.bench.ctx, s.bench.own("protocol"), command, s.socket, in.path)
}

// seconds reads a program's only output.
func seconds(out []byte, err error) (float64, error) {
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return 0, fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// loop waits for loop.so, which loads as soon as memcached is up and keeps a worker from answering meanwhile.
func loop(b *bench, in *input, args []string) (float64, error) {
	result, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(result)
	path := filepath.Join(result, "seconds")
	s, err := b.launch(b.own("loop.so"), args,
		"LOOP_ROWS="+in.path, "LOOP_FUNCTIONS="+b.functions, "LOOP_RESULT="+path)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	var took float64
	err = s.wait("the loop's result", 5*time.Millisecond, 10*time.Minute, func() error {
		took, err = seconds(os.ReadFile(path))
		return err
	})
	return took, err
}

func loadLibrary(b *bench, args ...string) (*server, error) {
	return b.startLibrary("backdoor.so", args...)
}

// byDoor is a load by the door of a server that start starts.
func byDoor(start starter, load func(*server, *input) (float64, error)) contender {
	return func(b *bench, in *input, args []string) (float64, error) {
		s, err := start(b, args...)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		return load(s, in)
	}
}

func loadFile(s *server, in *input) (float64, error) {
	f, err := os.Open(in.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return s.load(in, f)
}

func loadPipe(s *server, in *input) (float64, error) {
	cat := exec.CommandContext(s.bench.ctx, "cat", in.path)
	out, err := cat.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cat.Start(); err != nil {
		return 0, err
	}
	took, err := s.load(in, out.(*os.File))
	if err != nil {
		cat.Process.Kill()
	}
	cat.Wait()
	return took, err
}

// load is timed around the client: its start and the door are part of what the user waits for.
func (s *server) load(in *input, stdin *os.File, options ...string) (float64, error) {
	client := s.client(append([]string{"--json", "load"}, options...)...)
	client.Stdin, client.Stderr = stdin, os.Stderr
	began := time.Now()
	out, err := client.Output()
	took := time.Since(began).Seconds()
	if err != nil {
		return 0, fmt.Errorf("client load: %w", err)
	}
	return took, in.check(out)
}

// check reads the client's outcome: all rows are in memcached, or the time means nothing.
func (in *input) check(out []byte) error {
	var outcome struct {
		Stored int
		Engine string
	}
	if err := json.Unmarshal(out, &outcome); err != nil {
		return fmt.Errorf("client load: %w", err)
	}
	if outcome.Stored != in.Rows || outcome.Engine != "native" {
		return fmt.Errorf("%d of %d rows are stored, by engine %q", outcome.Stored, in.Rows, outcome.Engine)
	}
	return nil
}

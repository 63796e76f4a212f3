package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// run runs the client with arguments in a shell, where $client is one on this server's door.
func (s *server) run(script string, wrap ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	argv := append(wrap, "sh", "-c", script)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "client="+built(s.t, "client")+" --door "+s.door, "dir="+s.dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Where memcached lists no keys, and there is no other way to meet its items, a dump says so, and what to do; and the host
// stays as it is set.
func TestDumpUnlisted(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const disabled, noList = "memcached's LRU crawler, which lists the keys, is disabled", "memcached lists no keys, since it runs with -X"
		for name, test := range map[string]struct {
			args []string
			says string
			hint string
		}{
			"disabled":   {nil, disabled, "send memcached the command: lru_crawler enable"},
			"no dumping": {[]string{"-X"}, noList, "start memcached without -X"},
		} {
			s := newServer(t, h.program, test.args...)
			saved := filepath.Join(s.dir, "saved")
			s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + saved}
			s.start()
			s.waitDoor()
			s.said("set k 0 0 1\r\nv")
			if test.says == disabled {
				s.said("lru_crawler disable")
			}
			fails := func(when string, fails bool) {
				t.Helper()
				stdout, stderr, status := s.client(nil, "dump", filepath.Join(s.dir, "dump"))
				if !fails {
					if status != 0 || !strings.HasPrefix(stdout, "1 item met: 1 written") {
						t.Errorf("%s, %s: status %d: %s%s", name, when, status, stdout, stderr)
					}
				} else if status != 11 || !strings.Contains(stderr, "; nor by protocol: "+test.says+"\nhint: "+test.hint+"\n") {
					t.Errorf("%s, %s: status %d: %s%s", name, when, status, stdout, stderr)
				}
			}
			fails("at first", !h.native())
			if test.says == disabled {
				disabled := func() error { // its thread ends in its own time
					if !strings.Contains(s.said("stats settings"), "STAT lru_crawler no\n") {
						return errors.New("the crawler is enabled")
					}
					return nil
				}
				wait(t, "the crawler's end", disabled)
				s.said("lru_crawler enable")
				fails("as the hint says", false)
				s.said("lru_crawler disable")
				wait(t, "the crawler's end", disabled)
			}
			if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
				t.Errorf("%s: memcached ended with %v", name, status)
			}
			if want := "nor by protocol: " + test.says + "; hint: " + test.hint; strings.Contains(s.output.String(), want) == h.native() {
				t.Errorf("%s: memcached's stderr is %q", name, s.output.String())
			}
		}
	})
}

// Wherever a dump cannot be written the client says why, the file that was there stays, and nothing else is left.
func TestDumpNoRoom(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := startFull(t, h, 20_000)
		ours := []string{"unshare", "--mount"}
		if out, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "none", s.dir).CombinedOutput(); err != nil {
			t.Skipf("nothing can be mounted: %s", out)
		}
		small := `mkdir -p $dir/m && mount -t tmpfs -o size=1m none $dir/m && echo before >$dir/m/dump && `
		left := `; status=$?; ls -A $dir/m; cat $dir/m/dump; exit $status`
		for name, test := range map[string]struct {
			script, stdout, stderr string
			status                 int
			wrap                   []string
		}{
			"disk full":       {small + `$client dump $dir/m/dump` + left, "dump\nbefore\n", "error: $dir/m/dump: write: no space left on device\n", 1, ours},
			"standard output": {small + `$client dump >>$dir/m/dump`, "", "error: standard output: write: no space left on device\n", 1, ours},
			"no rights":       {`mkdir $dir/n; chmod 555 $dir/n; setpriv --reuid=65534 --clear-groups --bounding-set=-all $client dump $dir/n/dump`, "", "$dir/n/dump: permission denied\n", 1, nil},
			"no directory":    {`$client dump $dir/none/dump`, "", "$dir/none/dump: no such file or directory\n", 1, nil},
			"a directory":     {`$client dump $dir`, "", "$dir: is a directory\n", 1, nil},
			"full device":     {`$client dump /dev/full`, "", "/dev/full: no space left on device\n", 1, nil},
			"full output":     {`$client dump >/dev/full`, "", " items met: 0 written, 0 filtered, 0 lost, ", 1, nil},
			"its error":       {`$client dump >/dev/full`, "", "error: standard output: no space left on device\n", 1, nil},
			"keys":            {`$client keys >/dev/full`, "", "error: standard output: no space left on device\n", 1, nil},
			"top":             {`$client top --json >/dev/full`, "", "error: standard output: no space left on device\n", 1, nil},
			"diff":            {`$client dump $dir/d && $client diff $dir/d >/dev/full`, "", "error: standard output: no space left on device\n", 1, nil},
			"only readable":   {`$client dump 1<$dir/rows`, "", "the descriptor is not open for writing\nhint: ", 1, nil},
			"null device":     {`$client dump /dev/null`, "20000 items met: 20000 written", "", 0, nil},
			"null output":     {`$client dump >/dev/null`, "", "20000 items met: 20000 written", 0, nil},
			"named pipe":      {`mkfifo $dir/fifo; cat $dir/fifo >$dir/copy & $client dump $dir/fifo && wait && tail -c4 $dir/copy`, "mn\r\n", "", 0, nil},
			"broken pipe":     {`{ $client dump; echo $? >&2; } | head -c 10000 >/dev/null`, "", "141\n", 0, nil},
			"/dev/stdout":     {`$client dump /dev/stdout | tail -n 2`, "mn\r\n20000 items met", "", 0, nil},
		} {
			if name == "no rights" {
				os.Chmod(s.door, 0o666)
			}
			os.WriteFile(filepath.Join(s.dir, "rows"), nil, 0o600)
			stdout, stderr, status := s.run(test.script, test.wrap...)
			test.stderr = strings.ReplaceAll(test.stderr, "$dir", s.dir)
			if status != test.status || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("%s: status %d, %q, %q", name, status, stdout, stderr)
			}
			if files, _ := filepath.Glob(filepath.Join(s.dir, "*", ".dump*")); files != nil {
				t.Errorf("%s: %q are left", name, files)
			}
		}
		s.dump()
		s.lives()
	})
}

// What counts as written of a dump for which there is no room is there: of a file that goes again, nothing.
func TestDumpNoRoomCounts(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := startFull(t, h, 20_000)
		small := `mkdir -p $dir/m && mount -t tmpfs -o size=100k none $dir/m && `
		if _, said, status := s.run(small+"true", "unshare", "--mount"); status != 0 {
			t.Skipf("nothing can be mounted: %s", said)
		}
		for _, test := range []struct{ script, called string }{
			{`$client --json dump --keys-only $dir/m/keys >&2; cat $dir/m/*`, s.dir + "/m/keys"},
			{`$client --json dump --keys-only >$dir/m/keys; cat $dir/m/*`, "standard output"},
		} {
			left, said, _ := s.run(small+test.script, "unshare", "--mount")
			var d struct {
				door.Dump
				Error string
			}
			if err := json.NewDecoder(strings.NewReader(said)).Decode(&d); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if lines := strings.Count(left, "\n"); int(d.Written) != lines || d.Items == 0 || d.Items != d.Written+d.Unwritten || int(d.Bytes) != len(left) || d.Error != test.called+": write: no space left on device" {
				t.Errorf("%s: %d lines are there, %+v", test.script, lines, d)
			}
		}
	})
}

// memcached's own limit of a file's size ends a dump, and not memcached.
func TestDumpFileLimit(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := newServer(t, h.program, "-m", "512")
		s.wrap = []string{"prlimit", "--fsize=3000000:3000000"}
		s.start()
		s.waitDoor()
		s.fill(20_000, "--size", "300")
		path := written(t, "dump", []byte("before"))
		stdout, stderr, status := s.client(nil, "dump", path)
		if status != 1 || !strings.Contains(stderr, "error: "+path+": write: file too large\n") || !strings.Contains(stdout, " items met: 0 written, 0 filtered, 0 lost, ") || read(t, path) != "before" {
			t.Errorf("status %d, %q, %q", status, stdout, stderr)
		}
		if out, _, status := s.run("$client dump | tail -c 4"); status != 0 || out != "mn\r\n" {
			t.Errorf("status %d, %q", status, out)
		}
		s.lives()
	})
}

// memcached ends during a dump: the client says it, the old file stays, and memcached ends as without the library.
func TestStoppedInMidDump(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGKILL} {
			t.Run(signal.String(), func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program, "-m", "512")
				s.fill(400, "--size", "900k")
				dir := t.TempDir()
				path := filepath.Join(dir, "dump")
				if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
					t.Fatal(err)
				}
				// While its reader waits the dump does not end before memcached.
				out, answer := s.dumpingLost(door.Request{})
				stalls(t, out)
				client := exec.Command(built(t, "client"), "--door", s.door, "dump", path)
				var said log
				client.Stdout, client.Stderr = &said, &said
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				wait(t, "the dump's first bytes", func() error { return begun(client.Process.Pid, dir) })
				began := time.Now()
				status := s.end(signal)
				if signal != syscall.SIGKILL && status.ExitStatus() != 0 {
					t.Errorf("memcached ended with %v\n%s", status, s.output.String())
				}
				// Its loop looks once a second whether to stop.
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				client.Wait()
				if reply, err := answer(); err == nil {
					t.Errorf("the dump that nobody read has ended with %+v", reply)
				}
				left, err := os.ReadDir(dir)
				if signal != syscall.SIGKILL && client.ProcessState.ExitCode() == 0 { // it was faster
					if !strings.HasSuffix(read(t, path), "\r\nmn\r\n") {
						t.Errorf("a dump that has no end: %s", said.String())
					}
					return
				}
				if client.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "error: ") || err != nil || len(left) != 1 || read(t, path) != "before" {
					t.Errorf("%v, %q, %v", client.ProcessState, said.String(), left)
				}
			})
		}
	})
}

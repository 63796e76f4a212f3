package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// `client wait` returns when the fixtures are there, though it was started before memcached; and says why it does not.
func TestWaitForFixtures(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := withFixtures(t, h.program, []string{fixture(t, "rows.raw", append(rowsOf("k", 100_000), "no tab\n"...))})
		type outcome struct {
			stdout, stderr string
			status         int
		}
		waited := make(chan outcome, 1)
		go func() {
			stdout, stderr, status := s.client(nil, "wait")
			waited <- outcome{stdout, stderr, status}
		}()
		// The client is there before memcached: it has looked for the door.
		s.start()
		got := <-waited
		want := "warning: not every row of the fixtures is in the cache: 100001 rows read: 100000 stored, 1 rejected, 0 skipped\nhint: memcached's standard error says which are not\n"
		if got.status != 0 || got.stdout != "" || got.stderr != want {
			t.Errorf("%+v", got)
		}
		key, value := rowOf("k", 99_999)
		if s.get(key) != value {
			t.Errorf("%s differs", key)
		}
		stdout, stderr, status := s.client(nil, "status")
		if status != 0 || !strings.Contains(stdout, "fixtures       1 file, 100001 rows read: 100000 stored, 1 rejected, 0 skipped (") {
			t.Errorf("%d, %s%s", status, stdout, stderr)
		}

		if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		_, stderr, status = s.client(nil, "wait", "--timeout", "100ms")
		if status != 10 || stderr != "error: after 100ms: there is a door, but memcached does not answer\nhint: see whether memcached runs, and is not stopped\n" {
			t.Errorf("%d, %s", status, stderr)
		}
		if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if _, stderr, status = s.client(nil, "wait"); status != 0 {
			t.Errorf("%d, %s", status, stderr)
		}
		s.end(syscall.SIGTERM)
		_, stderr, status = s.client(nil, "wait", "--timeout", "100ms")
		if status != 10 || !strings.HasPrefix(stderr, "error: after 100ms: ") {
			t.Errorf("%d, %s", status, stderr)
		}
	})
}

// With a stopped memcached every command says so, and is done when memcached continues.
func TestClientOfStoppedMemcached(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.load(door.Request{}, rowsOf("k", 10))
	dumped := filepath.Join(t.TempDir(), "dump")
	if _, stderr, status := s.client(nil, "dump", dumped); status != 0 {
		t.Fatal(stderr)
	}
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer s.cmd.Process.Signal(syscall.SIGCONT)
	says := fmt.Sprintf("warning: waiting for memcached (process %d) to take the call: it is stopped (SIGSTOP)\n", s.pid())
	var waiting sync.WaitGroup
	var said [8]log
	for i, args := range [len(said)][]string{
		{"status"}, {"keys", "--delimiter", "_"}, {"top"}, {"wait"}, {"dump", filepath.Join(t.TempDir(), "dump")}, {"restore", dumped}, {"load", "/dev/null"}, {"diff", dumped},
	} {
		c := exec.Command(built(t, "client"), append([]string{"--door", s.door}, args...)...)
		c.Stderr = &said[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			if err := c.Wait(); err != nil || said[i].String() != says {
				t.Errorf("%q: %v, %q", args, err, said[i].String())
			}
		})
	}
	for i := range said {
		wait(t, "what is said of a memcached that is stopped", func() error {
			if said[i].String() == "" {
				return errors.New("nothing")
			}
			return nil
		})
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
}

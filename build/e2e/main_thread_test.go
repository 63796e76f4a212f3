package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Once a thread is in its loop the library asks the kernel for nothing there: memcached's filters (seccomp) would end it
// for that, and each event of a client's would cost it.
func TestLoopsAskNothing(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const requests = 1000
		s := start(t, h.program, "-t", "1")
		s.misses(requests) // every thread has been in its loop
		trace := filepath.Join(s.dir, "trace")
		strace := exec.Command("strace", "-f", "-qq", "-e", "trace=gettid,sendmsg", "-o", trace, "-p", fmt.Sprint(s.pid()))
		if err := strace.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { strace.Process.Kill() })
		traced := func() string {
			text, _ := os.ReadFile(trace)
			return string(text)
		}
		wait(t, "strace", func() error { // it sees the answers to requests
			s.misses(requests)
			if n := strings.Count(traced(), "sendmsg("); n < requests {
				return fmt.Errorf("%d answers seen", n)
			}
			return nil
		})
		if err := strace.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		strace.Wait()
		loops := map[string]bool{fmt.Sprint(s.pid()): true} // memcached's threads: the main one, and those that answer
		for _, asked := range []bool{false, true} {
			for line := range strings.Lines(traced()) {
				thread, call, _ := strings.Cut(line, " ")
				call = strings.TrimSpace(call)
				if !asked && strings.HasPrefix(call, "sendmsg(") {
					loops[thread] = true
				}
				if asked && loops[thread] && strings.HasPrefix(call, "gettid(") {
					t.Errorf("thread %s asks: %s", thread, call)
				}
			}
		}
	})
}

// misses makes n requests, each for itself.
func (s *server) misses(n int) {
	s.t.Helper()
	for range n {
		s.missing("nothing")
	}
}

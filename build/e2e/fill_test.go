package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// fill fills a memcached with n items.
func (s *server) fill(n int, args ...string) {
	s.t.Helper()
	args = append([]string{"fill", "--count", fmt.Sprint(n)}, args...)
	stdout, stderr, status := s.client(nil, args...)
	if want := fmt.Sprintf("%d items made: %d stored, 0 rejected, 0 skipped", n, n); status != 0 || stderr != "" || !strings.HasPrefix(stdout, want) {
		s.t.Fatalf("%q: status %d, %q, %q", args, status, stdout, stderr)
	}
}

// filled are the items prefix1 to prefixN of a memcached, in which there is nothing else.
func (s *server) filled(prefix string, n int) map[string]string {
	s.t.Helper()
	const many = 1000
	all := make(map[string]string, n)
	for from := 1; from <= n; from += many {
		var keys []string
		for i := from; i < min(from+many, n+1); i++ {
			keys = append(keys, fmt.Sprint(prefix, i))
		}
		items, err := s.cache().GetMulti(keys)
		if err != nil {
			s.t.Fatal(err)
		}
		for key, item := range items {
			all[key] = string(item.Value)
		}
	}
	if items := s.stat("", "curr_items"); len(all) != n || items != n {
		s.t.Fatalf("%d of %d items are there, among %d", len(all), n, items)
	}
	return all
}

// What fills a cache depends on the seed, and on nothing else.
func TestFill(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 100_000
		first, second := start(t, h.program, "-m", "256"), start(t, h.program, "-m", "256", "-t", "1")
		first.fill(n, "--size", "10-300")
		second.fill(n, "--size", "10-300", "--seed", "1", "--gentle")
		values := first.filled("fill:", n)
		if !maps.Equal(values, second.filled("fill:", n)) {
			t.Error("the same seed makes another cache")
		}
		bytes := 0
		for key, value := range values {
			if len(value) < 10 || len(value) > 300 {
				t.Fatalf("%s has %d bytes", key, len(value))
			}
			bytes += len(value)
		}
		if mean := float64(bytes) / n; mean < 154 || mean > 156 {
			t.Errorf("a value has %.1f bytes on average", mean)
		}
		second.fill(n, "--size", "10-300", "--seed", "2")
		same := 0
		for key, value := range second.filled("fill:", n) {
			if value == values[key] {
				same++
			}
		}
		if same > 0 {
			t.Errorf("another seed makes %d values that are the same", same)
		}
		first.lives()
	})
}

// The options of fill do what they say.
func TestFillOptions(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		stdout, _, status := s.client(nil, "fill", "--bytes", "2M", "--size", "1k", "--dry-run")
		if status != 0 || !strings.Contains(stdout, "\n2000 items made: 2000 would be stored, 0 rejected, 0 skipped (2.0 MB of values in ") || !strings.Contains(stdout, "it fits") {
			t.Errorf("status %d, %q", status, stdout)
		}
		if n := s.stat("", "curr_items"); n != 0 {
			t.Errorf("%d items after a dry run", n)
		}
		began, stored := time.Now(), s.clock()
		stdout, stderr, status := s.client(nil, "fill", "--bytes", "2M", "--size", "1k", "--key", "a{n}z{n}", "--ttl", "1h", "--flags", "9", "--rate", "4000", "--progress", "json")
		if took := time.Since(began).Seconds(); status != 0 || took < 2000.0/4000-0.06 {
			t.Errorf("status %d after %.3f s, %q", status, took, stdout)
		}
		if !strings.Contains(stderr, `{"event":"progress","file":"fill","rows":`) || !strings.Contains(stderr, `{"event":"result","file":"fill","rows":2000,"stored":2000,`) {
			t.Errorf("progress is %q", stderr)
		}
		item, err := s.cache().Get("a2000z2000")
		if err != nil || item.Flags != 9 || len(item.Value) != 1000 {
			t.Fatalf("%+v, %v", item, err)
		}
		s.lasts("a2000z2000", 60*60, stored)
		stdout, stderr, status = s.client(nil, "fill", "--count", "3000", "--key", "a{n}z{n}", "--mode", "add", "--seed", "5")
		if status != 0 || !strings.HasPrefix(stdout, "3000 items made: 1000 stored, 0 rejected, 2000 skipped (100.0 kB of values in ") || stderr != "2000 items: key exists\n" {
			t.Errorf("status %d, %q, %q", status, stdout, stderr)
		}
		stdout, stderr, status = s.client(nil, "fill", "--count", "30", "--size", "2G")
		if status != 3 || !strings.HasPrefix(stdout, "30 items made: 0 stored, 30 rejected, 0 skipped (0.") || !strings.Contains(stderr, "... and 20 more\n") {
			t.Errorf("status %d, %q, %q", status, stdout, stderr)
		}
		s.lives()
	})
}

// begunFill is a client that fills for days, once some of its items are there.
func begunFill(t *testing.T, s *server, args ...string) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(built(t, "client"), append([]string{"--door", s.door, "fill", "--count", "1000000000000"}, args...)...)
	out = &bytes.Buffer{}
	cmd.Stdout = out
	before := s.stat("", "total_items")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	wait(t, "the first items", func() error {
		if n := s.stat("", "total_items") - before; n < 10 {
			return fmt.Errorf("%d items", n)
		}
		return nil
	})
	return cmd, out
}

// A fill whose client or memcached ends stops at once, and what it has done is accounted for.
func TestFillCanceled(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for name, args := range map[string][]string{"plain": nil, "gentle": {"--gentle"}, "rate": {"--rate", "10000"}, "large": {"--size", "300k"}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program, "-m", "64")
				cmd, out := begunFill(t, s, args...)
				began := time.Now()
				cmd.Process.Signal(syscall.SIGINT)
				err := cmd.Wait()
				if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 130 {
					t.Errorf("it ended with %v", err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it ended after %v", took)
				}
				if !accounts(t, out.String()) || !strings.Contains(out.String(), ", interrupted") {
					t.Errorf("it said %q", out)
				}

				cmd, _ = begunFill(t, s, args...)
				cmd.Process.Kill()
				cmd.Wait()
				wait(t, "the end of the load", func() error {
					if log := s.output.String(); !accounts(t, log) {
						return fmt.Errorf("memcached wrote %q", log)
					}
					return nil
				})
				if status := s.waitDoor(); status.Active != 0 {
					t.Errorf("%+v", status)
				}
				s.load(door.Request{}, []byte("a\t1\n"))
				if got := s.get("a"); got != "1" {
					t.Errorf("a is %q", got)
				}
			})
		}
	})
}

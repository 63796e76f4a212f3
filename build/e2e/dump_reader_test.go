package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// startFull starts a memcached with n items of some 300 bytes.
func startFull(t *testing.T, h shape, n int, args ...string) *server {
	t.Helper()
	s := start(t, h.program, append([]string{"-m", "512"}, args...)...)
	s.fill(n, "--size", "100-500")
	return s
}

// stalls waits until a dump is held up by its reader: what is in the pipe stays the same.
func stalls(t *testing.T, out *os.File) {
	t.Helper()
	unread := func() int {
		n, err := unix.IoctlGetInt(int(out.Fd()), unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	last, times := -1, 0
	wait(t, "a dump that waits", func() error {
		now := unread()
		if times++; now == 0 || now != last {
			last, times = now, 0
		}
		if times < 25 {
			return fmt.Errorf("%d bytes are in the pipe", now)
		}
		return nil
	})
}

// A reader that stops delays only its own dump: loads, other dumps and clients continue, the hash table grows, and
// memcached moves its pages, for which no one may hold an item. When the reader ends, all that its dump had is freed.
func TestDumpStalledReader(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 100_000
		// memcached 1.6.38 moves a page by itself where our moves have evicted items, has no memory for what is in it, and never
		// comes to an end (slabs_mover.c: slab_rebalance_prep), also without the library.
		s := startFull(t, h, n, "-o", "slab_automove=0")
		s.dump() // which opens what stays open
		before := s.descriptors()
		out, outcome := s.dumping(door.Request{})
		io.CopyN(io.Discard, out, 100_000)
		stalls(t, out)

		if l := s.load(door.Request{}, rowsOf("beside", 1000)); l.Stored != 1000 {
			t.Errorf("%+v", l)
		}
		readBack(t, s, "beside", 1000, plain)
		if _, d := s.dump(); d.Items != n+1000 {
			t.Errorf("another dump: %+v", d)
		}
		s.outgrow()
		wait(t, "the end of the growth", func() error {
			if s.stat("", "hash_is_expanding") != 0 {
				return errors.New("it is growing")
			}
			return nil
		})
		s.movePages()

		out.Close()
		reply := outcome()
		if reply.Error == nil || reply.Error.Code != door.CodeWrite || !strings.Contains(reply.Error.Message, "broken pipe") || reply.Dump == nil || reply.Dump.Written == 0 {
			t.Errorf("%+v", reply.Error)
		}
		if now := s.descriptors(); now != before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v", status)
		}
	})
}

// movePages has memcached move nearly all pages of its slab class that has most of them, item by item.
func (s *server) movePages() {
	s.t.Helper()
	class, most := 0, 0
	stats := s.stats("slabs")
	for c := range 64 {
		if pages, _ := strconv.Atoi(stats[fmt.Sprintf("%d:total_pages", c)]); pages > most {
			class, most = c, pages
		}
	}
	for moved := range most - 2 {
		wait(s.t, "a page that is moved", func() error {
			if answer := s.ask(fmt.Sprintf("slabs reassign %d 0\r\nversion", class), regexp.MustCompile("^VERSION")); len(answer) != 1 || answer[0] != "OK" {
				return fmt.Errorf("%d of %d are; %q", moved, most, answer)
			}
			return nil
		})
	}
	wait(s.t, "the last page that is moved", func() error {
		if s.stat("", "slab_reassign_running") != 0 {
			return errors.New("it is being moved")
		}
		return nil
	})
}

// A dump whose client goes away ends, however that goes, and memcached has its descriptors and threads back.
func TestDumpClientGone(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := startFull(t, h, 100_000)
		s.dump()
		before := s.descriptors()
		var threads int
		for round := range 3 {
			for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
				dir := t.TempDir()
				fifo := filepath.Join(dir, "fifo")
				if err := syscall.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
				client := exec.Command(built(t, "client"), "--door", s.door, "dump", fifo)
				var said log
				client.Stdout, client.Stderr = &said, &said
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				out, err := os.Open(fifo)
				if err != nil {
					t.Fatal(err)
				}
				stalls(t, out)
				client.Process.Signal(signal)
				client.Wait()
				if signal != syscall.SIGKILL && (client.ProcessState.ExitCode() != 130 || !strings.Contains(said.String(), "interrupted")) {
					t.Errorf("%v: %v, %q", signal, client.ProcessState, said.String())
				}
				// The pipe ends: memcached has closed it.
				if _, err := io.Copy(io.Discard, out); err != nil {
					t.Error(err)
				}
				out.Close()
			}
			if now := s.descriptors(); now != before {
				t.Errorf("%d descriptors, %d before", now, before)
			}
			// The Go runtime keeps threads that it once had.
			if now := s.count("task"); round == 0 {
				threads = now
			} else if now > threads+4 {
				t.Errorf("%d threads, %d before", now, threads)
			}
		}
		if _, d := s.dump(); d.Items != 100_000 {
			t.Errorf("%+v", d)
		}
	})
}

// begun says why a process has not written to a file in a directory yet. The file may have no name.
func begun(pid int, dir string) error {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, _ := os.Readlink(link); !strings.HasPrefix(to, dir) {
			continue
		}
		var at int
		info, err := os.ReadFile(strings.Replace(link, "/fd/", "/fdinfo/", 1))
		if _, wrong := fmt.Sscanf(string(info), "pos: %d", &at); err == nil && wrong == nil && at > 0 {
			return nil
		}
	}
	return fmt.Errorf("nothing is written; %v", err)
}

// A dump that is interrupted leaves the old file, and no other.
func TestDumpInterrupted(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "512")
		s.fill(400, "--size", "900k")
		for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			dir := t.TempDir()
			path := filepath.Join(dir, "dump")
			if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			client := exec.Command(built(t, "client"), "--door", s.door, "dump", path)
			var said log
			client.Stdout, client.Stderr = &said, &said
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			wait(t, "the dump's first bytes", func() error {
				return begun(client.Process.Pid, dir)
			})
			client.Process.Signal(signal)
			client.Wait()
			if signal != syscall.SIGKILL && (client.ProcessState.ExitCode() != 130 || !strings.Contains(said.String(), ", interrupted")) {
				t.Errorf("%v: %v, %q", signal, client.ProcessState, said.String())
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || read(t, path) != "before" {
				t.Errorf("%v: %v, %v, %q", signal, left, err, read(t, path))
			}
		}
	})
}

// Ten dumps at once, during loads: each is whole.
func TestDumpsAtOnce(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 50_000
		s := startFull(t, h, n)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				out, outcome := s.dumping(door.Request{})
				items := 0
				complete := eachDumped(t, out, func(key, _ []byte, _ uint64, _ int64) {
					if strings.HasPrefix(string(key), "fill:") {
						items++
					}
				})
				if d := outcome().Dump; items != n || !complete || d == nil || d.Items < n {
					t.Errorf("%d items, complete %v, %+v", items, complete, d)
				}
			})
		}
		for i := range 2 {
			wg.Go(func() {
				if l := s.load(door.Request{}, rowsOf(fmt.Sprintf("beside%d", i), n)); l.Stored != n {
					t.Errorf("%+v", l)
				}
			})
		}
		wg.Wait()
		s.lives()
	})
}

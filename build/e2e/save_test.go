package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// saving makes a server that saves its cache at its end, and has what an earlier one has saved.
func saving(t testing.TB, program, path string, args ...string) *server {
	t.Helper()
	s := withFixtures(t, program, []string{path}, args...)
	s.env = append(s.env, "MEMCACHED_BACKDOOR_SAVE="+path)
	return s
}

// saved is a path for that, in a directory in which every user may write.
func saved(t testing.TB) string {
	t.Helper()
	dir := directoryOf(t, "saved")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "cache")
}

// content is a file's; "" if it is not there.
func content(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// alone sees to it that there is nothing in the file's directory but that.
func alone(t testing.TB, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s: %v, %v", path, entries, err)
	}
}

// However memcached is told to end, the next one has its cache; and it ends as without the library.
func TestSave(t *testing.T) {
	ends := map[string]func(*server){
		"SIGTERM": func(s *server) { s.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(s *server) { s.cmd.Process.Signal(syscall.SIGINT) },
		"SIGUSR1": func(s *server) { s.cmd.Process.Signal(syscall.SIGUSR1) },
		"shutdown": func(s *server) {
			conn := dial(s)
			defer conn.Close()
			fmt.Fprint(conn, "shutdown\r\n")
			conn.Read(make([]byte, 100)) // it closes the connection
		},
		"shutdown graceful": func(s *server) {
			conn := dial(s)
			defer conn.Close()
			fmt.Fprint(conn, "shutdown graceful\r\n")
			conn.Read(make([]byte, 100))
		},
	}
	eachShape(t, func(t *testing.T, h shape) {
		for name, tell := range ends {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// What it ends with, and says, without us.
				bare := newServer(t, h.program, "-A")
				bare.preload = ""
				bare.start()
				bare.waitServing()
				tell(bare)
				want := bare.end(0)

				path := saved(t)
				s := saving(t, h.program, path, "-A")
				s.start()
				s.awaitFixtures()
				s.load(door.Request{}, rowsOf("k", 20_000))
				s.load(door.Request{Rows: door.Rows{TTL: 3600, Flags: 7}}, []byte("ttl\tvalue\n"))
				tell(s)
				if got := s.end(0); got != want {
					t.Errorf("memcached ended with %v, without the library with %v", got, want)
				}
				if !strings.Contains(s.output.String(), "saved: 20001 items in "+path) {
					t.Errorf("memcached's stderr: %q", s.output.String())
				}
				var ours []string
				for _, line := range strings.SplitAfter(s.output.String(), "\n") {
					if !strings.HasPrefix(line, "memcached-backdoor: ") {
						ours = append(ours, line)
					}
				}
				if got := strings.Join(ours, ""); got != bare.output.String() {
					t.Errorf("memcached says %q, without the library %q", got, bare.output.String())
				}
				alone(t, path)

				// An upgrade: the next one is another.
				next := saving(t, built(t, "hosts/debian/amd64/trixie/memcached"), path)
				next.strict()
				next.start()
				if preload := next.awaitFixtures(); !preload.Complete || preload.Stored != 20_001 {
					t.Errorf("%+v", preload)
				}
				for _, i := range []int{0, 19_999} {
					key, value := rowOf("k", i)
					if got := next.get(key); got != value {
						t.Errorf("%s is %q, want %q", key, got, value)
					}
				}
				item, err := next.cache().Get("ttl")
				if err != nil || item.Flags != 7 {
					t.Errorf("%+v, %v", item, err)
				}
				// Each memcached's clock is a second from the machine's at most (helper_clock_test.go).
				if ttl := next.metaTTL("ttl"); ttl < 3500 || ttl > 3602 {
					t.Errorf("it has %d s to live", ttl)
				}
			})
		}
	})
}

// A crash leaves what was saved before.
func TestSaveNotAfterCrash(t *testing.T) {
	t.Parallel()
	path := saved(t)
	s := saving(t, stock(t), path)
	s.start()
	s.awaitFixtures()
	s.load(door.Request{}, []byte("k\told\n"))
	s.end(syscall.SIGTERM)
	before := content(t, path)
	if !strings.Contains(before, "old") {
		t.Fatalf("%q", before)
	}
	again := saving(t, stock(t), path)
	again.start()
	again.awaitFixtures()
	again.load(door.Request{}, []byte("k\tnew\n"))
	again.end(syscall.SIGKILL)
	if after := content(t, path); after != before {
		t.Errorf("%q", after)
	}
	alone(t, path)
}

// An error of the path to save at is logged at the start and at the end, and does not delay the end.
func TestSaveFaults(t *testing.T) {
	closed := directoryOf(t, "closed") // 0700, root's
	busy := saved(t)
	if err := os.Mkdir(busy, 0o755); err != nil {
		t.Fatal(err)
	}
	device := saved(t)
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil { // as /dev/null
		t.Fatal(err)
	}
	const cannot, end, other = "the cache cannot be saved: ", "not saved: ", ": it is not a regular file"
	for path, says := range map[string][]string{
		filepath.Join(closed, "cache"):   {cannot + closed + ": permission denied", end + closed + "/cache: "},
		"/nonexistent/cache":             {cannot + "/nonexistent: no such file or directory", end},
		busy:                             {cannot + busy + other, end + busy + other},
		device:                           {cannot + device + other, end + device + other},
		"/" + strings.Repeat("x/", 2500): {"nothing will be saved: the path of MEMCACHED_BACKDOOR_SAVE: File name too long"},
	} {
		t.Run(path[:min(len(path), 40)], func(t *testing.T) {
			t.Parallel()
			s := newServer(t, stock(t))
			s.user = "nobody"
			s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + path}
			s.start()
			s.waitDoor()
			if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
				t.Errorf("memcached ended with %v", status)
			}
			for _, says := range says {
				if !strings.Contains(s.output.String(), says) {
					t.Errorf("memcached's stderr does not say %q: %q", says, s.output.String())
				}
			}
			if info, err := os.Lstat(device); err != nil || info.Mode()&os.ModeCharDevice == 0 {
				t.Errorf("the device is %v, %v", info, err)
			}
		})
	}
}

// A save for which there is no room leaves the last one, and says which could not be replaced.
func TestSaveNoRoom(t *testing.T) {
	t.Parallel()
	path := saved(t)
	if err := os.WriteFile(path, []byte("mn\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := saving(t, stock(t), path)
	s.wrap = []string{"prlimit", "--fsize=100000:100000"}
	s.start()
	s.awaitFixtures()
	s.load(door.Request{}, rowsOf("k", 20_000))
	if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("memcached ended with %v", status)
	}
	if says := "not saved: " + path + ": write: file too large\n"; !strings.Contains(s.output.String(), says) {
		t.Errorf("memcached's stderr: %q", s.output.String())
	}
	if content(t, path) != "mn\r\n" {
		t.Error("it was replaced")
	}
	alone(t, path)
}

// What stands where the dump is written until it is complete is not written to, be it what a killed memcached has left or
// what somebody has put there to read the cache, or to hold memcached up.
func TestSaveBesideSomething(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file": func(path string) error { return os.WriteFile(path, []byte("ms left 4 q\r\nhalf"), 0o666) },
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"link": func(path string) error { return os.Symlink("/nonexistent/elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := saved(t)
			if err := put(filepath.Join(filepath.Dir(path), ".cache.part")); err != nil {
				t.Fatal(err)
			}
			s := saving(t, stock(t), path)
			s.start()
			s.awaitFixtures()
			s.load(door.Request{}, []byte("k\tv\n"))
			s.end(syscall.SIGTERM)
			if got := content(t, path); !strings.HasPrefix(got, "ms k 1 ") || !strings.HasSuffix(got, "\r\nmn\r\n") {
				t.Errorf("%q, memcached says %q", got, s.output.String())
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			alone(t, path)
		})
	}
}

// A dump that was not loaded in full is kept: what replaces it may be less.
func TestSaveKeepsWhatWasNotLoaded(t *testing.T) {
	t.Parallel()
	path := saved(t)
	s := saving(t, stock(t), path)
	s.start()
	s.awaitFixtures()
	s.load(door.Request{}, rowsOf("k", 100))
	s.end(syscall.SIGTERM)
	damaged := strings.Replace(content(t, path), "value_7\r\n", "value_x\r\n", 1)
	if err := os.WriteFile(path, []byte(damaged), 0o644); err != nil {
		t.Fatal(err)
	}
	again := saving(t, stock(t), path)
	again.start()
	if preload := again.awaitFixtures(); preload.Complete || preload.Rejected != 1 {
		t.Errorf("%+v", preload)
	}
	again.end(syscall.SIGTERM)
	if content(t, path) != damaged {
		t.Error("it was replaced")
	}
	if kept := content(t, path+"~"); strings.Count(kept, "ms ") != 99 || !strings.HasSuffix(kept, "\r\nmn\r\n") {
		t.Errorf("beside it: %q", kept)
	}
	if !strings.Contains(again.output.String(), "is kept: the cache is saved in ") ||
		!strings.Contains(again.output.String(), "saved: 99 items in "+path+"~ (") {
		t.Errorf("memcached's stderr: %q", again.output.String())
	}
}

// The time that a save may take is bounded, and a second signal does not wait at all.
func TestSaveLimit(t *testing.T) {
	const rows = 2_000_000
	start := func(t *testing.T, limit string) (s *server, path string) {
		path = saved(t)
		s = newServer(t, stock(t), "-m", "1000")
		s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + path, "MEMCACHED_BACKDOOR_SAVE_LIMIT=" + limit}
		s.start()
		s.waitDoor()
		_, stderr, status := s.client(nil, "fill", "--count", fmt.Sprint(rows))
		if status != 0 {
			t.Fatal(stderr)
		}
		return s, path
	}
	t.Run("second signal", func(t *testing.T) {
		t.Parallel()
		s, path := start(t, "600")
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		part := filepath.Join(filepath.Dir(path), ".cache.part")
		wait(t, "the save's beginning", func() error {
			_, err := os.Stat(part)
			return err
		})
		if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v", status)
		}
		if strings.Contains(s.output.String(), "saved: ") {
			t.Fatal("it was faster than the second signal")
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("half a dump has the name of a whole one")
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		s, path := start(t, "soon")
		s.end(syscall.SIGTERM)
		if !strings.Contains(s.output.String(), "MEMCACHED_BACKDOOR_SAVE_LIMIT is not a number of seconds") {
			t.Errorf("memcached's stderr: %q", s.output.String())
		}
		if n := strings.Count(content(t, path), "ms fill:"); n != rows {
			t.Errorf("%d items are saved", n)
		}
	})
}

// While fixtures load, what there is of the cache is not saved over the last one.
func TestSaveWhileLoading(t *testing.T) {
	t.Parallel()
	path := saved(t)
	if err := os.WriteFile(path, []byte("mn\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := withFixtures(t, stock(t), []string{path, fixture(t, "rows.raw", rowsOf("k", 3_000_000))}, "-m", "2000")
	s.env = append(s.env, "MEMCACHED_BACKDOOR_SAVE="+path)
	s.start()
	wait(t, "the first rows", func() error {
		reply, err := call(s.door, door.Request{Op: door.OpStatus})
		if err != nil || reply.Status.Fixtures.Rows == 0 {
			return fmt.Errorf("%+v, %w", reply, err)
		}
		return nil
	})
	if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("memcached ended with %v", status)
	}
	if !strings.Contains(s.output.String(), "not saved: "+path+": the fixtures are still being loaded") {
		t.Errorf("memcached's stderr: %q", s.output.String())
	}
	if content(t, path) != "mn\r\n" {
		t.Error("it was replaced")
	}
}

// What is asked at the start of a memcached that saves its cache asks memcached for nothing: while fixtures load it
// may not answer.
func TestSaveAsksNothingAtStart(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		path := saved(t)
		fixture := written(t, "f.raw", rowsOf("k", 10))
		s := withFixtures(t, h.program, []string{fixture, path})
		s.env = append(s.env, "MEMCACHED_BACKDOOR_SAVE="+path)
		s.start()
		s.waitDoor()
		wait(t, "the fixtures", func() error {
			if text := s.output.String(); !strings.Contains(text, "10 rows read: 10 stored") {
				return errors.New(text)
			}
			return nil
		})
		if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v", status)
		}
		if text := s.output.String(); strings.Contains(text, "no answer") || strings.Contains(text, "cannot be saved") || !strings.Contains(text, "saved: 10 items") {
			t.Error(text)
		}
	})
}

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// withFixtures makes a server that preloads paths.
func withFixtures(t testing.TB, program string, paths []string, args ...string) *server {
	t.Helper()
	s := newServer(t, program, args...)
	s.env = []string{"MEMCACHED_BACKDOOR_PRELOAD=" + strings.Join(paths, ":")}
	return s
}

func (s *server) strict() { s.env = append(s.env, "MEMCACHED_BACKDOOR_PRELOAD_STRICT=1") }

// fixture writes a file that every user may read.
func fixture(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(directoryOf(t, "fixtures"), name)
	if err := errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitFixtures waits until they are loaded, and returns what has become of them.
func (s *server) awaitFixtures() door.Fixtures {
	s.t.Helper()
	var preload door.Fixtures
	wait(s.t, "the fixtures", func() error {
		status := s.waitDoor()
		if status.Fixtures == nil {
			s.t.Fatalf("there are no fixtures: %+v", status)
		}
		preload = *status.Fixtures
		if !preload.Done {
			return fmt.Errorf("%+v", preload)
		}
		return nil
	})
	if preload.Rows != preload.Stored+preload.Rejected+preload.Skipped {
		s.t.Errorf("not every row is accounted for: %+v", preload)
	}
	return preload
}

// onceOpen connects the instant that the server's port opens, and asks for a key. connected is called in between; said tells
// what memcached has written.
func (s *server) onceOpen(key string, connected func(), said func() string) (answer string) {
	s.t.Helper()
	var conn net.Conn
	deadline := time.Now().Add(waitLimit)
	for {
		var err error
		if conn, err = net.Dial("tcp", s.socket); err == nil {
			break
		}
		if time.Now().After(deadline) || !s.running() {
			s.t.Fatalf("%v\n%s", err, said())
		}
	}
	connected()
	defer conn.Close()
	conn.SetDeadline(deadline)
	fmt.Fprintf(conn, "get %s\r\n", key)
	in := bufio.NewScanner(conn)
	for range 2 {
		if !in.Scan() {
			s.t.Fatalf("memcached did not answer: %v\n%s", in.Err(), said())
		}
		answer = in.Text()
		if answer == "END" {
			break
		}
	}
	return answer
}

// Of the fixtures' last row no client ever misses the value, however early it comes.
func TestFixturesNoMiss(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("by protocol connections cannot be held back: TestFixturesNotHeld")
		}
		const starts, rows = 100, 20_000
		path := fixture(t, "rows.raw", rowsOf("k", rows))
		key, value := rowOf("k", rows-1)
		early := 0
		for range starts {
			s := withFixtures(t, h.program, []string{path})
			s.strict()
			s.onPort("127.0.0.1")
			output := fileOf(t, nil) // not a pipe: the output is there at once
			said := func() string {
				text, err := os.ReadFile(output.Name())
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			s.startInto(output)
			got := s.onceOpen(key, func() {
				if !strings.Contains(said(), "rows read") {
					early++
				}
			}, said)
			if got != value {
				t.Fatalf("get %s: %q, want %q", key, got, value)
			}
			if !accounts(t, said()) || !strings.Contains(said(), "1 file: 20000 rows read: 20000 stored") {
				t.Errorf("memcached's stderr: %q", said())
			}
			s.kill() // told to end, it takes until its clock's next tick
		}
		if early < starts/2 {
			t.Errorf("only %d of %d clients came before the fixtures were loaded", early, starts)
		}
		t.Logf("%d of %d clients came before the fixtures were loaded", early, starts)
	})
}

// Of a directory the files whose names say a format are loaded, in the order of their names; of two paths the second comes
// behind the first. Paths are of the directory that memcached was started in, also if it is a daemon, which leaves it.
func TestFixturesOrder(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		dir := directoryOf(t, "fixtures")
		files := map[string]string{
			"fixtures/10.raw":         "a\traw\nb\traw\n",
			"fixtures/20.mysql":       "b\tmy\\tsql\nc\tmysql\n",
			"fixtures/30.PSQL":        "c\tp\\tsql\nd\tpsql\n",
			"fixtures/40.csv":         "d,\"c,sv\"\ne,csv\n",
			"fixtures/50.tsv":         "e\ttsv\nf\ttsv\n",
			"fixtures/60.jsonl":       `{"key":"f","value":"jsonl","flags":7}` + "\n",
			"fixtures/70.memcached":   "set g 0 0 3\r\nabc\r\n",
			"fixtures/.hidden.raw":    "hidden\t1\n",
			"fixtures/below/80.raw":   "below\t1\n",
			"second":                  "g\tsecond\n",
			"elsewhere/..data/90.raw": "linked\t1\n",
		}
		for name, content := range files {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../elsewhere/..data/90.raw", filepath.Join(dir, "fixtures/90.raw")); err != nil {
			t.Fatal(err)
		}
		pidfile := filepath.Join(t.TempDir(), "pid")
		s := withFixtures(t, h.program, []string{"fixtures", "second"}, "-d", "-P", pidfile)
		out := fileOf(t, nil)
		cmd := s.command()
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		s.waitServing()
		t.Cleanup(func() { killDaemon(t, pidfile) })
		want := door.Fixtures{Done: true, Complete: true, Files: 9, Rows: 14, Stored: 14}
		got := s.awaitFixtures()
		if want.Seconds = got.Seconds; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		for key, value := range map[string]string{
			"a": "raw", "b": "my\tsql", "c": "p\tsql", "d": "c,sv", "e": "tsv", "f": "jsonl", "g": "second", "linked": "1",
		} {
			if got := s.get(key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
		}
		s.missing("hidden")
		s.missing("below")
		// A daemon has no stderr any more, but what is logged at its start goes where its starter's went.
		said, err := os.ReadFile(out.Name())
		if err != nil || !strings.Contains(string(said), "fixtures/below: skipped") ||
			!strings.Contains(string(said), "9 files: 14 rows read: 14 stored, 0 rejected, 0 skipped") {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// While fixtures load memcached can be told to end, its clock ticks, and the door says how far they are; a load that comes
// meanwhile is stored after them.
func TestFixturesMeanwhile(t *testing.T) {
	t.Parallel()
	const rows = 3_000_000
	path := fixture(t, "rows.raw", rowsOf("k", rows))
	loading := func() (*server, door.Fixtures) {
		s := withFixtures(t, stock(t), []string{path}, "-m", "2000")
		s.start()
		var preload door.Fixtures
		wait(t, "the first rows", func() error {
			reply, err := call(s.door, door.Request{Op: door.OpStatus})
			if err != nil || reply.Status.Fixtures.Rows == 0 {
				return fmt.Errorf("%+v, %w", reply, err)
			}
			preload = *reply.Status.Fixtures
			return nil
		})
		return s, preload
	}
	t.Run("end", func(t *testing.T) {
		t.Parallel()
		s, preload := loading()
		if status := s.end(syscall.SIGTERM); !status.Exited() || status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v", status)
		}
		if preload.Done || strings.Contains(s.output.String(), fmt.Sprint(rows, " stored")) {
			t.Errorf("the fixtures were loaded before memcached was told to end: %+v\n%s", preload, s.output.String())
		}
	})
	t.Run("load", func(t *testing.T) {
		t.Parallel()
		s, preload := loading()
		key, _ := rowOf("k", rows-1)
		stdout, stderr, status := s.client([]byte(key + "\tfrom the client\n"))
		if status != 0 {
			t.Fatalf("%s%s", stdout, stderr)
		}
		if preload.Done {
			t.Error("the fixtures were loaded before the client came")
		}
		if got := s.get(key); got != "from the client" {
			t.Errorf("%s is %q", key, got)
		}
		if done := s.awaitFixtures(); !done.Complete || done.Stored != rows {
			t.Errorf("%+v", done)
		}
		// memcached counts the seconds by its own clock, which its main thread moves.
		if uptime := s.stat("", "uptime"); float64(uptime) < preload.Seconds {
			t.Errorf("memcached's clock says %d s after %.1f s", uptime, preload.Seconds)
		}
	})
}

// Fixtures leave nothing behind in memcached but their rows.
func TestFixturesDescriptors(t *testing.T) {
	t.Parallel()
	plain := start(t, stock(t))
	s := withFixtures(t, stock(t), []string{fixture(t, "rows.raw", rowsOf("k", 1000)), fixture(t, "more.csv", []byte("a,b\n"))})
	s.start()
	s.awaitFixtures()
	if got, want := s.descriptors(), plain.descriptors(); got != want {
		t.Errorf("%d descriptors, %d without fixtures", got, want)
	}
}

// In a program that is not memcached fixtures mean nothing.
func TestFixturesElsewhere(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/echo", "hello")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+built(t, "backdoor.so"), "MEMCACHED_BACKDOOR_PRELOAD=/nonexistent", "MEMCACHED_BACKDOOR_PRELOAD_STRICT=1")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "hello\n" {
		t.Errorf("%q, %v", out, err)
	}
}

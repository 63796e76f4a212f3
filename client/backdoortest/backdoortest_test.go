package backdoortest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/client/backdoortest"
)

// TestMain sets the path of the library that was built.
func TestMain(m *testing.M) {
	library, err := filepath.Abs("../../build/backdoor.so")
	if err == nil {
		_, err = os.Stat(library)
	}
	if err != nil {
		panic(fmt.Sprint(err, ": run `make build`"))
	}
	os.Setenv(backdoortest.LibraryVariable, library)
	os.Exit(m.Run())
}

// The test of a function that reads from a cache.
func TestGreeting(t *testing.T) {
	addr := backdoortest.Start(t, "testdata/users.jsonl")
	greeting, err := greet(memcache.New(addr), 1)
	if err != nil || greeting != "Good evening, Trond" {
		t.Errorf("%q, %v", greeting, err)
	}
}

func greet(cache *memcache.Client, id int) (string, error) {
	name, err := cache.Get(fmt.Sprintf("user:%d", id))
	if err != nil {
		return "", err
	}
	return "Good evening, " + string(name.Value), nil
}

// Each call starts another memcached, which ends with the test.
func TestStart(t *testing.T) {
	var addrs []string
	t.Run("two", func(t *testing.T) {
		for range 2 {
			addrs = append(addrs, backdoortest.Start(t, "testdata"))
		}
		one, other := memcache.New(addrs[0]), memcache.New(addrs[1])
		if err := one.Set(&memcache.Item{Key: "mine", Value: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Get("mine"); !errors.Is(err, memcache.ErrCacheMiss) {
			t.Errorf("%v", err)
		}
		if item, err := other.Get("user:2"); err != nil || string(item.Value) != "Ada" || item.Flags != 7 {
			t.Errorf("%+v, %v", item, err)
		}
	})
	for _, addr := range addrs {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still serves", addr)
		}
	}
}

// Without fixtures the cache is empty.
func TestStartEmpty(t *testing.T) {
	if _, err := memcache.New(backdoortest.Start(t)).Get("user:1"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Error(err)
	}
}

// recorder records how a test fails.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	panic(r)
}

// fails returns the message with which Start fails.
func fails(t *testing.T, fixtures ...string) (message string) {
	t.Helper()
	r := &recorder{TB: t}
	defer func() {
		if recover() != r {
			t.Errorf("Start(%q) did not fail", fixtures)
		}
		message = r.message
	}()
	backdoortest.Start(r, fixtures...)
	return ""
}

func TestStartFails(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(bad, []byte("a,1\nb c,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fixtures  []string
		env, says string
	}{
		{fixtures: []string{"testdata/absent.csv"}, says: "backdoortest: memcached: it ended\nmemcached-backdoor: fixtures: "},
		{fixtures: []string{"testdata/absent.csv"}, says: "/testdata/absent.csv: no such file or directory"},
		{fixtures: []string{"testdata", bad}, says: `bad.csv:2: space or control byte in the key (key "b c")`},
		{fixtures: []string{"a:b"}, says: `the path "a:b" cannot be in a list that is separated by colons`},
		{fixtures: []string{""}, says: `the path "" cannot be in a list that is separated by colons`},
		{env: backdoortest.LibraryVariable + "=/nonexistent.so", says: "no library at /nonexistent.so; install it, or set its path in MEMCACHED_BACKDOOR_LIBRARY"},
		{env: backdoortest.LibraryVariable + "=/etc/passwd", says: "it serves without the library"},
		{env: "PATH=/nonexistent", says: `"memcached": executable file not found in $PATH`},
	} {
		t.Run(tt.says, func(t *testing.T) {
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			if message := fails(t, tt.fixtures...); !strings.Contains(message, tt.says) {
				t.Errorf("%q does not say %q", message, tt.says)
			}
		})
	}
}

// memcached does not outlive a test that is killed: a connection to it ends.
func TestKilled(t *testing.T) {
	if os.Getenv("BACKDOORTEST_KILLED") != "" {
		fmt.Println("\naddress", backdoortest.Start(t, "testdata"))
		select {} // until it is killed
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
	cmd.Env = append(os.Environ(), "BACKDOORTEST_KILLED=1", "TMPDIR="+t.TempDir()) // its directory stays
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var addr string
	for in := bufio.NewScanner(output); addr == "" && in.Scan(); {
		fmt.Sscanf(in.Text(), "address %s", &addr)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	fmt.Fprint(conn, "version\r\n")
	if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "VERSION ") {
		t.Fatalf("%q, %v", answer[:n], err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("memcached is still there: %d bytes, %v", n, err)
	}
}

package door

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the runtime open its poller before any test counts descriptors.
func TestMain(m *testing.M) {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	r.Close()
	w.Close()
	os.Exit(m.Run())
}

// openFiles lists the open descriptors of this process with what they are.
func openFiles(t *testing.T) map[string]string {
	t.Helper()
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, name := range names {
		if name != fmt.Sprint(dir.Fd()) {
			open[name], _ = os.Readlink("/proc/self/fd/" + name)
		}
	}
	return open
}

// noLeak fails the test if more descriptors are open now than before.
func noLeak(t *testing.T, before map[string]string) {
	t.Helper()
	for fd, what := range openFiles(t) {
		if was, ok := before[fd]; !ok || was != what {
			t.Errorf("descriptor %s is left open: %s", fd, what)
		}
	}
}

// pair makes a call and the descriptor of its client.
func pair(t *testing.T) (*Call, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := newCall(fds[0])
	if c == nil {
		t.Fatal("newCall: no client")
	}
	t.Cleanup(func() {
		c.Close()
		unix.Close(fds[1])
	})
	return c, fds[1]
}

// hangUp closes an end of a pair or of a pipe. The number stays taken, by
// another file, so that the cleanup does not close that of another test.
func hangUp(t *testing.T, fd int) {
	t.Helper()
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

// send sends a message with descriptors, as any client could. Unlike
// unix.Sendmsg it sends an empty message as an empty one.
func send(t *testing.T, fd int, data string, control []byte) {
	t.Helper()
	var err error
	if data == "" && len(control) > 0 {
		err = sendEmpty(fd, control)
	} else {
		err = unix.Sendmsg(fd, []byte(data), control, nil, 0)
	}
	if err != nil {
		t.Fatalf("sendmsg: %v", err)
	}
}

// pipe makes a pipe. Both ends are closed at the end of the test.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// file makes a file with content and returns it opened for reading.
func file(t *testing.T, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// call makes a call whose request is in, with a duplicate of fd as its input.
func call(t *testing.T, request string, fd int) (*Call, int) {
	t.Helper()
	c, client := pair(t)
	send(t, client, request, unix.UnixRights(fd))
	if _, err := c.Receive(); err != nil {
		t.Fatal(err)
	}
	return c, client
}

// wantError checks that err is an *Error with a code, and a message that
// contains text.
func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want an *Error with code %q", err, code)
	}
	if e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("error is %s: %q, want %s: a message with %q", e.Code, e.Message, code, text)
	}
}

// limitOpenFiles lets this process open n more descriptors and no more,
// until the test ends or restore is called.
func limitOpenFiles(t *testing.T, more int) (restore func()) {
	t.Helper()
	// The limit is on the number of a descriptor, and gaps are filled first.
	var taken []int
	for range more + 1 {
		fd, err := unix.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	for _, fd := range taken {
		unix.Close(fd)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(taken[more]), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// background runs f on another thread, and returns once that thread has
// gone to sleep in the kernel or f has ended. The channel tells when f ends.
func background(t *testing.T, f func()) <-chan struct{} {
	t.Helper()
	tid, done := make(chan int, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with f
		defer close(done)
		tid <- unix.Gettid()
		f()
	}()
	stat := fmt.Sprintf("/proc/self/task/%d/stat", <-tid)
	for {
		select {
		case <-done:
			return done
		default:
		}
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // it has just ended
		}
		_, state, _ := strings.Cut(string(data), ") ")
		if strings.HasPrefix(state, "S") {
			return done
		}
		runtime.Gosched()
	}
}

// wait waits for a channel that background returned.
func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting after 10 s")
	}
}

package door

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen makes a door in a directory of its own.
func listen(t *testing.T) (*Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door")
	l, err := NewListener(listening(t, unix.SOCK_SEQPACKET, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// listening makes a listening socket at path.
func listening(t *testing.T, typ int, path string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 8)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestAccept(t *testing.T) {
	before := openFiles(t)
	l, path := listen(t)
	var c *Call
	var err error
	done := background(t, func() { c, err = l.Accept() })
	conn, dialErr := Dial(path)
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	wait(t, done)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the connection survives an exec (%v)", err)
	}
	if c.Peer.PID != int32(os.Getpid()) {
		t.Errorf("peer is %+v", c.Peer)
	}
	conn.Close()
	c.Close()
	l.Close()
	noLeak(t, before)
}

func TestListenerClose(t *testing.T) {
	l, path := listen(t)
	var err error
	done := background(t, func() { _, err = l.Accept() })
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	wait(t, done)
	if !errors.Is(err, ErrClosed) {
		t.Errorf("Accept: %v, want ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, ErrClosed) {
		t.Errorf("Accept after Close: %v, want ErrClosed", err)
	}
	if _, err := Dial(path); !errors.Is(err, ErrStale) {
		t.Errorf("Dial: %v, want ErrStale", err)
	}
}

func TestNewListenerRefuses(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (int, error){
		"stream": func(t *testing.T) (int, error) {
			return listening(t, unix.SOCK_STREAM, filepath.Join(t.TempDir(), "s")), nil
		},
		"not listening": func(*testing.T) (int, error) {
			return unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		},
		"file": func(*testing.T) (int, error) { return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			before := openFiles(t)
			fd, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewListener(fd); err == nil {
				t.Error("no error")
			}
			noLeak(t, before)
		})
	}
}

// TestAcceptWithoutDescriptors: memcached is out of descriptors for a while.
// Accept must neither fail nor use the processor, and take the call in the end.
func TestAcceptWithoutDescriptors(t *testing.T) {
	l, path := listen(t)
	conn, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	stats := make(chan *os.File, 1)
	limited := make(chan struct{})
	accepted := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		f, err := os.Open(fmt.Sprintf("/proc/self/task/%d/schedstat", unix.Gettid()))
		if err != nil {
			panic(err)
		}
		stats <- f
		<-limited
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		accepted <- err
	}()
	stat := <-stats
	defer stat.Close()
	restore := limitOpenFiles(t, 0)
	close(limited)

	start, busy := time.Now(), onCPU(t, stat)
	for time.Since(start) < 3*acceptPause {
		select {
		case err := <-accepted:
			t.Fatalf("Accept returned: %v", err)
		case <-time.After(acceptPause / 10):
		}
	}
	if spent := onCPU(t, stat) - busy; spent > acceptPause {
		t.Errorf("Accept spent %s of %s on the CPU", spent, time.Since(start))
	}
	restore()
	select {
	case err := <-accepted:
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Accept does not take the call")
	}
}

// onCPU reads how long a thread has run, from its schedstat.
func onCPU(t *testing.T, stat *os.File) time.Duration {
	t.Helper()
	data := make([]byte, 256)
	n, _ := stat.ReadAt(data, 0)
	var spent time.Duration
	if _, err := fmt.Sscan(string(data[:n]), &spent); err != nil {
		t.Fatal(err)
	}
	return spent
}

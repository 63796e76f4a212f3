package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// A sink is a place for memcached's stderr that has no reader: it takes nothing more. From resume on it does, and from
// holds what came.
type sink struct {
	stderr, from *os.File
	resume       func() error
}

// fullPipe is a pipe, or a FIFO, that is full.
func fullPipe(t *testing.T, r, w *os.File) sink {
	t.Helper()
	fd := int(w.Fd()) // makes it blocking, as memcached is to have it
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for size := 4096; size > 0; {
		if _, err := unix.Write(fd, []byte(strings.Repeat("x", size))); err != nil {
			size /= 2
		}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return sink{w, r, func() error { return nil }}
}

// stoppedTerminal is a terminal whose output was stopped (^S).
func stoppedTerminal(t *testing.T) sink {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var locked int32
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&locked))); errno != 0 {
		t.Fatal(errno)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	flow := func(action int) error { return unix.IoctlSetInt(int(terminal.Fd()), unix.TCXONC, action) }
	if err := flow(unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	return sink{terminal, master, func() error { return flow(unix.TCOON) }}
}

// fullSocket is a stream socket, such as systemd makes of stderr, that is full.
func fullSocket(t *testing.T) sink {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = unix.Sendto(pair[0], []byte("x"), unix.MSG_DONTWAIT, nil)
	}
	return sink{os.NewFile(uintptr(pair[0]), "stderr"), os.NewFile(uintptr(pair[1]), "reader"), func() error { return nil }}
}

var sinks = map[string]func(t *testing.T) sink{
	"pipe": func(t *testing.T) sink {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return fullPipe(t, r, w)
	},
	"fifo": func(t *testing.T) sink {
		path := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fullPipe(t, r, w)
	},
	"terminal": stoppedTerminal,
	"socket":   fullSocket,
}

// Nothing waits for a stderr without a reader: memcached starts and serves, its cache is saved, and it ends at once.
// When there is room again, what could not be said is counted.
func TestStderrNobodyReads(t *testing.T) {
	t.Parallel()
	for name, open := range sinks {
		for _, resumed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/resumed=%t", name, resumed), func(t *testing.T) {
				t.Parallel()
				to := open(t)
				defer to.stderr.Close()
				defer to.from.Close()
				path := saved(t)
				s := newServer(t, stock(t))
				s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + path}
				if resumed {
					s.env = append(s.env, "MEMCACHED_BACKDOOR_SAVE_LIMIT=soon") // is logged at the start
				}
				s.startInto(to.stderr)
				s.waitDoor()
				if l := s.load(door.Request{}, rowsOf("k", 1000)); l.Stored != 1000 {
					t.Errorf("%+v", l)
				}
				var said log
				if resumed {
					if err := to.resume(); err != nil {
						t.Fatal(err)
					}
					go io.Copy(&said, to.from)
					wait(t, "room", func() error {
						set := []unix.PollFd{{Fd: int32(to.stderr.Fd()), Events: unix.POLLOUT}}
						if n, err := unix.Poll(set, 0); n != 1 || err != nil {
							return fmt.Errorf("%d, %v", n, err)
						}
						return nil
					})
				}
				if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
					t.Errorf("memcached ended with %v", status)
				}
				if n := strings.Count(content(t, path), "ms k_"); n != 1000 {
					t.Errorf("%d items are saved", n)
				}
				if resumed {
					wait(t, "its lines", func() error {
						text := strings.TrimLeft(strings.ReplaceAll(said.String(), "\r\n", "\n"), "x")
						if !strings.HasPrefix(text, "memcached-backdoor: 1 line is missing here: nobody read\nmemcached-backdoor: saved: 1000 items in ") {
							return errors.New(text)
						}
						return nil
					})
				}
			})
		}
	}
}

// A stderr whose reader has gone does not end memcached, though it has not begun to ignore SIGPIPE.
func TestStderrWithoutReader(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	s := newServer(t, stock(t))
	s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + strings.Repeat("d", 5000)} // is logged when the library is loaded
	s.startInto(w)
	s.waitDoor()
	if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
		t.Errorf("memcached ended with %v", status)
	}
}

package door

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// must returns a descriptor that a system call made, closed when the test ends.
func must(t *testing.T, fd int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func socketPair(t *testing.T, typ int) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	return must(t, fds[0], err), must(t, fds[1], err)
}

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) (master, slave int) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	master = must(t, fd, err)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	fd, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	return master, must(t, fd, err)
}

func TestInputRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("a\t1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(path string, flags int) func(t *testing.T) int {
		return func(t *testing.T) int {
			fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
			return must(t, fd, err)
		}
	}
	socket := func(typ int) func(t *testing.T) int {
		return func(t *testing.T) int { a, _ := socketPair(t, typ); return a }
	}
	for _, test := range []struct {
		name    string
		open    func(t *testing.T) int
		message string
	}{
		{"write-only file", open(path, unix.O_WRONLY), "not open for reading"},
		{"file for neither", open(path, unix.O_ACCMODE), "not open for reading"},
		{"O_PATH", open(path, unix.O_PATH), "only a path"},
		{"O_PATH of a directory", open("/", unix.O_PATH), "only a path"},
		{"directory", open("/", unix.O_RDONLY), "is a directory"},
		{"write end of a pipe", func(t *testing.T) int { _, w := pipe(t); return w }, "not open for reading"},
		{"terminal", func(t *testing.T) int { _, slave := terminal(t); return slave }, "is a terminal"},
		{"master of a terminal", func(t *testing.T) int { master, _ := terminal(t); return master }, "is a terminal"},
		{"epoll", func(t *testing.T) int { fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC); return must(t, fd, err) }, "epoll, eventfd"},
		{"eventfd", func(t *testing.T) int { fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC); return must(t, fd, err) }, "epoll, eventfd"},
		{"inotify", func(t *testing.T) int { fd, err := unix.InotifyInit1(unix.IN_CLOEXEC); return must(t, fd, err) }, "epoll, eventfd"},
		{"datagrams", socket(unix.SOCK_DGRAM), "socket of datagrams"},
		{"packets", socket(unix.SOCK_SEQPACKET), "socket of datagrams"},
		{"listening socket", func(t *testing.T) int {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, fd, err)
			if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}), unix.Listen(fd, 1)); err != nil {
				t.Fatal(err)
			}
			return fd
		}, "listening socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fd := test.open(t)
			c, client := pair(t)
			before := openFiles(t)
			send(t, client, loadRequest, unix.UnixRights(fd))
			_, err := c.Receive()
			wantError(t, err, CodeDescriptor, test.message)
			noLeak(t, before)
		})
	}
}

func TestInputRead(t *testing.T) {
	const content = "user_1\tTrond\nuser_2\tbla\n"
	fill := func(t *testing.T, fd int) {
		if _, err := unix.Write(fd, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		open func(t *testing.T) int
		want string
	}{
		{"file", func(t *testing.T) int { return int(file(t, content).Fd()) }, content},
		{"file at an offset", func(t *testing.T) int {
			f := file(t, "header\n"+content)
			if _, err := f.Seek(7, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			return int(f.Fd())
		}, content},
		{"memfd", func(t *testing.T) int {
			fd, err := unix.MemfdCreate("rows", unix.MFD_CLOEXEC)
			must(t, fd, err)
			fill(t, fd)
			if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			return fd
		}, content},
		{"pipe", func(t *testing.T) int {
			r, w := pipe(t)
			fill(t, w)
			hangUp(t, w)
			return r
		}, content},
		{"non-blocking pipe", func(t *testing.T) int {
			r, w := pipe(t)
			if err := unix.SetNonblock(r, true); err != nil {
				t.Fatal(err)
			}
			fill(t, w)
			hangUp(t, w)
			return r
		}, content},
		{"named pipe", func(t *testing.T) int {
			path := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			both, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(both)
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			fill(t, both)
			return must(t, fd, err)
		}, content},
		{"stream socket", func(t *testing.T) int {
			a, b := socketPair(t, unix.SOCK_STREAM)
			fill(t, b)
			unix.Shutdown(b, unix.SHUT_WR)
			return a
		}, content},
		{"stream socket with a descriptor in the stream", func(t *testing.T) int {
			a, b := socketPair(t, unix.SOCK_STREAM)
			send(t, b, content, unix.UnixRights(0))
			unix.Shutdown(b, unix.SHUT_WR)
			return a
		}, content},
		{"null device", func(t *testing.T) int {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return must(t, fd, err)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			fd := test.open(t)
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			c, client := pair(t)
			before := openFiles(t)
			send(t, client, "", unix.UnixRights(fd))
			if _, err := c.Receive(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c.Input)
			if err != nil || string(got) != test.want {
				t.Errorf("read %q, %v; want %q", got, err, test.want)
			}
			if now, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || now != flags {
				t.Errorf("the client's flags were %#o and are %#o (%v)", flags, now, err)
			}
			c.Input.Close()
			noLeak(t, before)
		})
	}
}

// TestInputOffset: the client has the same offset. A file is read ahead, so that the offset is known only at the end.
func TestInputOffset(t *testing.T) {
	f := file(t, "0123456789")
	c, _ := call(t, "", int(f.Fd()))
	if text, err := io.ReadAll(c.Input); err != nil || string(text) != "0123456789" {
		t.Fatalf("%q, %v", text, err)
	}
	if rest, err := io.ReadAll(f); err != nil || len(rest) > 0 {
		t.Errorf("the client reads on with %q, %v", rest, err)
	}
}

// TestInputLeft: what is known of an input's end before it is read.
func TestInputLeft(t *testing.T) {
	f := file(t, "0123456789")
	if _, err := f.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	beyond := file(t, "0123456789")
	if _, err := beyond.Seek(100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, _ := pipe(t)
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, zero, err)
	for fd, want := range map[int]int64{int(f.Fd()): 6, int(beyond.Fd()): 0, r: -1, zero: -1} {
		c, _ := call(t, "", fd)
		if left := c.Input.Left(); left != want {
			t.Errorf("descriptor %d: %d bytes are left, want %d", fd, left, want)
		}
		c.Input.Close()
		if left := c.Input.Left(); left != -1 {
			t.Errorf("descriptor %d: %d bytes are left of a closed input", fd, left)
		}
	}
}

func TestInputEndless(t *testing.T) {
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, fd, err)
	c, client := call(t, "", fd)
	p := bytes.Repeat([]byte{1}, 100)
	if n, err := c.Input.Read(p); n != len(p) || err != nil || !bytes.Equal(p, make([]byte, 100)) {
		t.Fatalf("read %d, %v: %q", n, err, p)
	}
	// There is always something to read, and the client is still watched.
	hangUp(t, client)
	if _, err := c.Input.Read(p); !errors.Is(err, ErrGone) {
		t.Errorf("error is %v, want ErrGone", err)
	}
}

func TestTryRead(t *testing.T) {
	r, w := pipe(t)
	a, b := socketPair(t, unix.SOCK_STREAM)
	for _, test := range []struct {
		name     string
		from, to int
	}{{"pipe", r, w}, {"socket", a, b}} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := call(t, "", test.from)
			p := make([]byte, 8)
			if n, err := c.Input.TryRead(p); n != 0 || !errors.Is(err, ErrNoInput) {
				t.Errorf("nothing there: %d, %v", n, err)
			}
			if _, err := unix.Write(test.to, []byte("abc")); err != nil {
				t.Fatal(err)
			}
			if ready, err := c.Wait(true, -1, -1); err != nil || !ready.Input {
				t.Fatalf("Wait: %+v, %v", ready, err)
			}
			// Another reader is faster.
			if n, err := unix.Read(test.from, make([]byte, 3)); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := c.Input.TryRead(p); n != 0 || !errors.Is(err, ErrNoInput) {
				t.Errorf("nothing left: %d, %v", n, err)
			}
			if n, err := c.Input.TryRead(nil); n != 0 || err != nil {
				t.Errorf("no room: %d, %v", n, err)
			}
			hangUp(t, test.to)
			if n, err := c.Input.TryRead(p); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d, %v", n, err)
			}
		})
	}
}

// TestReadWithoutNowait is for kernels whose pipes do not support RWF_NOWAIT.
func TestReadWithoutNowait(t *testing.T) {
	r, w := pipe(t)
	c, client := call(t, "", r)
	c.Input.kind = inputFile
	if _, err := unix.Write(w, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8)
	if n, err := c.Input.Read(p); err != nil || string(p[:n]) != "abc" {
		t.Errorf("read %q, %v", p[:n], err)
	}
	var err error
	done := background(t, func() { _, err = c.Input.Read(p) })
	hangUp(t, client)
	wait(t, done)
	if !errors.Is(err, ErrGone) {
		t.Errorf("error is %v, want ErrGone", err)
	}
}

func TestReadError(t *testing.T) {
	fd, err := unix.Open("/proc/self/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, fd, err)
	c, _ := call(t, "", fd) // address 0: EIO
	if n, err := c.Input.Read(make([]byte, 8)); n != 0 || !errors.Is(err, unix.EIO) {
		t.Errorf("read %d, %v; want EIO", n, err)
	}
}

func TestReadClosed(t *testing.T) {
	r, _ := pipe(t)
	c, _ := call(t, "", r)
	for range 2 {
		if err := c.Input.Close(); err != nil {
			t.Error(err)
		}
	}
	if n, err := c.Input.Read(make([]byte, 8)); n != 0 || !errors.Is(err, unix.EBADF) {
		t.Errorf("read %d, %v; want EBADF", n, err)
	}
}

func TestReadInterruptedByHangUp(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(t *testing.T, client int)
	}{
		{"closed", hangUp},
		{"half-closed", func(_ *testing.T, client int) { unix.Shutdown(client, unix.SHUT_WR) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := pipe(t)
			c, client := call(t, loadRequest, r)
			var err error
			done := background(t, func() { _, err = c.Input.Read(make([]byte, 8)) })
			test.leave(t, client)
			wait(t, done)
			if !errors.Is(err, ErrGone) {
				t.Errorf("error is %v, want ErrGone", err)
			}
		})
	}
}

func TestReadDetached(t *testing.T) {
	r, w := pipe(t)
	c, client := call(t, `{"version":1,"op":"load","detach":true}`, r)
	hangUp(t, client)
	var got []byte
	var err error
	done := background(t, func() { got, err = io.ReadAll(c.Input) })
	if _, err := unix.Write(w, []byte("a\t1\n")); err != nil {
		t.Fatal(err)
	}
	hangUp(t, w)
	wait(t, done)
	if err != nil || string(got) != "a\t1\n" {
		t.Errorf("read %q, %v", got, err)
	}
}

package door

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// factsOf are a descriptor's.
func factsOf(fd int) facts {
	if f, ok := streamFacts(fd); ok {
		return f
	}
	return fileFacts(fd)
}

// streamTo is a stream to a copy of f, and the client's end of its call.
func streamTo(t *testing.T, f *os.File) (*Stream, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client := os.NewFile(uintptr(fds[1]), "client")
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStream(fd, factsOf(fd), &Call{fd: fds[0]})
	if err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		client.Close()
		unix.Close(fds[0])
	})
	return s, client
}

func pipeOf(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func stream(t *testing.T) (r, w *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// All that is written is read, also if it is much more than there is room for, and if a pipe does not support
// RWF_NOWAIT.
func TestStream(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, open := range map[string]func(*testing.T) (r, w *os.File){"pipe": pipeOf, "old pipe": pipeOf, "socket": stream} {
		t.Run(name, func(t *testing.T) {
			r, w := open(t)
			s, _ := streamTo(t, w)
			s.plain = name == "old pipe"
			w.Close()
			read := make(chan []byte, 1)
			go func() {
				got, _ := io.ReadAll(r)
				read <- got
			}()
			if n, err := s.Write(data); n != len(data) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
			if got := <-read; !bytes.Equal(got, data) {
				t.Errorf("%d bytes came out", len(got))
			}
		})
	}
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, _ := streamTo(t, f)
	if n, err := s.Write(data); n != len(data) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Without a reader the writing ends when the client goes, and not before.
func TestStreamStalled(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (r, w *os.File){"pipe": pipeOf, "socket": stream} {
		t.Run(name, func(t *testing.T) {
			_, w := open(t)
			s, client := streamTo(t, w)
			// The pipe is full.
			for set := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}; ; {
				if n, err := poll.Wait(set, nil, 0); err != nil {
					t.Fatal(err)
				} else if n == 0 {
					break
				}
				if _, err := s.write(make([]byte, pipeBuf)); err != nil && !errors.Is(err, unix.EAGAIN) {
					t.Fatal(err)
				}
			}
			if err := s.call.Gone(); err != nil {
				t.Error(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := s.Write([]byte("x"))
				ended <- err
			}()
			client.Close()
			if err := <-ended; !errors.Is(err, ErrGone) { // before that it could only have been written
				t.Errorf("%v", err)
			}
			if err := s.call.Gone(); !errors.Is(err, ErrGone) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStreamNoReader(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (r, w *os.File){"pipe": pipeOf, "socket": stream} {
		t.Run(name, func(t *testing.T) {
			r, w := open(t)
			s, _ := streamTo(t, w)
			r.Close()
			if _, err := s.Write(make([]byte, 1<<20)); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStreamRefuses(t *testing.T) {
	readOnly, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	device, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	datagrams := os.NewFile(uintptr(fds[0]), "datagrams")
	defer datagrams.Close()
	defer unix.Close(fds[1])
	path, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(path)
	for name, fd := range map[string]int{
		"for reading": int(readOnly.Fd()), "device": int(device.Fd()), "datagrams": int(datagrams.Fd()), "path": path, "closed": 1 << 20,
	} {
		// A stream returned with an error would close a descriptor of the caller, which has closed it.
		if s, err := newStream(fd, factsOf(fd), &Call{}); err == nil || s != nil {
			t.Errorf("%s: %+v", name, s)
		} else if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeDescriptor {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package door

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// acceptPause is the time between two tries of Accept after an error that passes, such as that the process has no
// descriptor left.
const acceptPause = 100 * time.Millisecond

// A Listener accepts calls from a listening socket.
type Listener struct {
	// FirstDescriptor is the lowest number that the descriptors of calls get, as long as one is free: memcached
	// uses those below it.
	FirstDescriptor int

	fd     int
	mu     sync.Mutex // held while Accept uses fd, and by Close to close it
	closed atomic.Bool
}

// NewListener makes a Listener of fd, a listening socket of type
// SOCK_SEQPACKET. It takes ownership of fd: Close closes it, and so does
// NewListener when it fails. It sets O_NONBLOCK on it.
func NewListener(fd int) (*Listener, error) {
	if err := checkListening(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	// Without it accept4 would block when another process that has the socket, such as the parent of memcached -d,
	// accepts the connection that poll announced.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &Listener{fd: fd}, nil
}

func checkListening(fd int) error {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if typ != unix.SOCK_SEQPACKET || listening == 0 {
		return fmt.Errorf("descriptor %d is not a listening socket of type SOCK_SEQPACKET", fd)
	}
	return nil
}

// Accept waits for a client and returns its call, which the caller closes. It returns an error only when no call can
// come any more: [ErrClosed] after Close, or the system call's error when fd is no longer a listening socket. After an
// error that passes, such as EMFILE, it tries again; the clients stay in the backlog meanwhile.
func (l *Listener) Accept() (*Call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed.Load() {
			return nil, ErrClosed
		}
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == nil {
			if c := newCall(moved(fd, l.FirstDescriptor)); c != nil {
				c.firstDescriptor = l.FirstDescriptor
				return c, nil
			}
			continue
		}
		if err := l.wait(err); err != nil {
			return nil, err
		}
	}
}

// moved gives a descriptor a number that is not below first, if one is free.
func moved(fd, first int) int {
	high := duplicated(fd, first)
	if high != fd {
		unix.Close(fd)
	}
	return high
}

// duplicated returns a duplicate of a descriptor with a number that is not below first; or fd itself, if its number is
// not, or no such number is free.
func duplicated(fd, first int) int {
	if fd >= first {
		return fd
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first)
	if err != nil {
		return fd
	}
	return high
}

// wait waits until accept4, which failed with an error, is to be tried again. It returns the error if that does not
// pass.
func (l *Listener) wait(failed error) error {
	set := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	limit := time.Duration(-1)
	switch {
	case errors.Is(failed, unix.EAGAIN):
	case errors.Is(failed, unix.EINTR):
		return nil
	case errors.Is(failed, unix.EBADF), errors.Is(failed, unix.EINVAL),
		errors.Is(failed, unix.ENOTSOCK), errors.Is(failed, unix.EOPNOTSUPP):
		// accept(2): fd cannot be accepted from. EINVAL is also the answer
		// after Close shut the socket down.
		if l.closed.Load() {
			return ErrClosed
		}
		return os.NewSyscallError("accept4", failed)
	default:
		// The client still waits, so that POLLIN would return at once. POLLRDHUP is for Close.
		set[0].Events, limit = unix.POLLRDHUP, acceptPause
	}
	_, err := poll.Wait(set, nil, limit)
	return err
}

// Close ends a waiting Accept and closes the socket. It does not unlink the
// path. The second call does nothing.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	// Wakes Accept from poll; from here on clients are refused (ECONNREFUSED).
	shutdown := unix.Shutdown(l.fd, unix.SHUT_RDWR)
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(os.NewSyscallError("shutdown", shutdown), os.NewSyscallError("close", unix.Close(l.fd)))
}

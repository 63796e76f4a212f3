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

// backOff is how long Accept waits after an error that only time can mend,
// such as a process that is out of descriptors.
const backOff = 100 * time.Millisecond

// A Listener takes calls from a listening socket.
type Listener struct {
	// From is the first of the numbers that descriptors of calls are moved to, if it is not 0:
	// those before it are wanted by others in the process.
	From int

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
	// Without it accept4 would block when whoever shares the socket, such as
	// the parent of memcached -d, takes the connection that poll announced.
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

// Accept waits for a client and returns its call, which the caller must close.
// It returns an error only when no call can ever come again: [ErrClosed] after
// Close, or the system call's error when fd is no listening socket any more.
// What passes, such as EMFILE, is waited out; the clients stay in the backlog
// meanwhile.
func (l *Listener) Accept() (*Call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed.Load() {
			return nil, ErrClosed
		}
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == nil {
			if c := newCall(moved(fd, l.From)); c != nil {
				c.from = l.From
				return c, nil
			}
			continue
		}
		if err := l.wait(err); err != nil {
			return nil, err
		}
	}
}

// moved gives a descriptor a number from from on, where there is one.
func moved(fd, from int) int {
	high := duplicated(fd, from)
	if high != fd {
		unix.Close(fd)
	}
	return high
}

// duplicated returns a duplicate of a descriptor with a number from from on, or fd itself, if that has one or none is free.
func duplicated(fd, from int) int {
	if fd >= from {
		return fd
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, from)
	if err != nil {
		return fd
	}
	return high
}

// wait waits until accept4 is worth another try, after it failed with cause.
func (l *Listener) wait(cause error) error {
	set := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	limit := time.Duration(-1)
	switch {
	case errors.Is(cause, unix.EAGAIN):
	case errors.Is(cause, unix.EINTR):
		return nil
	case errors.Is(cause, unix.EBADF), errors.Is(cause, unix.EINVAL),
		errors.Is(cause, unix.ENOTSOCK), errors.Is(cause, unix.EOPNOTSUPP):
		// accept(2): fd cannot be accepted from. EINVAL is also the answer
		// after Close shut the socket down.
		if l.closed.Load() {
			return ErrClosed
		}
		return os.NewSyscallError("accept4", cause)
	default:
		// The client still waits, so POLLIN would return at once, and again.
		// POLLRDHUP is there for Close.
		set[0].Events, limit = unix.POLLRDHUP, backOff
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
	// Wakes Accept from poll; from here on clients are refused.
	shutdown := unix.Shutdown(l.fd, unix.SHUT_RDWR)
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(os.NewSyscallError("shutdown", shutdown), os.NewSyscallError("close", unix.Close(l.fd)))
}

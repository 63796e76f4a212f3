package door

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// pipeBuf is how much a pipe takes without waiting when poll(2) says that it takes
// anything (pipe(7): PIPE_BUF).
const pipeBuf = 4096

// Stream is what a client passed for a dump to be written to: a regular file, a pipe or a
// stream socket. Its open file description is the client's, too, and nothing here changes its
// flags.
type Stream struct {
	fd   int
	mode uint32 // unix.S_IFREG, S_IFIFO or S_IFSOCK
	// plain says that pwritev2 cannot say RWF_NOWAIT of this pipe (before Linux 6.4).
	plain bool
	call  *Call
}

// newStream checks whether fd can be written, and makes a Stream of it, which owns it then. When
// it fails fd stays the caller's and the error is an [*Error].
func newStream(fd int, call *Call) (*Stream, error) {
	const hint = "pass a file, a pipe or a stream socket that is open for writing"
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	if mode := flags & unix.O_ACCMODE; flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, hint, "the descriptor is not open for writing")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	s := &Stream{fd: fd, mode: st.Mode & unix.S_IFMT, call: call}
	switch s.mode {
	case unix.S_IFREG, unix.S_IFIFO:
		return s, nil
	case unix.S_IFSOCK:
		return s, checkSocket(fd)
	}
	return nil, fail(CodeDescriptor, hint, "the descriptor is of a kind that a dump is not written to (mode %#o)", st.Mode)
}

// Write writes all of p. A reader that does not read makes it wait, but not longer than the
// client waits: the error is [ErrGone] then.
func (s *Stream) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if err := s.wait(); err != nil {
			return written, err
		}
		n, err := retry(func() (int, error) { return s.write(p[written:]) })
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return written, os.NewSyscallError("write", err)
		}
		written += max(n, 0)
	}
	return written, nil
}

// Gone says whether the client still waits: its error is [ErrGone] then.
func (s *Stream) Gone() error {
	set := []unix.PollFd{{Fd: int32(s.call.fd), Events: unix.POLLRDHUP}}
	if n, err := poll.Wait(set, nil, 0); err != nil || n == 0 {
		return err
	}
	return ErrGone
}

// wait waits until a write does not have to.
func (s *Stream) wait() error {
	set := []unix.PollFd{
		{Fd: int32(s.fd), Events: unix.POLLOUT},
		{Fd: int32(s.call.fd), Events: unix.POLLRDHUP},
	}
	if _, err := poll.Wait(set, nil, -1); err != nil {
		return err
	}
	if set[1].Revents != 0 {
		return ErrGone
	}
	return nil
}

// write makes one system call that does not wait.
func (s *Stream) write(p []byte) (int, error) {
	switch s.mode {
	case unix.S_IFSOCK:
		return unix.SendmsgN(s.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	case unix.S_IFIFO:
		if !s.plain {
			n, err := unix.Pwritev2(s.fd, [][]byte{p}, -1, unix.RWF_NOWAIT)
			switch {
			case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
				s.plain = true // as for an Input: it cannot, the kernel is old, or a sandbox forbids it
			default:
				return n, err
			}
		}
		p = p[:min(len(p), pipeBuf)]
	}
	return unix.Write(s.fd, p)
}

// close closes the descriptor. The second call does nothing.
func (s *Stream) close() error {
	if s.fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", unix.Close(s.fd))
	s.fd = -1
	return err
}

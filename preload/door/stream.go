package door

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// pipeBuf is how many bytes a pipe takes without blocking when poll(2) says that it is
// writable (pipe(7): PIPE_BUF).
const pipeBuf = 4096

// Stream is what a client passed for a dump: a regular file, a pipe or a
// stream socket. The client shares its open file description, whose flags
// are not changed.
type Stream struct {
	fd   int
	mode uint32 // unix.S_IFREG, S_IFIFO or S_IFSOCK
	// plain says that pwritev2 does not support RWF_NOWAIT for this pipe (before Linux 6.4).
	plain bool
	call  *Call
	task  *task // of a file, or a plain pipe: the last write
}

// newStream checks whether fd can be written, and makes a Stream of it, which owns it then. When
// it fails, the caller owns fd, and the error is an [*Error].
func newStream(fd int, f facts, call *Call) (*Stream, error) {
	const hint = "pass a file, a pipe or a stream socket that is open for writing"
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	if mode := flags & unix.O_ACCMODE; flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, hint, "the descriptor is not open for writing")
	}
	if f.err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", f.err)
	}
	s := &Stream{fd: fd, mode: f.kind(), call: call}
	switch s.mode {
	case unix.S_IFREG, unix.S_IFIFO:
		return s, nil
	case unix.S_IFSOCK:
		if err := checkSocket(fd); err != nil {
			return nil, err
		}
		return s, nil
	}
	return nil, fail(CodeDescriptor, hint, "the descriptor is of a kind that a dump cannot be written to (mode %#o)", f.stat.Mode)
}

// Write writes all of p. It waits for a slow reader until the client has gone: the error is [ErrGone] then, the task
// keeps p, and every later Write fails.
func (s *Stream) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if err := s.wait(); err != nil {
			return written, err
		}
		n, err := retry(func() (int, error) { return s.write(p[written:]) })
		if errors.Is(err, ErrGone) {
			return written, err
		}
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return written, os.NewSyscallError("write", err)
		}
		written += max(n, 0)
	}
	return written, nil
}

// wait waits until a pipe or a socket is writable. It returns ErrGone if the client has gone.
func (s *Stream) wait() error {
	if !s.task.ended() {
		return ErrGone
	}
	if s.mode == unix.S_IFREG {
		return s.call.Gone()
	}
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

// write makes one system call, and waits for it until the client has gone.
func (s *Stream) write(p []byte) (int, error) {
	switch {
	case s.mode == unix.S_IFSOCK:
		return unix.SendmsgN(s.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	case s.mode == unix.S_IFIFO && !s.plain:
		n, err := unix.Pwritev2(s.fd, [][]byte{p}, -1, unix.RWF_NOWAIT)
		if !noNowait(err) {
			return n, err
		}
		s.plain = true
	}
	if s.mode == unix.S_IFIFO {
		p = p[:min(len(p), pipeBuf)]
	}
	fd := s.fd
	s.task = start(func() (int, error) { return unix.Write(fd, p) })
	if err := s.call.await(s.task); err != nil {
		return 0, err
	}
	return s.task.n, s.task.err
}

// close closes the descriptor. The second call does nothing.
func (s *Stream) close() error {
	if s.fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", closeFiles(s.task, s.fd))
	s.fd = -1
	return err
}

package door

import (
	"os"

	"golang.org/x/sys/unix"
)

// Output is a file that a client passed, for writing. Its offset is the client's too.
type Output struct{ fd int }

// newOutput checks whether fd can be written, and makes an Output of it, which owns it
// then. Only regular files can: nothing else is sure not to make memcached wait for
// somebody who does not read. When it fails fd stays the caller's and the error is an
// [*Error].
func newOutput(fd int) (*Output, error) {
	const hint = "pass a regular file that is open for writing"
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor for rejects cannot be examined: %v", err)
	}
	mode := flags & unix.O_ACCMODE
	if flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, hint, "the descriptor for rejects is not open for writing")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor for rejects cannot be examined: %v", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fail(CodeDescriptor, hint, "the descriptor for rejects is not a regular file")
	}
	return &Output{fd: fd}, nil
}

// Empty says that nothing stands in the file.
func (o *Output) Empty() bool {
	var st unix.Stat_t
	return unix.Fstat(o.fd, &st) == nil && st.Size == 0
}

// Write writes all of p at the file's offset. Beyond a limit of the process's files the
// error is EFBIG: the signal for it (setrlimit(2), SIGXFSZ) is blocked on Go's threads.
func (o *Output) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := retry(func() (int, error) { return unix.Write(o.fd, p[written:]) })
		if err != nil {
			return written, os.NewSyscallError("write", err)
		}
		written += n
	}
	return written, nil
}

// close closes the descriptor. The second call does nothing.
func (o *Output) close() error {
	if o.fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", unix.Close(o.fd))
	o.fd = -1
	return err
}

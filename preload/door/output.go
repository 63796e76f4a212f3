package door

import (
	"os"

	"golang.org/x/sys/unix"
)

// Output is a file that a client passed, for writing. The client has the same offset.
type Output struct {
	fd    int
	empty bool
	call  *Call
	task  *task // the write that was left behind, or nil
}

// newOutput checks whether fd can be written, and makes an Output of it, which owns it
// then. It takes regular files only: the reader of another one may not read. When it fails, the caller owns fd, and the
// error is an [*Error].
func newOutput(fd int, f facts, call *Call) (*Output, error) {
	const hint = "pass a regular file that is open for writing"
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor for rejects cannot be examined: %v", err)
	}
	mode := flags & unix.O_ACCMODE
	if flags&unix.O_PATH != 0 || mode != unix.O_WRONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, hint, "the descriptor for rejects is not open for writing")
	}
	if f.err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor for rejects cannot be examined: %v", f.err)
	}
	if f.kind() != unix.S_IFREG {
		return nil, fail(CodeDescriptor, hint, "the descriptor for rejects is not a regular file")
	}
	return &Output{fd: fd, empty: f.stat.Size == 0, call: call}, nil
}

// Empty reports whether the file was empty when it was received, and nothing was written since.
func (o *Output) Empty() bool { return o.empty }

// Write writes all of p at the file's offset. It returns [ErrGone] when the client has gone before it is written: the
// task keeps p then, and every later Write fails. Beyond the process's limit of file size the
// error is EFBIG: the signal for it (setrlimit(2), SIGXFSZ) is blocked on Go's threads.
func (o *Output) Write(p []byte) (int, error) {
	if !o.task.ended() {
		return 0, ErrGone
	}
	fd := o.fd
	o.task = start(func() (int, error) { return writeFile(fd, p) })
	if err := o.call.await(o.task); err != nil {
		return 0, err
	}
	o.empty = o.empty && o.task.n == 0
	return o.task.n, o.task.err
}

// writeFile writes all of p to a file.
func writeFile(fd int, p []byte) (written int, err error) {
	for written < len(p) {
		n, err := retry(func() (int, error) { return unix.Write(fd, p[written:]) })
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
	err := os.NewSyscallError("close", closeFiles(o.task, o.fd))
	o.fd = -1
	return err
}

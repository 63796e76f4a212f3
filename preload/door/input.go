package door

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readBytes is how many bytes of a file are read at once.
const readBytes = 256 << 10

// Input is the descriptor that a client passed, for reading. Its open file
// description is the client's too: reading moves the offset for both, and
// nothing here changes its flags.
type Input struct {
	fd   int // -1 after Close
	kind inputKind
	call *Call
	facts

	// Of a file. Its reads are tasks, with memory that only they use, for one that is left behind may still write to
	// it. While the bytes of one read are taken, the next one runs.
	task    *task     // the read that runs, or nil
	buffers [2][]byte // that of the task, and that of the read before
	data    []byte    // of the second, what was read and is not taken
	err     error     // of the last read
	seekTo  int64     // the offset of the next read; -1: the end of the last one
}

type inputKind int

const (
	inputFile   inputKind = iota // anything whose read may block
	inputStream                  // a pipe
	inputSocket
)

// newInput checks whether fd can be read, and makes an Input of it, which owns
// it then. When it fails fd stays the caller's and the error is an [*Error].
func newInput(fd int, f facts, call *Call) (*Input, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	// O_PATH comes before the access mode, which is O_RDONLY then and means nothing.
	if flags&unix.O_PATH != 0 {
		return nil, fail(CodeDescriptor, "open it for reading", "the descriptor is only a path (O_PATH)")
	}
	// Linux has a fourth mode besides O_WRONLY, 3, that does not allow to read.
	if mode := flags & unix.O_ACCMODE; mode != unix.O_RDONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, "open it for reading", "the descriptor is not open for reading")
	}
	if f.err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", f.err)
	}
	kind, err := kindOf(fd, f)
	if err != nil {
		return nil, err
	}
	return &Input{fd: fd, kind: kind, call: call, facts: f, seekTo: -1}, nil
}

// kindOf says how fd is to be read.
func kindOf(fd int, f facts) (inputKind, error) {
	switch f.kind() {
	case unix.S_IFREG, unix.S_IFBLK:
		return inputFile, nil
	case unix.S_IFIFO:
		return inputStream, nil
	case unix.S_IFCHR:
		// A read by a process that is not of the terminal's foreground group
		// stops it (SIGTTIN) or fails (EIO), and the process is memcached.
		if f.terminal {
			return 0, fail(CodeDescriptor, "pass a pipe, as in: cat | client", "the descriptor is a terminal, which memcached cannot read")
		}
		return inputFile, nil
	case unix.S_IFSOCK:
		return inputSocket, checkSocket(fd)
	case unix.S_IFDIR:
		return 0, fail(CodeDescriptor, "pass a file", "the descriptor is a directory")
	case 0:
		return 0, fail(CodeDescriptor, "pass a file, a pipe or a stream socket",
			"the descriptor has no bytes to read: it is an epoll, eventfd or similar one")
	}
	return 0, fail(CodeDescriptor, "pass a file, a pipe or a stream socket", "the descriptor is of a kind that cannot be read (mode %#o)", f.stat.Mode)
}

// checkSocket rejects sockets that are not a stream of bytes. A datagram that
// is longer than the buffer for it loses its end, without an error.
func checkSocket(fd int) error {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	if typ != unix.SOCK_STREAM {
		return fail(CodeDescriptor, "pass a stream socket", "the descriptor is a socket of datagrams, not a stream")
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listening != 0 {
		return fail(CodeDescriptor, "pass a connected socket", "the descriptor is a listening socket")
	}
	return nil
}

// ready reports whether TryRead has something to read now, an error included. If not, it may have when the channel
// ended is closed, or, if that is nil, when the descriptor is readable.
func (in *Input) ready() (now bool, ended <-chan struct{}) {
	switch {
	case in.fd < 0:
		return true, nil
	case in.kind != inputFile:
		return false, nil
	case in.collect() || in.task == nil:
		return true, nil
	}
	return false, in.task.done
}

// begin begins to read n bytes of a file at most.
func (in *Input) begin(n int) {
	n = min(n, readBytes)
	if len(in.buffers[0]) < n {
		in.buffers[0] = make([]byte, n)
	}
	fd, client, buffer, seekTo := in.fd, in.call.fd, in.buffers[0][:n], in.seekTo
	if in.call.request.Detach {
		client = -1
	}
	in.seekTo = -1
	in.task = start(func() (int, error) {
		if seekTo >= 0 {
			if _, err := unix.Seek(fd, seekTo, unix.SEEK_SET); err != nil {
				return 0, os.NewSyscallError("lseek", err)
			}
		}
		n, err := readFile(fd, client, buffer)
		if n == 0 && err == nil {
			err = io.EOF
		}
		return n, err
	})
}

// collect takes over the bytes of a read that has ended, if those of the read before are taken, and begins the next
// one. It reports whether there are bytes or an error.
func (in *Input) collect() bool {
	if in.task != nil && len(in.data) == 0 && in.task.ended() {
		n, err := max(in.task.n, 0), in.task.err
		in.task = nil
		in.buffers[0], in.buffers[1] = in.buffers[1], in.buffers[0]
		if in.seekTo < 0 { // else it has read at the wrong offset
			in.data, in.err = in.buffers[1][:n], err
		}
		if len(in.data) > 0 && in.err == nil {
			in.begin(n)
		}
	}
	return len(in.data) > 0 || in.err != nil
}

// FileID identifies a regular file, and its last change.
type FileID struct {
	Dev, Ino uint64
	Size     int64
	Changed  unix.Timespec // st_ctim: a program can set st_mtim back (inode(7))
}

// FileID is the input's, as it was when it came; ok is false if it is not a regular file.
func (in *Input) FileID() (id FileID, ok bool) {
	st := &in.stat
	if in.facts.kind() != unix.S_IFREG {
		return FileID{}, false
	}
	return FileID{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Changed: st.Ctim}, true
}

// SeekTo makes the next read of a regular file begin at offset. The client has the same offset.
func (in *Input) SeekTo(offset int64) {
	in.seekTo, in.data, in.err = offset, nil, nil
}

// Left is how many bytes a regular file had from its offset to its end when it was received; -1 for
// anything else, whose end is not known.
func (in *Input) Left() int64 {
	if in.facts.kind() != unix.S_IFREG || in.at < 0 || in.fd < 0 {
		return -1
	}
	return max(in.stat.Size-in.at, 0)
}

// Read reads what there is, waiting for the first byte. It is an [io.Reader].
// It returns [ErrGone] when the client has gone, also if there is
// something to read, unless the request says detach.
func (in *Input) Read(p []byte) (int, error) {
	for {
		ready, err := in.call.Wait(true, -1, -1)
		if err != nil {
			return 0, err
		}
		if ready.Gone && !in.call.request.Detach {
			return 0, ErrGone
		}
		n, err := in.TryRead(p)
		if !errors.Is(err, ErrNoInput) {
			return n, err
		}
	}
}

// TryRead reads what there is and does not wait: the error is [ErrNoInput] if there is nothing yet, [io.EOF] at the
// end. It is called when [Call.Wait] says that there is input. The first call for a file begins to read, and has
// nothing yet. Another reader of the same pipe may have been faster.
func (in *Input) TryRead(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := retry(func() (int, error) { return in.read(p) })
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, ErrNoInput
	case err == io.EOF, errors.Is(err, ErrGone):
		return 0, err
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// read reads without blocking.
func (in *Input) read(p []byte) (int, error) {
	if in.fd < 0 {
		return 0, unix.EBADF
	}
	switch in.kind {
	case inputSocket:
		// No room for control messages: descriptors sent into the stream are
		// then closed by the kernel.
		n, _, err := unix.Recvfrom(in.fd, p, unix.MSG_DONTWAIT)
		return n, err
	case inputStream:
		n, err := unix.Preadv2(in.fd, [][]byte{p}, -1, unix.RWF_NOWAIT)
		if !noNowait(err) {
			return n, err
		}
		in.kind = inputFile
		return 0, unix.EAGAIN
	}
	if !in.collect() {
		if in.task == nil {
			in.begin(len(p))
		}
		return 0, unix.EAGAIN
	}
	if n := copy(p, in.data); n > 0 {
		in.data = in.data[n:]
		return n, nil
	}
	err := in.err
	in.err = nil
	return 0, err
}

// noNowait reports whether the error says that RWF_NOWAIT is not supported: by the file (pipes before Linux 6.4), by
// the kernel, or by a sandbox that forbids the call.
func noNowait(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM)
}

// Close closes the descriptor. The second call does nothing.
func (in *Input) Close() error {
	if in.fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", closeFiles(in.task, in.fd))
	in.fd = -1
	return err
}

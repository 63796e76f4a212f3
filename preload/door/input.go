package door

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Input is the descriptor that a client passed, for reading. Its open file
// description is the client's too: reading moves the offset for both, and
// nothing here changes its flags.
type Input struct {
	fd    int // -1 after Close
	kind  inputKind
	plain bool // preadv2 cannot say RWF_NOWAIT on this one
	call  *Call
}

type inputKind int

const (
	inputFile   inputKind = iota // a regular file or a block device: poll(2) says nothing about these
	inputStream                  // a pipe or a character device
	inputSocket
)

// newInput checks whether fd can be read, and makes an Input of it, which owns
// it then. When it fails fd stays the caller's and the error is an [*Error].
func newInput(fd int) (*Input, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	// O_PATH before the access mode, which is O_RDONLY there but means nothing.
	if flags&unix.O_PATH != 0 {
		return nil, fail(CodeDescriptor, "open it for reading", "the descriptor is only a path (O_PATH)")
	}
	// Not "is O_WRONLY": Linux has a fourth mode, 3, that allows neither.
	if mode := flags & unix.O_ACCMODE; mode != unix.O_RDONLY && mode != unix.O_RDWR {
		return nil, fail(CodeDescriptor, "open it for reading", "the descriptor is not open for reading")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fail(CodeDescriptor, "", "the descriptor cannot be examined: %v", err)
	}
	kind, err := kindOf(fd, st.Mode)
	if err != nil {
		return nil, err
	}
	return &Input{fd: fd, kind: kind}, nil
}

// kindOf says how fd, a file of the given mode, is to be read.
func kindOf(fd int, mode uint32) (inputKind, error) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFBLK:
		return inputFile, nil
	case unix.S_IFIFO:
		return inputStream, nil
	case unix.S_IFCHR:
		// A read by a process that is not of the terminal's foreground group
		// stops it (SIGTTIN) or fails (EIO), and the process is memcached.
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return 0, fail(CodeDescriptor, "pass a pipe, as in: cat | client", "the descriptor is a terminal, which memcached cannot read")
		}
		return inputStream, nil
	case unix.S_IFSOCK:
		return inputSocket, checkSocket(fd)
	case unix.S_IFDIR:
		return 0, fail(CodeDescriptor, "pass a file", "the descriptor is a directory")
	case 0:
		return 0, fail(CodeDescriptor, "pass a file, a pipe or a stream socket",
			"the descriptor has no bytes to read: it is an epoll, eventfd or similar one")
	}
	return 0, fail(CodeDescriptor, "pass a file, a pipe or a stream socket", "the descriptor is of a kind that cannot be read (mode %#o)", mode)
}

// checkSocket refuses sockets that are not a stream of bytes. A datagram that
// is longer than the buffer it is read into loses its end, without an error.
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

// instant reports whether reading never has to wait for a writer, so that
// there is nothing to poll for. A closed input has its error ready.
func (in *Input) instant() bool { return in.kind == inputFile || in.fd < 0 }

// FileID says which regular file an input is, as it was last changed.
type FileID struct {
	Dev, Ino uint64
	Size     int64
	Changed  unix.Timespec
}

// FileID is the input's; ok is false if it is not a regular file.
func (in *Input) FileID() (id FileID, ok bool) {
	var st unix.Stat_t
	if err := unix.Fstat(in.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return FileID{}, false
	}
	return FileID{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Changed: st.Mtim}, true
}

// SeekTo makes the next read of a regular file begin at offset. It does so for the client, too.
func (in *Input) SeekTo(offset int64) error {
	_, err := unix.Seek(in.fd, offset, unix.SEEK_SET)
	return os.NewSyscallError("lseek", err)
}

// Left is how many bytes there are from here to the end of a regular file; -1 for
// anything else, whose end is not known.
func (in *Input) Left() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(in.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1
	}
	at, err := unix.Seek(in.fd, 0, unix.SEEK_CUR)
	if err != nil {
		return -1
	}
	return max(st.Size-at, 0)
}

// Read reads what there is, waiting for the first byte. It is an [io.Reader].
// It returns [ErrGone] when the client goes away, also if there would be
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

// TryRead reads what there is and does not wait: the error is [ErrNoInput] if
// there is nothing yet, [io.EOF] at the end. Call it when [Call.Wait] says that
// there is input; somebody else who reads from the same pipe may have been
// faster. Only on kernels whose pipes do not know RWF_NOWAIT (before Linux
// 6.4), and on devices, can it then wait for the next writer after all.
func (in *Input) TryRead(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := retry(func() (int, error) { return in.read(p) })
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, ErrNoInput
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// read makes one system call that does not block, as far as there is one.
func (in *Input) read(p []byte) (int, error) {
	switch {
	case in.kind == inputSocket:
		// No room for control messages: descriptors sent into the stream are
		// then closed by the kernel.
		n, _, err := unix.Recvfrom(in.fd, p, unix.MSG_DONTWAIT)
		return n, err
	case in.kind == inputStream && !in.plain:
		n, err := unix.Preadv2(in.fd, [][]byte{p}, -1, unix.RWF_NOWAIT)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
			// The file cannot, the kernel is old, or a sandbox forbids the
			// call. read(2) after poll(2) is the next best.
			in.plain = true
		default:
			return n, err
		}
	}
	return unix.Read(in.fd, p)
}

// Close closes the descriptor. The second call does nothing.
func (in *Input) Close() error {
	if in.fd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", unix.Close(in.fd))
	in.fd = -1
	return err
}

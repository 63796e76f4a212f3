package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/descriptor"
)

// maxPath is the longest path in a socket address, without the zero at its end.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// A Conn is the client's side of one call. Close and Cancel may be called
// while another goroutine waits in Next.
type Conn struct {
	file *os.File
	raw  syscall.RawConn
}

// Dial connects to the door at path. It waits as long as the door's backlog is
// full. The error is one of [ErrNoDoor], [ErrStale], [ErrPermission],
// [ErrNotDoor] and [ErrPath], wrapped with the path, or another one.
func Dial(path string) (*Conn, error) {
	if path == "" || len(path) > maxPath || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%q: %w", path, ErrPath)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := connect(fd, path); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", path, dialError(path, err))
	}
	// From here on the runtime's poller waits, so that Close ends a Next. The
	// flag is set for this end of the connection only.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), path)
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Conn{file: file, raw: raw}, nil
}

func connect(fd int, path string) error {
	if path[0] == '@' {
		// Not an address in the abstract namespace, as package unix has it,
		// but a file of that name.
		path = "./" + path
	}
	_, err := retry(func() (int, error) { return 0, unix.Connect(fd, &unix.SockaddrUnix{Name: path}) })
	return err
}

// dialError says what the error of connect(2) means for a door.
func dialError(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return ErrNoDoor
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return ErrPermission
	case errors.Is(err, unix.EPROTOTYPE), errors.Is(err, unix.ENOTSOCK):
		return ErrNotDoor
	case errors.Is(err, unix.ECONNREFUSED):
		// Linux returns it for a socket without a listener, and for every
		// file that is not a socket.
		if info, statErr := os.Stat(path); statErr == nil && info.Mode().Type() != os.ModeSocket {
			return ErrNotDoor
		}
		return ErrStale
	}
	return os.NewSyscallError("connect", err)
}

// Call sends the request, and files with it. The caller owns the files, and may
// close them when Call has returned. It is no error yet if the door has hung up before it read
// the request: it may have sent an error, which [Conn.Next] returns.
func (c *Conn) Call(req Request, files ...*os.File) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if len(data) > MaxRequest {
		return fmt.Errorf("the request has %d bytes, more than %d", len(data), MaxRequest)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		if err = descriptor.With(f, func(fd int) { fds[i] = fd }); err != nil { // the caller keeps it open
			return err
		}
	}
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	var sent error
	err = c.raw.Write(func(fd uintptr) bool {
		_, sent = retry(func() (int, error) {
			return unix.SendmsgN(int(fd), data, control, nil, unix.MSG_NOSIGNAL)
		})
		return !errors.Is(sent, unix.EAGAIN)
	})
	runtime.KeepAlive(files)
	switch {
	case err != nil:
		return err
	case errors.Is(sent, unix.EPIPE), errors.Is(sent, unix.ECONNRESET):
		return nil
	}
	return os.NewSyscallError("sendmsg", sent)
}

// Next waits for the next reply. Without an error it is progress, a result or
// a status. The error is the [*Error] of a failed call; [ErrLost] if the
// connection ended before the final reply; and another one after Close.
func (c *Conn) Next() (Reply, error) {
	data := make([]byte, MaxReply)
	n, flags, err := c.receive(data)
	if err != nil {
		return Reply{}, err
	}
	if n == 0 {
		return Reply{}, ErrLost
	}
	if flags&unix.MSG_TRUNC != 0 {
		return Reply{}, fail(CodeVersion, "", "the library's reply is longer than %d bytes", MaxReply)
	}
	return parseReply(data[:n])
}

// receive receives one message; 0 bytes are the end.
func (c *Conn) receive(data []byte) (n, flags int, err error) {
	var got error
	resets := 0
	err = c.raw.Read(func(fd uintptr) bool {
		for {
			// Without room for control messages the kernel discards them.
			n, _, flags, _, got = unix.Recvmsg(int(fd), data, nil, 0)
			switch {
			case errors.Is(got, unix.EINTR):
				continue
			case errors.Is(got, unix.ECONNRESET) && resets == 0:
				// The door has hung up without having read everything that was
				// sent. The kernel reports that once, before its last message.
				resets++
				continue
			}
			return !errors.Is(got, unix.EAGAIN)
		}
	})
	switch {
	case err != nil:
		return 0, 0, err
	case errors.Is(got, unix.ECONNRESET):
		return 0, 0, nil
	}
	return n, flags, os.NewSyscallError("recvmsg", got)
}

// parseReply decodes a reply, and checks that it has what its type says.
func parseReply(data []byte) (Reply, error) {
	var r Reply
	if err := json.Unmarshal(data, &r); err != nil {
		return Reply{}, fail(CodeVersion, "use the client that came with the library in memcached", "the library's reply is malformed: %v", err)
	}
	switch {
	case r.Error != nil:
		// Of any version: a library of another version says so with an error.
		return r, r.Error
	case r.Version != Protocol:
		return r, fail(CodeVersion, "use the client that came with the library in memcached",
			"the library's reply is of version %d; this client speaks version %d", r.Version, Protocol)
	case (r.Type == TypeProgress || r.Type == TypeResult) && (r.Load != nil || r.Dump != nil || r.Changed != nil || r.Hot != nil), r.Type == TypeStatus && r.Status != nil:
		return r, nil
	}
	return r, fail(CodeVersion, "use the client that came with the library in memcached",
		"the library's reply is of a type that this client does not know: %s", clip.Quote(r.Type))
}

// Peer is the process that made the door, 0 if that is outside our PID namespace (unix(7):
// SO_PEERCRED). With memcached -d that is the parent of the process behind the door.
func (c *Conn) Peer() (pid int32) {
	_ = c.raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = peer.Pid
		}
	})
	return pid
}

// Taken reports whether the library has received the request.
func (c *Conn) Taken() (taken bool) {
	_ = c.raw.Control(func(fd uintptr) {
		unread, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) // SIOCOUTQ, as in Progress
		taken = err == nil && unread == 0
	})
	return taken
}

// Cancel cancels the call: what is stored stays, and the result
// still comes. A detached load does not stop.
func (c *Conn) Cancel() error {
	var shut error
	err := c.raw.Control(func(fd uintptr) { shut = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, os.NewSyscallError("shutdown", shut))
}

// Close closes the connection, which cancels a call that has not ended.
func (c *Conn) Close() error { return c.file.Close() }

package unpack

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/descriptor"
)

// lookPause is the time between two looks at a pipe whose first bytes do not tell the kind yet: poll does not wait for the
// next one.
const lookPause = 5 * time.Millisecond

// Look returns the kind of the bytes that f begins with, from its offset on. It takes none of them, and changes nothing of
// f. It waits until the first byte is there, or the end of it. What cannot be looked at has the kind None.
func Look(f *os.File) (kind Kind, err error) {
	failed := descriptor.With(f, func(fd int) {
		switch typeOf(fd) {
		case unix.S_IFREG, unix.S_IFBLK:
			kind, err = lookAtFile(fd)
		case unix.S_IFIFO:
			kind, err = lookAtPipe(fd)
		case unix.S_IFSOCK:
			kind, err = lookAtStream(fd, func(head []byte) (int, error) {
				n, _, err := unix.Recvfrom(fd, head, unix.MSG_PEEK|unix.MSG_DONTWAIT)
				return n, err
			})
		}
	})
	if failed != nil {
		return None, failed
	}
	return kind, err
}

// typeOf is the type of a file that can be read, as in st_mode (inode(7)); 0: it cannot be read, or is a socket without a
// stream of bytes.
func typeOf(fd int) uint32 {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if mode := flags & unix.O_ACCMODE; err != nil || flags&unix.O_PATH != 0 || mode != unix.O_RDONLY && mode != unix.O_RDWR {
		return 0
	}
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return 0
	}
	kind := stat.Mode & unix.S_IFMT
	if kind == unix.S_IFSOCK {
		if typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || typ != unix.SOCK_STREAM {
			return 0
		}
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens != 0 {
			return 0
		}
	}
	return kind
}

func lookAtFile(fd int) (Kind, error) {
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	if err != nil {
		return None, os.NewSyscallError("lseek", err)
	}
	head := make([]byte, headMax)
	n, err := unix.Pread(fd, head, at)
	if err != nil {
		return None, nil // memcached's read fails, too, and says so
	}
	kind, _ := kindOf(head[:n], true)
	return kind, nil
}

// lookAtPipe copies the first bytes of a pipe into another one (tee(2)).
func lookAtPipe(fd int) (Kind, error) {
	var p [2]int
	if unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return None, nil // the user has no room for more pipes (pipe(7))
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	return lookAtStream(fd, func(head []byte) (int, error) {
		n, err := unix.Tee(fd, p[1], len(head), unix.SPLICE_F_NONBLOCK)
		if n <= 0 || err != nil {
			return 0, err
		}
		return unix.Read(p[0], head[:n])
	})
}

// lookAtStream looks with peek until the kind is known.
func lookAtStream(fd int, peek func(head []byte) (int, error)) (Kind, error) {
	head := make([]byte, headMax)
	for {
		events, err := wait(fd)
		if err != nil {
			return None, os.NewSyscallError("poll", err)
		}
		n, err := peek(head)
		switch {
		case err == unix.EAGAIN && events&unix.POLLIN == 0 && events != 0:
			return None, nil // a pipe whose writers are gone
		case err == unix.EAGAIN, err == unix.EINTR: // another reader was faster
			n = 0
		case err != nil:
			return None, nil // it cannot be looked at
		case n == 0:
			return None, nil // the end
		}
		if kind, known := kindOf(head[:n], events&(unix.POLLHUP|unix.POLLRDHUP) != 0); known && n > 0 {
			return kind, nil
		}
		time.Sleep(lookPause)
	}
}

// wait waits until there is something to read, or the end.
func wait(fd int) (events int16, err error) {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	for {
		if _, err = unix.Poll(set, -1); err != unix.EINTR {
			return set[0].Revents, err
		}
	}
}

package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/poll"
)

const (
	// maxLine is the limit of an answer, in bytes; the longest has the longest key in it.
	maxLine = 4096
	// maxPending is the limit of the answers, in bytes, that are kept while commands are sent:
	// a batch's, each of them short.
	maxPending = 1 << 20
)

var (
	errSilent = errors.New("no answer")
	errClosed = errors.New("it closes the connection")
)

// conn is a connection to memcached.  It reads while it writes: memcached stops
// reading when its answers are not taken.
type conn struct {
	fd    int
	in    []byte        // answers that were read and not used
	limit time.Duration // how long memcached may take for an answer; if total, for all together

	total  bool
	waited time.Duration // for this answer; if total, for all so far
	gone   func() error  // if not nil, looked for while it waits: its error ends that

	// What memcached stated of itself when it was greeted.
	itemSizeMax uint64 // bytes (-I)
	chunkMax    uint64 // bytes of an item of one piece (-o slab_chunk_max)
	usesCAS     bool   // items have a CAS unique: it runs without -C
	hasCAS      bool   // items get the CAS unique that is asked for
	deletesCAS  bool   // "md" compares it
	clock       int64  // its time then, in seconds
	greeted     time.Time
}

// connections is how many connections to memcached there are. Any thread may open or close one.
var connections atomic.Int64

// connect connects; it waits for limit at most.
func connect(at Address, limit time.Duration) (*conn, error) {
	return (&conn{limit: limit}).connect(at)
}

// connect connects a new conn, which it returns.
func (c *conn) connect(at Address) (*conn, error) {
	family, to := unix.AF_UNIX, at.Sockaddr
	switch a := at.Sockaddr.(type) { // unix.Connect writes into what it gets, and others connect to the same address
	case *unix.SockaddrInet4:
		own := *a
		family, to = unix.AF_INET, &own
	case *unix.SockaddrInet6:
		own := *a
		family, to = unix.AF_INET6, &own
	case *unix.SockaddrUnix:
		own := *a
		to = &own
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c.fd = fd
	connections.Add(1)
	err = unix.Connect(fd, to)
	if err == unix.EINPROGRESS {
		if _, err = c.poll(unix.POLLOUT); err == nil {
			var n int
			if n, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
				err = syscall.Errno(n)
			}
		}
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	if family == unix.AF_UNIX {
		// Another process may listen at a path by now.
		if cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil || int(cred.Pid) != os.Getpid() {
			c.close()
			return nil, errors.New("another process listens there")
		}
	} else {
		// Else a batch's last segment would wait for the answer to the one before.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	return c, nil
}

func (c *conn) close() {
	connections.Add(-1)
	unix.Close(c.fd)
}

// poll waits for one of the events.
func (c *conn) poll(events int16) (int16, error) {
	set := []unix.PollFd{{Fd: int32(c.fd), Events: events}}
	if !c.total {
		c.waited = 0
	}
	for part := c.limit / answerParts; c.waited < c.limit; {
		began := time.Now()
		n, err := poll.Wait(set, nil, min(part, c.limit-c.waited))
		c.waited += min(time.Since(began), part)
		if err != nil || n > 0 {
			return set[0].Revents, err
		}
		if c.gone != nil {
			if err := c.gone(); err != nil {
				return 0, err
			}
		}
	}
	return 0, fmt.Errorf("%w within %v", errSilent, c.limit)
}

// send writes all of a text. It takes nothing else: other bytes might be commands by accident.
func (c *conn) send(text meta.Text) error {
	for p := text.Bytes(); len(p) > 0; {
		n, err := unix.Write(c.fd, p)
		switch {
		case err == nil:
			p = p[n:]
			continue
		case err == unix.EINTR:
			continue
		case err != unix.EAGAIN:
			return fmt.Errorf("%w (write: %w)", errClosed, err)
		}
		ready, err := c.poll(unix.POLLIN | unix.POLLOUT)
		if err != nil {
			return err
		}
		if ready&^unix.POLLOUT == 0 {
			continue
		}
		if len(c.in) > maxPending {
			return errors.New("it answers what it was not asked")
		}
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

// read reads what there is.
func (c *conn) read() error {
	var room [16 << 10]byte
	for {
		n, err := unix.Read(c.fd, room[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return fmt.Errorf("%w (read: %w)", errClosed, err)
		case n == 0:
			return errClosed
		}
		c.in = append(c.in, room[:n]...)
		return nil
	}
}

// line returns the next line of answers without its end; it is valid until the
// next call of a method.
func (c *conn) line() ([]byte, error) {
	for {
		if n := bytes.IndexByte(c.in, '\n'); n >= 0 {
			line := bytes.TrimSuffix(c.in[:n], []byte("\r"))
			c.in = c.in[n+1:]
			return line, nil
		}
		if len(c.in) > maxLine {
			return nil, fmt.Errorf("it answers %s", clip.Quote(c.in))
		}
		if _, err := c.poll(unix.POLLIN); err != nil {
			return nil, err
		}
		if err := c.read(); err != nil {
			if errors.Is(err, errClosed) && len(c.in) > 0 {
				err = fmt.Errorf("%w after %s", err, clip.Quote(c.in))
			}
			return nil, err
		}
	}
}

// stale reports whether an idle connection was closed, or has sent something that was
// not asked for.
func (c *conn) stale() bool {
	var one [1]byte
	_, _, err := unix.Recvfrom(c.fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != unix.EAGAIN || len(c.in) > 0
}

// noop reads the answer to "mn".
func (c *conn) noop() error {
	line, err := c.line()
	if err == nil && string(line) != "MN" {
		err = unexpected(line)
	}
	return err
}

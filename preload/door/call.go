package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

const (
	// receiveLimit is how long a client has to send its request.
	receiveLimit = 10 * time.Second

	// finishLimit is how long Finish waits for a client that does not read.
	finishLimit = 30 * time.Second
)

// Peer is the process at the other end, as it was when it connected (unix(7),
// SO_PEERCRED). The PID is 0 when that process is outside our PID namespace.
type Peer struct {
	PID int32
	UID uint32
	GID uint32
}

// A Call is one connection of a client: a request, then replies. Its methods
// are for one goroutine at a time, except Progress, which may run together with
// Wait and with reads of the input.
type Call struct {
	// Peer is the client. It is known before anything is read.
	Peer Peer

	// Input is the descriptor that came with the request; nil before Receive
	// succeeded, and for an operation that takes none. Close closes it.
	Input *Input

	// Rejects and Reasons are the files that a load writes, or nil. Close closes them.
	Rejects, Reasons *Output

	// Output is what a dump is written to, or nil. Close closes it.
	Output *Stream

	// Admit, if not nil, is called when the request is known, before its descriptors are examined; its error is
	// that of Receive.
	Admit func(Request) error

	fd              int // the connection; -1 after Close
	firstDescriptor int // see Listener
	hurry           chan struct{}
	request         Request
	gone            bool // Wait has seen that the client has gone
	receiveWithin   time.Duration
	finishWithin    time.Duration
}

// newCall makes a Call of an accepted connection, which it owns from then on.
// It returns nil, with the connection closed, if the connection has no client any more.
func newCall(fd int) *Call {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		unix.Close(fd)
		return nil
	}
	return &Call{
		Peer:          Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid},
		fd:            fd,
		hurry:         make(chan struct{}),
		receiveWithin: receiveLimit,
		finishWithin:  finishLimit,
	}
}

// Hurry makes a Receive that has no request end 250 ms after it began. It may be called from any goroutine, once.
func (c *Call) Hurry() { close(c.hurry) }

// Ready is what a [Call.Wait] has seen.
type Ready struct {
	Input bool // the input has bytes, its end, or an error for the next read
	Done  bool // the done descriptor is readable
	Gone  bool // the client closed the connection or its sending side
}

// Wait waits until there is something to do, at most for limit, for ever if
// limit is negative; when the limit has passed it returns the zero Ready and
// no error. It watches three things at once: the input, if input is true; the
// descriptor done, such as an eventfd, unless it is negative; and the client.
// It reads none of them. The caller owns done, and reads it.
//
// That the client has gone ends one Wait only. Every later one reports it
// too, but does not end for it: a call that continues without its client
// (detach) waits for the rest.
func (c *Call) Wait(input bool, done int, limit time.Duration) (Ready, error) {
	// poll(2) ignores a negative descriptor and reports nothing for it.
	set := []unix.PollFd{
		{Fd: int32(c.fd), Events: unix.POLLRDHUP},
		{Fd: -1, Events: unix.POLLIN},
		{Fd: int32(max(done, -1)), Events: unix.POLLIN},
	}
	if c.gone {
		set[0].Fd = -1
	}
	var now bool
	var ended <-chan struct{}
	if input = input && c.Input != nil; input {
		now, ended = c.Input.ready()
	}
	switch {
	case now:
		limit = 0
	case ended != nil && c.gone && c.request.Detach:
		slow := time.Until(c.Input.task.began.Add(detachedLimit))
		if slow <= 0 {
			return Ready{}, errSlow
		}
		if limit < 0 || slow < limit {
			limit = slow
		}
	case input && ended == nil:
		set[1].Fd = int32(c.Input.fd)
	}
	if _, err := poll.Wait(set, ended, limit); err != nil {
		return Ready{}, err
	}
	now = now || ended != nil && c.Input.collect()
	// POLLHUP, POLLERR and POLLNVAL come unasked, and are as good as POLLIN:
	// the read that follows says what they mean.
	c.gone = c.gone || set[0].Revents != 0
	return Ready{
		Input: now || set[1].Revents != 0,
		Done:  set[2].Revents != 0,
		Gone:  c.gone,
	}, nil
}

// Gone returns [ErrGone] if the client has gone.
func (c *Call) Gone() error {
	set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	if n, err := poll.Wait(set, nil, 0); err != nil || n == 0 {
		return err
	}
	return ErrGone
}

// Progress sends the counts so far, if the request asks for progress. It never
// waits: a message is dropped while the client has not read the one before.
// So a slow client finds at most one old message before its result, and there
// is room for the result. It reports whether it sent one.
func (c *Call) Progress(r Reply) bool {
	if !c.request.Progress {
		return false
	}
	// For sockets it is called SIOCOUTQ (<linux/sockios.h>): the bytes that were sent and
	// are not read yet.
	if unread, err := unix.IoctlGetInt(c.fd, unix.TIOCOUTQ); err != nil || unread > 0 {
		return false
	}
	r.Version, r.Type = Protocol, TypeProgress
	data, err := json.Marshal(r)
	if err != nil || len(data) > MaxReply {
		return false
	}
	return c.send(data) == nil
}

// Finish sends the final reply, whose Version and Type it fills in: the Type
// follows from which of its pointers is set. For a client
// that does not read it waits 30 s at most. It returns [ErrGone] when
// the client has gone. It does not close the call.
func (c *Call) Finish(r Reply) error {
	data, err := encode(r)
	if err != nil {
		// Without any reply the client takes memcached for dead.
		data, _ = encode(Reply{Error: fail(CodeInternal, "", "the reply could not be sent: %v", err)})
	}
	deadline := time.Now().Add(c.finishWithin)
	for {
		sent := c.send(data)
		if !errors.Is(sent, unix.EAGAIN) {
			return errors.Join(err, sent)
		}
		set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
		n, perr := poll.Wait(set, nil, max(time.Until(deadline), 0))
		if perr != nil {
			return perr
		}
		if n == 0 {
			return fmt.Errorf("the client did not take its reply within %s", c.finishWithin)
		}
	}
}

// encode makes the message of a final reply.
func encode(r Reply) ([]byte, error) {
	r.Version = Protocol
	switch {
	case r.Error != nil:
		r.Type = TypeError
	case r.Status != nil:
		r.Type = TypeStatus
	case r.Load != nil, r.Dump != nil, r.Changed != nil, r.Hot != nil:
		r.Type = TypeResult
	default:
		return nil, errors.New("it is empty")
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxReply {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(data), MaxReply)
	}
	return data, nil
}

// Fail is Finish with an error: one that has an [*Error] in its chain is sent
// as that, any other with the code "internal".
func (c *Call) Fail(err error) error {
	return c.Finish(Reply{Error: asError(err)})
}

// send sends one message without waiting for room (EAGAIN). With MSG_NOSIGNAL memcached gets no
// SIGPIPE.
func (c *Call) send(data []byte) error {
	_, err := retry(func() (int, error) {
		return unix.SendmsgN(c.fd, data, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return ErrGone
	case err != nil:
		return os.NewSyscallError("sendmsg", err)
	}
	return nil
}

// Close closes the connection, the input and the outputs. One with which the kernel is still busy is left behind. The
// second call does nothing.
func (c *Call) Close() error {
	if c.fd < 0 {
		return nil
	}
	var err error
	if c.Input != nil && !c.Input.task.ended() { // the task watches the connection
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
		err = os.NewSyscallError("close", closeFiles(c.Input.task, c.Input.fd, c.fd))
		c.Input.fd = -1
	} else {
		err = os.NewSyscallError("close", unix.Close(c.fd))
		if c.Input != nil {
			err = errors.Join(err, c.Input.Close())
		}
	}
	c.fd = -1
	for _, out := range []*Output{c.Rejects, c.Reasons} {
		if out != nil {
			err = errors.Join(err, out.close())
		}
	}
	if c.Output != nil {
		err = errors.Join(err, c.Output.close())
	}
	return err
}

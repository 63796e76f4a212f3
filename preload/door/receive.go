package door

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// hurryLimit is how long a client that was accepted has to send its request when others wait; on a busy machine, too,
// that takes milliseconds. The time does not begin with Hurry: a hundred silent clients would have it one after the
// other.
const hurryLimit = 250 * time.Millisecond

// roomForDescriptors is how many descriptors a message can have at least: more than a request may have, so that too
// many are reported as too many; but few, for each takes a number from memcached until it is closed.
const roomForDescriptors = 4

// roomForControl has room for credentials, too: they come first if the maker of the socket has set SO_PASSCRED.
var roomForControl = unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(4*roomForDescriptors)

// message is what recvmsg(2) has received. Its owner closes its descriptors.
type message struct {
	data  []byte
	fds   []int
	flags int // MSG_TRUNC, MSG_CTRUNC
}

// Receive waits for the request, at most 10 s, and checks it. The descriptors that
// come with it become Input, Rejects, Reasons and Output. The error is [ErrGone] if the
// client left without a request; an [*Error] for the client, which
// the caller sends (see [Call.Fail]); or that of a system call.
// After an error none of the client's descriptors is open.
func (c *Call) Receive() (Request, error) {
	m, err := c.receiveMessage()
	if err != nil {
		return Request{}, err
	}
	req, err := checkMessage(m)
	if err == nil && c.Admit != nil {
		err = c.Admit(req)
	}
	if err != nil {
		discard(m.fds)
		return Request{}, err
	}
	c.request = req
	return req, c.adopt(m.fds)
}

// receiveMessage waits for one message and takes everything that comes with it.
func (c *Call) receiveMessage() (message, error) {
	data := make([]byte, MaxRequest)
	// If the message has no room for descriptors, the kernel drops them, and no close can block here.
	full := closing.Load() >= closingMax
	var control []byte
	if !full {
		control = make([]byte, roomForControl)
	}
	set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	began := time.Now()
	deadline, hurry := began.Add(c.receiveWithin), (<-chan struct{})(c.hurry)
	for {
		ready, err := poll.Wait(set, hurry, max(time.Until(deadline), 0))
		if err != nil {
			return message{}, err
		}
		if ready == 0 && hurry != nil && time.Now().Before(deadline) {
			deadline, hurry = began.Add(hurryLimit), nil
			continue
		}
		if ready == 0 && hurry == nil {
			return message{}, fail(CodeBusy, "", "no request came, and other clients are waiting")
		}
		if ready == 0 {
			return message{}, fail(CodeRequest, "", "no request came within %s", c.receiveWithin)
		}
		// Never MSG_PEEK: it would install another descriptor for each.
		n, oobn, flags, _, err := unix.Recvmsg(c.fd, data, control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECONNRESET):
			return message{}, ErrGone
		case err != nil:
			return message{}, os.NewSyscallError("recvmsg", err)
		}
		if full && flags&unix.MSG_CTRUNC != 0 {
			return message{}, fail(CodeBusy, "see why the files do not answer", "the descriptors of %d rejected calls are not closed yet: no others are accepted", closingMax)
		}
		m := message{data: data[:n], fds: descriptors(control[:oobn]), flags: flags}
		// For the end recvmsg returns 0, as for an empty message.
		if n == 0 && oobn == 0 && flags&unix.MSG_CTRUNC == 0 && c.hungUp() {
			return message{}, ErrGone
		}
		return m, nil
	}
}

// hungUp reports whether the client has closed its sending side.
func (c *Call) hungUp() bool {
	set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	n, err := poll.Wait(set, nil, 0)
	return err == nil && n > 0
}

// descriptors collects the descriptors of all control messages. The client chooses how many of
// either it sends, and each descriptor is open here.
func descriptors(control []byte) []int {
	var fds []int
	for len(control) >= unix.CmsgLen(0) {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		control = rest
		passed, err := unix.ParseUnixRights(&unix.SocketControlMessage{Header: header, Data: data})
		if err != nil {
			continue // of another kind, such as SCM_CREDENTIALS
		}
		fds = append(fds, passed...)
	}
	return fds
}

// adopt makes the call own the descriptors of its request, or closes them when it returns an error.
func (c *Call) adopt(fds []int) error {
	if len(fds) == 0 {
		return nil
	}
	all, user, err := c.examine(fds)
	switch {
	case err != nil:
	case c.request.Op == OpDump:
		c.Output, err = newStream(fds[0], all[0], c)
		if err == nil && c.request.Keys {
			c.Input, err = newInput(fds[1], all[1], c)
		}
		if err != nil {
			c.Output = nil
		}
	case c.request.Op != OpLoad:
		c.Input, err = newInput(fds[0], all[0], c)
	default:
		err = c.adoptLoad(fds, all)
	}
	switch {
	case user != nil:
		_ = closeFiles(user, fds...)
	case err != nil:
		discard(fds)
	}
	return err
}

func (c *Call) adoptLoad(fds []int, all []facts) error {
	input, err := newInput(fds[0], all[0], c)
	if err != nil {
		return err
	}
	outputs := make([]*Output, 2)
	for i, fd := range fds[1:] {
		if outputs[i], err = newOutput(fd, all[i+1], c); err != nil {
			return err
		}
	}
	c.Input, c.Rejects, c.Reasons = input, outputs[0], outputs[1]
	return nil
}

// checkMessage checks a message that has been received in full, and the number of its descriptors.
func checkMessage(m message) (Request, error) {
	if m.flags&unix.MSG_TRUNC != 0 {
		return Request{}, fail(CodeRequest, "", "the request is longer than %d bytes", MaxRequest)
	}
	req, err := parseRequest(m.data)
	if err != nil {
		return Request{}, err
	}
	wanted, with, order := req.descriptors()
	switch {
	case len(m.fds) > wanted && wanted == 0:
		return Request{}, fail(CodeDescriptor, "", "the op %s does not take a descriptor", req.Op)
	case len(m.fds) > wanted && wanted == 1:
		return Request{}, fail(CodeDescriptor, "make one call for each", "the op %s takes one descriptor, not several", req.Op)
	case len(m.fds) > wanted:
		return Request{}, fail(CodeDescriptor, "", "the op %s with %s takes %d descriptors, and more came", req.Op, with, wanted)
	case m.flags&unix.MSG_CTRUNC != 0:
		return Request{}, descriptorLost()
	case len(m.fds) < wanted && wanted > 1:
		return Request{}, fail(CodeDescriptor, "pass "+order+", in this order", "the op %s with %s takes %d descriptors, and %d came", req.Op, with, wanted, len(m.fds))
	case len(m.fds) < wanted:
		return Request{}, fail(CodeDescriptor, "pass the descriptor that is to be read, or written, in the same message (SCM_RIGHTS)",
			"the op %s takes a descriptor, and none came", req.Op)
	}
	return req, nil
}

// descriptors is how many descriptors come with the request; if there are several, with is the option that makes them
// so many, and order what they are.
func (r *Request) descriptors() (n int, with, order string) {
	switch {
	case r.Op == OpLoad && r.Rejects:
		return 3, "rejects", "the input, the file for the rejected rows and the file for the reasons"
	case r.Op == OpDump && r.Keys:
		return 2, "keys", "the output and the keys"
	case r.Op == OpLoad, r.Op == OpDump, r.Keys:
		return 1, "", ""
	}
	return 0, "", ""
}

// descriptorLost finds the reason for which a descriptor that was sent was not received. The kernel
// does not say it: recvmsg succeeds with MSG_CTRUNC, and fewer descriptors than were
// sent. Whether another one can be opened tells the reasons apart.
func descriptorLost() *Error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return fail(CodeDescriptor, "a security module such as SELinux or AppArmor may forbid it: see the kernel's log",
			"the kernel did not let the descriptor into memcached")
	}
	return fail(CodeDescriptor, "raise memcached's limit of open files, or lower its number of connections (-c)",
		"too many open files in memcached")
}

// Package poll waits for descriptors without a thread for each that waits. A thread in poll(2)
// is one that Go makes another for, and Go never ends a thread that has nothing to do: here one
// epoll(7) is asked by one goroutine for all.
//
// It is for descriptors whose poll never blocks in the kernel: sockets, pipes, eventfds.
package poll

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// poller is the process's; its descriptor is opened by Open and stays.
var poller struct {
	mu      sync.Mutex
	fd      int // good when waiting is made
	next    uint64
	waiting map[uint64]chan struct{} // by what the kernel reports of a descriptor
}

// Open opens the epoll descriptor, the only one that this package keeps, with a number from from on, if there is
// one. Wait does it, too: whoever wants to choose the moment and the number calls Open before. After an error it
// may be called again.
func Open(from int) error {
	poller.mu.Lock()
	defer poller.mu.Unlock()
	if poller.waiting != nil {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, from); err == nil {
		unix.Close(fd)
		fd = high
	}
	poller.fd, poller.waiting = fd, make(map[uint64]chan struct{})
	go dispatch(fd)
	return nil
}

// dispatch wakes who waits for what happens at the epoll descriptor fd, for ever.
func dispatch(fd int) {
	events := make([]unix.EpollEvent, 64)
	for {
		n, _ := unix.EpollWait(fd, events, -1) // EINTR is all that it may say: n is -1 then
		poller.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			// The number is used once: what comes late for somebody who has left wakes nobody.
			if wake, ok := poller.waiting[number(e)]; ok {
				close(wake)
				delete(poller.waiting, number(e))
			}
		}
		poller.mu.Unlock()
	}
}

// number is what an event carries as epoll_data; unix.EpollEvent has it in two halves.
func number(e unix.EpollEvent) uint64 { return uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd)) }

// Wait is poll(2): it waits until a descriptor of set is ready, at most for limit, for ever if
// limit is negative, and returns how many are. A descriptor below 0 is none. It also ends, with what is ready then,
// when something comes from wake, or wake is closed; nil never wakes. A signal does not end it.
//
// The descriptors stay the caller's, who must not close them meanwhile, nor wait for one of them
// in two calls at a time.
func Wait(set []unix.PollFd, wake <-chan struct{}, limit time.Duration) (int, error) {
	var expired <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		n, err := look(set, 0)
		if err == nil && n == 0 && wake == nil && (limit < 0 || limit > 10*short) {
			n, err = lookShortly(set)
		}
		if err != nil || n > 0 || limit == 0 {
			return n, err
		}
		ready, leave, err := watch(set)
		if err != nil {
			return 0, err
		}
		select {
		case <-ready: // look says what it was; somebody else may have taken it, too
			leave()
		case <-wake:
			leave()
			return look(set, 0)
		case <-expired:
			leave()
			return look(set, 0)
		}
	}
}

const (
	// short is how long a thread waits itself before the poller does for it: most waits of a load or a dump
	// are shorter than that, and to be woken by the poller costs as much.
	short = time.Millisecond
	// shortMax is how many threads do so at once, for Go makes another one for each.
	shortMax = 2
)

var waitingShortly atomic.Int32

// lookShortly fills in what is ready within a moment, or now where enough others wait like that.
func lookShortly(set []unix.PollFd) (int, error) {
	defer waitingShortly.Add(-1)
	if waitingShortly.Add(1) > shortMax {
		return 0, nil
	}
	return look(set, int(short.Milliseconds()))
}

// look fills in what is ready, now or within some milliseconds.
func look(set []unix.PollFd, milliseconds int) (int, error) {
	for {
		n, err := unix.Poll(set, milliseconds)
		if !errors.Is(err, unix.EINTR) {
			return n, os.NewSyscallError("poll", err)
		}
	}
}

// watch returns a channel that is closed when a descriptor of set is ready; leave ends the
// watching.
func watch(set []unix.PollFd) (ready <-chan struct{}, leave func(), err error) {
	if err := Open(0); err != nil {
		return nil, nil, err
	}
	wake := make(chan struct{})
	poller.mu.Lock()
	poller.next++
	me, epoll := poller.next, poller.fd
	poller.waiting[me] = wake
	poller.mu.Unlock()
	watched := 0
	leave = func() {
		for _, p := range set[:watched] {
			if p.Fd >= 0 {
				_ = unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, int(p.Fd), nil)
			}
		}
		poller.mu.Lock()
		delete(poller.waiting, me)
		poller.mu.Unlock()
	}
	for _, p := range set {
		if p.Fd >= 0 {
			// The bits of poll(2) and epoll(7) are the same.
			event := unix.EpollEvent{Events: uint32(p.Events) | unix.EPOLLONESHOT, Fd: int32(uint32(me)), Pad: int32(uint32(me >> 32))}
			if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(p.Fd), &event); err != nil {
				leave()
				return nil, nil, os.NewSyscallError("epoll_ctl", err)
			}
		}
		watched++
	}
	return wake, leave, nil
}

// Readable waits until fd has something to read, however long that takes.
func Readable(fd int) error {
	_, err := Wait([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, nil, -1)
	return err
}

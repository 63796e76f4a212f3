// Package poll waits for descriptors without a thread for each wait. For a thread in poll(2)
// Go makes another one, and it never ends an idle thread. Here one goroutine waits in
// epoll(7) for all.
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

// poller is the process's poller. Open opens its descriptor, which is never closed.
var poller struct {
	mu      sync.Mutex
	fd      int // valid when waiting is not nil
	next    uint64
	waiting map[uint64]chan struct{} // by the number that the events of a Wait carry
}

// Open opens the epoll descriptor, the only one that this package keeps, with a number that is not below first, if one
// is free. Wait opens it, too; Open chooses when, and the number. After an error it may be called again.
func Open(first int) error {
	poller.mu.Lock()
	defer poller.mu.Unlock()
	if poller.waiting != nil {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first); err == nil {
		unix.Close(fd)
		fd = high
	}
	poller.fd, poller.waiting = fd, make(map[uint64]chan struct{})
	go dispatch(fd)
	return nil
}

// dispatch wakes the Waits for the events of the epoll descriptor fd, for ever.
func dispatch(fd int) {
	events := make([]unix.EpollEvent, 64)
	for {
		n, _ := unix.EpollWait(fd, events, -1) // the only error is EINTR, with n -1
		poller.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			// A number is used once: an event that comes too late for its Wait is dropped.
			if wake, ok := poller.waiting[number(e)]; ok {
				close(wake)
				delete(poller.waiting, number(e))
			}
		}
		poller.mu.Unlock()
	}
}

// number is the epoll_data of an event; unix.EpollEvent has it in two halves.
func number(e unix.EpollEvent) uint64 { return uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd)) }

// Wait is poll(2): it waits until a descriptor of set is ready, at most for limit, for ever if
// limit is negative, and returns how many are. Descriptors below 0 are left out. It also ends, with what is ready then,
// when wake has a value or is closed; nil never wakes. A signal does not end it.
//
// The caller owns the descriptors, and must not close one meanwhile, nor wait for it in two calls at the same
// time.
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
		case <-ready: // look finds what is ready, if that has not changed
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
	// short is how long a thread waits in poll(2) before the poller waits for it: most waits of a load or a dump
	// are shorter, and waking by the poller takes as long.
	short = time.Millisecond
	// shortMax is how many threads do so at once: Go makes another thread for each.
	shortMax = 2
)

var waitingShortly atomic.Int32

// lookShortly fills in what is ready within short, or now if shortMax others wait like that.
func lookShortly(set []unix.PollFd) (int, error) {
	defer waitingShortly.Add(-1)
	if waitingShortly.Add(1) > shortMax {
		return 0, nil
	}
	return look(set, int(short.Milliseconds()))
}

// look fills in what is ready within milliseconds, which may be 0.
func look(set []unix.PollFd, milliseconds int) (int, error) {
	for {
		n, err := unix.Poll(set, milliseconds)
		if !errors.Is(err, unix.EINTR) {
			return n, os.NewSyscallError("poll", err)
		}
	}
}

// watch returns a channel that is closed when a descriptor of set is ready. leave, which is called once, stops
// that.
func watch(set []unix.PollFd) (ready <-chan struct{}, leave func(), err error) {
	if err := Open(0); err != nil {
		return nil, nil, err
	}
	wake := make(chan struct{})
	poller.mu.Lock()
	poller.next++
	number, epoll := poller.next, poller.fd
	poller.waiting[number] = wake
	poller.mu.Unlock()
	watched := 0
	leave = func() {
		for _, p := range set[:watched] {
			if p.Fd >= 0 {
				_ = unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, int(p.Fd), nil)
			}
		}
		poller.mu.Lock()
		delete(poller.waiting, number)
		poller.mu.Unlock()
	}
	for _, p := range set {
		if p.Fd >= 0 {
			// The bits of poll(2) and epoll(7) are the same.
			event := unix.EpollEvent{Events: uint32(p.Events) | unix.EPOLLONESHOT, Fd: int32(uint32(number)), Pad: int32(uint32(number >> 32))}
			if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(p.Fd), &event); err != nil {
				leave()
				return nil, nil, os.NewSyscallError("epoll_ctl", err)
			}
		}
		watched++
	}
	return wake, leave, nil
}

// Readable waits until fd has something to read.
func Readable(fd int) error {
	_, err := Wait([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, nil, -1)
	return err
}

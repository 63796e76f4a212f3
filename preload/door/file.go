package door

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// A file system may block a file's system calls for any time (NFS, FUSE, /proc/kmsg): read, write and close, but also
// fstat, lseek and poll. The kernel does not give the thread back. So each such system call is a task with its own
// goroutine, and a call whose client has gone leaves the task behind, with the descriptors that it uses. The number of
// tasks that are left behind is bounded: while there are too many, no further file is accepted; if files cannot even be
// closed, no descriptor.
const (
	// leftMax is how many calls may have left tasks behind before files are rejected.
	leftMax = 16
	// closingMax is how many rejected calls may be closing their descriptors before descriptors are no longer received.
	closingMax = 16
	// leaveLimit is how long a call waits for a task, such as closing its descriptors, when its client has gone.
	leaveLimit = 100 * time.Millisecond
	// detachedLimit is how long a task of a detached call may take when its client has gone.
	detachedLimit = time.Minute
	// retryPause is the time between two reads of a file that returns EAGAIN although poll says that it is ready.
	retryPause = 10 * time.Millisecond
)

var left, closing atomic.Int32

// Left is how many tasks are left behind, each with a thread.
func Left() int { return int(left.Load() + closing.Load()) }

// A task is system calls that may block. n and err are valid when done is closed.
type task struct {
	done  chan struct{}
	began time.Time
	n     int
	err   error
}

func start(calls func() (int, error)) *task {
	t := &task{done: make(chan struct{}), began: time.Now()}
	go func() {
		defer close(t.done)
		t.n, t.err = calls()
	}()
	return t
}

// ended reports whether t, which may be nil, has returned.
func (t *task) ended() bool {
	if t == nil {
		return true
	}
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// endsSoon waits for leaveLimit at most, and reports whether t has returned.
func (t *task) endsSoon() bool {
	timer := time.NewTimer(leaveLimit)
	defer timer.Stop()
	select {
	case <-t.done:
		return true
	case <-timer.C:
		return false
	}
}

// discard closes the descriptors of a rejected call.
func discard(fds []int) {
	if len(fds) == 0 {
		return
	}
	closing.Add(1)
	t := start(func() (int, error) {
		defer closing.Add(-1)
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return 0, nil
	})
	t.endsSoon()
}

// closeFiles closes descriptors, after the task that uses them, if that is not nil, has returned. It waits for
// leaveLimit at most, and then leaves them behind.
func closeFiles(user *task, fds ...int) error {
	t := start(func() (int, error) {
		if user != nil {
			<-user.done
		}
		var err error
		for _, fd := range fds {
			err = errors.Join(err, unix.Close(fd))
		}
		return 0, err
	})
	if t.endsSoon() {
		return t.err
	}
	left.Add(1)
	go func() {
		<-t.done
		left.Add(-1)
	}()
	return nil
}

// await waits for t until the client has gone, and for leaveLimit longer. With an error t has not returned.
func (c *Call) await(t *task) error {
	set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	if _, err := poll.Wait(set, t.done, -1); err != nil || t.ended() {
		return err
	}
	end, late := time.Now().Add(leaveLimit), ErrGone
	if c.request.Detach {
		end, late = t.began.Add(detachedLimit), error(errSlow)
	}
	if _, err := poll.Wait(nil, t.done, max(time.Until(end), 0)); err != nil || t.ended() {
		return err
	}
	return late
}

var errSlow = fail(CodeRead, "", "the file has not answered for %v, and the client has gone", detachedLimit)

// facts are the facts of a passed descriptor.
type facts struct {
	stat     unix.Stat_t // of a pipe or a socket only Mode
	at       int64       // the offset of a regular file; -1: there is none
	terminal bool
	err      error
}

func (f *facts) kind() uint32 { return f.stat.Mode & unix.S_IFMT }

// streamFacts returns the facts of a pipe or a socket; ok is false for others. It does not ask a file system, which
// fstat(2) does for a pipe with a path.
func streamFacts(fd int) (f facts, ok bool) {
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		f.stat.Mode = unix.S_IFSOCK
		return f, true
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil {
		f.stat.Mode = unix.S_IFIFO
		return f, true
	}
	return f, false
}

// fileFacts returns the facts of a file.
func fileFacts(fd int) (f facts) {
	f.at = -1
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_PATH != 0 {
		return facts{err: err, at: -1}
	}
	if f.err = unix.Fstat(fd, &f.stat); f.err != nil {
		return f
	}
	switch f.kind() {
	case unix.S_IFREG:
		if at, err := unix.Seek(fd, 0, unix.SEEK_CUR); err == nil {
			f.at = at
		}
	case unix.S_IFCHR:
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		f.terminal = err == nil
	}
	return f
}

// examine returns the facts of descriptors, and moves them to numbers from Listener.FirstDescriptor on, which are in
// fds then. With an error it may return a task that still uses them.
func (c *Call) examine(fds []int) ([]facts, *task, error) {
	all := make([]facts, len(fds))
	var files []int
	for i, fd := range fds {
		var ok bool
		if all[i], ok = streamFacts(fd); ok {
			fds[i] = moved(fd, c.firstDescriptor)
		} else {
			files = append(files, i)
		}
	}
	if len(files) == 0 {
		return all, nil, nil
	}
	if n := left.Load(); n >= leftMax {
		return nil, nil, fail(CodeBusy, "pass a pipe, as in: cat FILE | client, or see why the files do not answer",
			"the files of %d earlier calls have not answered yet: no other file is accepted", n)
	}
	t := start(func() (int, error) {
		for _, i := range files {
			if high := duplicated(fds[i], c.firstDescriptor); high != fds[i] {
				go closeFiles(nil, fds[i]) // not awaited: it may block as any close
				fds[i] = high
			}
			all[i] = fileFacts(fds[i])
		}
		return 0, nil
	})
	if err := c.await(t); err != nil {
		return nil, t, err
	}
	return all, nil, nil
}

// readFile reads once from a file, and may block. If the file can be polled, it first waits for something to read. With
// a client that is not below 0, it returns ErrGone when that has gone.
func readFile(fd, client int, p []byte) (int, error) {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(client), Events: unix.POLLRDHUP}}
	for {
		if _, err := retry(func() (int, error) { return unix.Poll(set, -1) }); err != nil {
			return 0, err
		}
		if set[0].Revents == 0 {
			return 0, ErrGone
		}
		n, err := retry(func() (int, error) { return unix.Read(fd, p) })
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		time.Sleep(retryPause)
	}
}

package door

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// A file's system calls may block for as long as its file system likes (NFS, FUSE, /proc/kmsg): read, write and
// close, but fstat, lseek and poll, too. A thread that the kernel keeps cannot be freed. So each such call is a task
// on a goroutine of its own, and a call whose client has gone leaves it behind, with the descriptors that it uses.
// What is left behind is bounded: while there is too much of it, no further file is taken, and where files cannot
// even be closed, no descriptor.
const (
	// leftMax is how many calls may have left tasks behind before files are refused.
	leftMax = 16
	// refusedMax is how many refused calls may be closing their descriptors before none is received any more.
	refusedMax = 16
	// leaveWithin is how long a call waits for a task, such as closing its descriptors, without its client.
	leaveWithin = 100 * time.Millisecond
	// detachedWithin is how long a task may take when there is no client any more that could give it up.
	detachedWithin = time.Minute
	// tryAgain is the time between two reads of a file that says EAGAIN although poll says that it is ready.
	tryAgain = 10 * time.Millisecond
)

var left, refused atomic.Int32

// Left is how many tasks were left behind, each with a thread.
func Left() int { return int(left.Load() + refused.Load()) }

// A task is system calls that may block. What it returned is good when done is closed.
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

// ended says that t, which may be nil, has returned.
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

// soon says that t returns within a moment.
func (t *task) soon() bool {
	timer := time.NewTimer(leaveWithin)
	defer timer.Stop()
	select {
	case <-t.done:
		return true
	case <-timer.C:
		return false
	}
}

// refuse closes the descriptors of a call that is not served.
func refuse(fds []int) {
	if len(fds) == 0 {
		return
	}
	refused.Add(1)
	t := start(func() (int, error) {
		defer refused.Add(-1)
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		return 0, nil
	})
	t.soon()
}

// closeFiles closes descriptors, as they are when their user, if not nil, has returned. It waits for that a
// moment only, and then leaves them behind.
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
	if t.soon() {
		return t.err
	}
	left.Add(1)
	go func() {
		<-t.done
		left.Add(-1)
	}()
	return nil
}

// await waits for t as long as the client waits for the call, and a moment longer. After an error t is under way.
func (c *Call) await(t *task) error {
	set := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLRDHUP}}
	if _, err := poll.Wait(set, t.done, -1); err != nil || t.ended() {
		return err
	}
	end, late := time.Now().Add(leaveWithin), ErrGone
	if c.request.Detach {
		end, late = t.began.Add(detachedWithin), error(errSlow)
	}
	if _, err := poll.Wait(nil, t.done, max(time.Until(end), 0)); err != nil || t.ended() {
		return err
	}
	return late
}

var errSlow = fail(CodeRead, "", "the file has not answered for %v, and the client has gone", detachedWithin)

// facts are what is to be known of a passed descriptor.
type facts struct {
	stat     unix.Stat_t // only Mode, where it is a pipe or a socket
	at       int64       // the offset of a regular file, -1 where there is none
	terminal bool
	err      error
}

func (f *facts) kind() uint32 { return f.stat.Mode & unix.S_IFMT }

// known returns the facts that no file system is asked for: fstat(2) of a pipe may, if it is at a path.
func known(fd int) (f facts, ok bool) {
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

// learn returns the facts of a file.
func learn(fd int) (f facts) {
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

// examine returns the facts of descriptors, which it moves to the numbers that are the door's (Listener.From): fds
// are the new ones then. When it fails what uses them may still be under way, and is returned.
func (c *Call) examine(fds []int) ([]facts, *task, error) {
	all := make([]facts, len(fds))
	var files []int
	for i, fd := range fds {
		var ok bool
		if all[i], ok = known(fd); ok {
			fds[i] = moved(fd, c.from)
		} else {
			files = append(files, i)
		}
	}
	if len(files) == 0 {
		return all, nil, nil
	}
	if n := left.Load(); n >= leftMax {
		return nil, nil, fail(CodeBusy, "pass a pipe, as in: cat FILE | client, or look why the files do not answer",
			"files of %d earlier calls have not answered yet, no other file is taken", n)
	}
	t := start(func() (int, error) {
		for _, i := range files {
			if high := duplicated(fds[i], c.from); high != fds[i] {
				go closeFiles(nil, fds[i]) // nobody waits for that: it may block as any close
				fds[i] = high
			}
			all[i] = learn(fds[i])
		}
		return 0, nil
	})
	if err := c.await(t); err != nil {
		return nil, t, err
	}
	return all, nil, nil
}

// readFile reads once from what may not be read without blocking. It waits for something to read before,
// where fd can be polled, and not longer than the client does, if that is not below 0.
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
		time.Sleep(tryAgain)
	}
}

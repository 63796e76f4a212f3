package door

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// poll is poll(2): it waits until a descriptor of set is ready, at most for
// limit, for ever if limit is negative, and returns how many are. A signal
// does not end it, nor does it prolong it.
func poll(set []unix.PollFd, limit time.Duration) (int, error) {
	deadline := time.Now().Add(limit)
	for {
		var left *unix.Timespec
		if limit >= 0 {
			ts := unix.NsecToTimespec(int64(max(time.Until(deadline), 0)))
			left = &ts
		}
		n, err := unix.Ppoll(set, left, nil)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("poll", err)
		}
	}
}

// retry calls a system call until it is not interrupted by a signal.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

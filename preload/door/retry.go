package door

import (
	"errors"

	"golang.org/x/sys/unix"
)

// retry calls a system call until it is not interrupted by a signal.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

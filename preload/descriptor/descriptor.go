// Package descriptor lends the descriptor of a file.
package descriptor

import "os"

// With calls a function with the descriptor of f, which stays open until it returns. Unlike f.Fd it does not change
// O_NONBLOCK, which f may share with other processes.
func With(f *os.File, call func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { call(int(fd)) })
}

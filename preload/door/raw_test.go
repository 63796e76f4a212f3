package door

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendEmpty sends a message of no bytes with control messages, for which
// package unix has no function: it would put a zero byte in.
func sendEmpty(fd int, control []byte) error {
	header := unix.Msghdr{Control: &control[0]}
	header.SetControllen(len(control))
	_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&header)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

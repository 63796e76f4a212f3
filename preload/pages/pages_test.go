package pages

import (
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif (<linux/seccomp.h>).
type notification struct {
	id         uint64
	pid, flags uint32
	data       [64]byte
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id           uint64
	val          int64
	error, flags int32
}

// holdMmap makes each mmap(2) of length bytes wait until its notification, which the descriptor has, is answered
// (seccomp_unotify(2)). Go's own have other lengths.
func holdMmap(t *testing.T, length uint32) (listener int) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // struct seccomp_data: nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: unix.SYS_MMAP},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 24}, // the low half of args[1]
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: length},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	fd, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if err != 0 {
		t.Skipf("system calls cannot be held here: %v", os.NewSyscallError("seccomp", err))
	}
	return int(fd)
}

// Many calls that need memory while the kernel is slow have one thread in it.
func TestSlowKernelHasOneThread(t *testing.T) {
	const calls = 30
	const length = 123_457
	listener := holdMmap(t, length)
	made := make(chan error, calls)
	for range calls {
		go func() {
			buffer, err := Resize(nil, length)
			Free(buffer)
			made <- err
		}()
	}
	ioctl := func(request uintptr, argument unsafe.Pointer) {
		if _, _, err := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), request, uintptr(argument)); err != 0 {
			t.Fatal(os.NewSyscallError("ioctl", err))
		}
	}
	var held []notification
	most, slow := 0, true
	for answered := 0; answered < calls; {
		set, limit := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}, 10*time.Second
		if slow && len(held) > 0 {
			limit = 200 * time.Millisecond
		}
		n, err := unix.Poll(set, int(limit.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 && len(held) == 0 {
			t.Fatalf("no system call: %v", err)
		}
		if n > 0 {
			var next notification
			ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&next))
			held = append(held, next)
			most = max(most, len(held))
		}
		if slow = slow && n > 0; slow {
			continue // others may come before one is answered
		}
		for _, h := range held {
			resume := answer{id: h.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
			ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&resume))
			answered++
		}
		held = nil
	}
	for range calls {
		if err := <-made; err != nil {
			t.Error(err)
		}
	}
	if most != 1 {
		t.Errorf("%d calls are in the kernel at once", most)
	}
}

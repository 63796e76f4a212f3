package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The requests of a FUSE file system (linux/fuse.h) that one file makes.
const (
	fuseGetattr = 3
	fuseOpen    = 14
	fuseRead    = 15
	fuseWrite   = 16
	fuseRelease = 18
	fuseFlush   = 25
	fuseInit    = 26
	fusePoll    = 40
)

// A slowFile is a file whose system calls return when it is told to let them: a mount of its own is all there is.
type slowFile struct {
	path    string
	content []byte
	dev     int

	mu      sync.Mutex
	stalled map[uint32]bool // requests that are not answered
	held    [][]byte        // such requests
}

// newSlowFile mounts a file with content. It needs root and /dev/fuse.
func newSlowFile(t *testing.T, content []byte) *slowFile {
	t.Helper()
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("/dev/fuse: %v", err)
	}
	f := &slowFile{path: filepath.Join(t.TempDir(), "slow"), content: content, dev: dev, stalled: map[uint32]bool{}}
	if err := os.WriteFile(f.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", dev, unix.S_IFREG)
	if err := unix.Mount("slow", f.path, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(dev)
		t.Skipf("mounting a FUSE file system: %v", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.serve()
	}()
	t.Cleanup(func() {
		// Whoever still waits has ENOTCONN.
		if err := unix.Unmount(f.path, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		f.stall(false, fuseGetattr, fuseOpen, fuseRead, fuseWrite, fuseFlush)
		<-served
		unix.Close(dev)
	})
	return f
}

// open opens it. os.OpenFile would have the Go runtime's epoll ask this process for it, which may be
// waiting for that epoll itself.
func (f *slowFile) open(t *testing.T, mode int) *os.File {
	t.Helper()
	fd, err := unix.Open(f.path, mode|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.path)
}

// stall makes requests wait, or answers those that do and all to come.
func (f *slowFile) stall(on bool, operations ...uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range operations {
		f.stalled[op] = on
	}
	held := f.held
	f.held = nil
	for _, request := range held {
		f.handle(request)
	}
}

func (f *slowFile) serve() {
	buffer := make([]byte, 1<<20)
	for {
		n, err := unix.Read(f.dev, buffer)
		if err == unix.EINTR || err == unix.ENOENT || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return // it is unmounted
		}
		f.mu.Lock()
		f.handle(append([]byte(nil), buffer[:n]...))
		f.mu.Unlock()
	}
}

// handle answers a request, or holds it.
func (f *slowFile) handle(request []byte) {
	le := binary.NativeEndian
	op, unique, body := le.Uint32(request[4:]), le.Uint64(request[8:]), request[40:]
	if f.stalled[op] {
		f.held = append(f.held, request)
		return
	}
	var answer []byte
	errno := int32(0)
	u32 := func(values ...uint32) {
		for _, v := range values {
			answer = le.AppendUint32(answer, v)
		}
	}
	u64 := func(values ...uint64) {
		for _, v := range values {
			answer = le.AppendUint64(answer, v)
		}
	}
	switch op {
	case fuseInit:
		u32(7, 31, 0, 0, 0, 1<<17, 0, 0) // version, readahead, flags, background, max_write, time_gran, pages
		answer = append(answer, make([]byte, 32)...)
	case fuseGetattr:
		u64(0, 0, 1, uint64(len(f.content)), 0, 0, 0, 0) // valid, ino, size, blocks, times
		u32(0, 0, 0, unix.S_IFREG|0o666, 1, 0, 0, 0, 4096, 0)
	case fuseOpen:
		u64(1)
		u32(1, 0) // FOPEN_DIRECT_IO: each read is a request
	case fuseRead:
		at, size := le.Uint64(body[8:]), le.Uint32(body[16:])
		at = min(at, uint64(len(f.content)))
		answer = append(answer, f.content[at:min(at+uint64(size), uint64(len(f.content)))]...)
	case fuseWrite:
		u32(le.Uint32(body[16:]), 0)
	case fuseFlush, fuseRelease:
	case 2, 36: // FORGET and INTERRUPT have no answer
		return
	default:
		errno = -int32(unix.ENOSYS)
	}
	header := le.AppendUint32(nil, uint32(16+len(answer)))
	header = le.AppendUint32(header, uint32(errno))
	header = le.AppendUint64(header, unique)
	_, _ = unix.Write(f.dev, append(header, answer...))
}

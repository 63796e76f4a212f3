// Package pages allocates buffers that C uses, as whole pages of the kernel's, which gets them back as soon as they are
// freed. malloc(3) keeps what threads have freed, some MB for each thread.
package pages

import (
	"sync"

	"golang.org/x/sys/unix"
)

// mapping is held during each system call here. The kernel changes a process's memory for one thread at a time
// (mmap_lock), and on a busy machine the others wait in the kernel until that one gets a processor again. Go makes
// another thread for each that waits there. So at most one does: the other calls to the door wait for the mutex, which
// takes no thread, and lose nothing, since the kernel would not let them go first.
//
// Of what a call asks the kernel for, only this and a file's system calls (door/file.go) wait: sockets, pipes and
// eventfds are used without blocking (package poll).
var mapping sync.Mutex

// Resize makes memory n bytes long, more than 0; nil: it allocates memory. It keeps the first n bytes, and new bytes
// are 0. It returns the memory, which may have moved, for Free; the old one is no longer valid, except after an error.
func Resize(memory []byte, n int) ([]byte, error) {
	mapping.Lock()
	defer mapping.Unlock()
	if memory == nil {
		return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	}
	return unix.Mremap(memory, n, unix.MREMAP_MAYMOVE)
}

// Free frees memory that Resize has returned, or nil.
func Free(memory []byte) {
	if memory != nil {
		mapping.Lock()
		defer mapping.Unlock()
		_ = unix.Munmap(memory) // its only error is EINVAL, for memory that Resize has not returned
	}
}

// Package pages allocates buffers that C uses, as whole pages of the kernel's, which gets them back as soon as they are
// freed. malloc(3) keeps what threads have freed, some MB for each thread.
package pages

import "golang.org/x/sys/unix"

// Resize makes memory n bytes long, more than 0; nil: it allocates memory. It keeps the first n bytes, and new bytes
// are 0. It returns the memory, which may have moved, for Free; the old one is no longer valid, except after an error.
func Resize(memory []byte, n int) ([]byte, error) {
	if memory == nil {
		return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	}
	return unix.Mremap(memory, n, unix.MREMAP_MAYMOVE)
}

// Free frees memory that Resize has returned, or nil.
func Free(memory []byte) {
	if memory != nil {
		_ = unix.Munmap(memory) // its only error is EINVAL, for memory that Resize has not returned
	}
}

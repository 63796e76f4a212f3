// Package pages is memory for buffers that C sees: whole pages of the kernel's, which has them back
// at once when they are freed. malloc(3) keeps what threads have freed, some MB for each of them.
package pages

import "golang.org/x/sys/unix"

// Resize makes memory n bytes long, more than 0; nil is none yet. What stood in its first n bytes stays, and what
// is new is 0. It returns the memory, which may be at another place, and takes the old one; after an error the old
// one is as it was. Free frees it.
func Resize(memory []byte, n int) ([]byte, error) {
	if memory == nil {
		return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	}
	return unix.Mremap(memory, n, unix.MREMAP_MAYMOVE)
}

// Free frees what Resize has returned; nil is nothing.
func Free(memory []byte) {
	if memory != nil {
		_ = unix.Munmap(memory) // EINVAL is all that it may say, of what Resize did not return
	}
}

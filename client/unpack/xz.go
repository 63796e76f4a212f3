package unpack

import "encoding/binary"

// xzHeadMax is how long the header of a stream and that of its first block are together, at most (The .xz File Format,
// 2.1.1 and 3.1.1).
const xzHeadMax = 12 + 1024

// dictionary is the size of the dictionary in bytes that the first block of an xz stream needs; 0: not known. The decoder
// allocates as many (package xz, lzmaFilter), up to 4 GiB, and takes no bound. A later block may ask for more than the first
// one, but no encoder makes such; and pages of it that are not written take no memory.
func dictionary(head []byte) uint64 {
	const lzma2 = 0x21 // 5.3.1
	if len(head) < 12+2 {
		return 0
	}
	flags, rest := head[12+1], head[12+2:]
	next := func() uint64 {
		n, size := binary.Uvarint(rest)
		rest = rest[max(size, 0):]
		return n
	}
	for _, present := range []byte{0x40, 0x80} { // the compressed and the uncompressed size
		if flags&present != 0 {
			next()
		}
	}
	for range flags&3 + 1 { // filters
		id, size := next(), next()
		if size > uint64(len(rest)) {
			return 0
		}
		if id == lzma2 && size == 1 {
			bits := uint(rest[0])
			if bits > 40 {
				return 0
			}
			return uint64(2|bits&1) << (bits/2 + 11)
		}
		rest = rest[size:]
	}
	return 0
}

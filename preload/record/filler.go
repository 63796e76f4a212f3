package record

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// A filler makes the values of synthetic items: printable ASCII, always the same for the same seed and key, that
// compresses to no less than about three quarters.
type filler struct{ random rand.PCG }

// begin begins a value.
func (f *filler) begin(seed uint64, key []byte) {
	hash := uint64(14695981039346656037) // FNV-1a
	for _, b := range key {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	f.random.Seed(seed, hash)
}

// draw draws a size from least to most, which are below 1<<63.
func (f *filler) draw(least, most uint64) uint64 {
	offset, _ := bits.Mul64(f.random.Uint64(), most-least+1)
	return least + offset
}

// append appends n bytes.
func (f *filler) append(dst []byte, n int) []byte {
	const (
		each  = 8 // bytes of a number
		mask  = 0x3f3f3f3f3f3f3f3f
		first = 0x3030303030303030 // '0', the first of 64 characters
	)
	end := len(dst) + n
	dst = slices.Grow(dst, n+each)
	for at := len(dst); at < end; at += each {
		binary.LittleEndian.PutUint64(dst[at:cap(dst)], f.random.Uint64()&mask+first)
	}
	return dst[:end]
}

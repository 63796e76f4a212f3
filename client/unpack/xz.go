package unpack

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz"
)

func newXZ(packed io.Reader) (io.Reader, error) {
	head := make([]byte, xzHeadMax)
	n, err := io.ReadFull(packed, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if head = head[:n]; dictionary(head) > memoryMax {
		return nil, errMemory
	}
	f := &footed{packed: io.MultiReader(bytes.NewReader(head), packed)}
	plain, err := xz.NewReader((*tail)(f))
	f.plain = plain
	return f, err
}

// footed is a stream whose end must be there: package xz takes the end of the input in the header of a block for that of
// the stream.
type footed struct {
	packed, plain io.Reader
	last          []byte // the last packed bytes, up to the last that is not zero
	zeros         int    // behind them: the padding of a stream (The .xz File Format, 2.2)
}

func (f *footed) Read(p []byte) (int, error) {
	n, err := f.plain.Read(p)
	if err == io.EOF && !isFooter(f.last) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// tail is a footed's packed bytes, of which it keeps the last.
type tail footed

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.packed.Read(p)
	if text := bytes.TrimRight(p[:n], "\x00"); len(text) > 0 {
		t.last = append(t.last, make([]byte, min(t.zeros, footerSize))...)
		t.last = append(t.last, text[max(len(text)-footerSize, 0):]...)
		t.last = t.last[max(len(t.last)-footerSize, 0):]
		t.zeros = n - len(text)
	} else {
		t.zeros += n
	}
	return n, err
}

const footerSize = 12

// isFooter reports whether a stream ends so (2.1.2): the CRC32 of the size of its index and of its flags, these, and "YZ".
func isFooter(b []byte) bool {
	return len(b) == footerSize && string(b[10:]) == "YZ" && binary.LittleEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:10])
}

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

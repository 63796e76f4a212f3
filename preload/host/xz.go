package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// Bounds on what is decompressed, and on the chunks that it is in: xz makes one of up to 2 MiB, or of 64 KiB where nothing
// can be gained.  memcached's own functions are some 1000 symbols, which take 50 KiB.
const (
	maxUnpacked = 8 << 20
	maxChunks   = 1024
)

// unxz decompresses one xz stream of one block, which is what xz makes of anything of this size.
//
// The library's reader of the xz format (xz/reader.go) allocates, for each block, a dictionary of the size that the block's header asks
// for, up to 4 GiB, and takes no bound.  Its decoder of LZMA2 takes one.  So the headers, which are simple, are read here:
// they tell how much comes out, and a dictionary of that size serves every match that there can be.
// The numbers below are sections of the xz file format 1.2.1.
func unxz(data []byte) ([]byte, error) {
	// 2.1.1: the magic, two bytes of flags, of which the second is the kind of checksum, and their CRC-32.
	const magic, header = "\xfd7zXZ\x00", 12
	if len(data) < header || string(data[:6]) != magic || crc32.ChecksumIEEE(data[6:8]) != binary.LittleEndian.Uint32(data[8:]) {
		return nil, errors.New("not an xz stream")
	}
	check := data[7]
	data = data[header:]
	n, err := blockHeader(data)
	if err != nil {
		return nil, err
	}
	packed, size, err := chunks(data[n:])
	if err != nil {
		return nil, err
	}
	r, err := lzma.Reader2Config{DictCap: max(size, lzma.MinDictCap)}.NewReader2(bytes.NewReader(data[n : n+packed]))
	if err != nil {
		return nil, err
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, err
	}
	n += packed
	n = (n + 3) &^ 3 // 3.3: block padding
	want, err := checksum(check, out)
	if err != nil {
		return nil, err
	}
	if n > len(data) || !bytes.HasPrefix(data[n:], want) {
		return nil, errors.New("the xz stream's checksum is wrong")
	}
	if n += len(want); n >= len(data) || data[n] != 0 { // 4.1: the index, which comes after the last block
		return nil, errors.New("the xz stream has more than one block")
	}
	return out, nil
}

// blockHeader returns the length of a block's header (3.1).  The block is one of LZMA2 and nothing else.
func blockHeader(data []byte) (int, error) {
	broken := errors.New("the xz stream's block header is broken")
	if len(data) == 0 || data[0] == 0 {
		return 0, errors.New("the xz stream has no block")
	}
	n := 4 * (int(data[0]) + 1)
	if n > len(data) || crc32.ChecksumIEEE(data[:n-4]) != binary.LittleEndian.Uint32(data[n-4:]) {
		return 0, broken
	}
	flags, r := data[1], bytes.NewReader(data[2:n-4])
	for _, present := range []byte{0x40, 0x80} { // the compressed and the uncompressed size
		if flags&present == 0 {
			continue
		}
		if _, err := binary.ReadUvarint(r); err != nil {
			return 0, broken
		}
	}
	const lzma2 = 0x21 // 5.3.1
	if filter, err := binary.ReadUvarint(r); err != nil || flags&0x3f != 0 || filter != lzma2 {
		return 0, errors.New("the xz stream has a filter other than LZMA2")
	}
	return n, nil
}

// chunks tells how many bytes the chunks that LZMA2 data consists of take, with the byte 0 that ends them, and how many
// they decompress to (lzma/header2.go: chunkHeader; the format document leaves it to the decoder).
func chunks(data []byte) (packed, size int, err error) {
	for at, count := 0, 0; at < len(data); count++ {
		head := data[at:]
		control := head[0]
		switch {
		case control == 0:
			return at + 1, size, nil
		case control <= 2 && len(head) >= 3: // stored
			n := int(binary.BigEndian.Uint16(head[1:])) + 1
			size, at = size+n, at+3+n
		case control >= 0x80 && len(head) >= 6:
			size += int(control&0x1f)<<16 + int(binary.BigEndian.Uint16(head[1:])) + 1
			at += 5 + int(binary.BigEndian.Uint16(head[3:])) + 1
			if control >= 0xc0 {
				// LZMA2 allows for lc + lp <= 4; beyond that each chunk would cost 6 MB.
				if lc, lp := head[5]%9, head[5]/9%5; lc+lp > 4 {
					return 0, 0, errors.New("an LZMA2 chunk has bad properties")
				}
				at++
			}
		default:
			return 0, 0, errors.New("an LZMA2 chunk has a bad header")
		}
		if size > maxUnpacked || count == maxChunks {
			return 0, 0, fmt.Errorf("more than %d MiB, or %d chunks, are compressed", maxUnpacked>>20, maxChunks)
		}
	}
	return 0, 0, io.ErrUnexpectedEOF
}

// checksum is that of a block (3.4).  Of the kinds (2.1.1.2) SHA-256 is left out: it is not used here.
func checksum(kind byte, data []byte) ([]byte, error) {
	switch kind {
	case 0:
		return nil, nil
	case 1:
		return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)), nil
	case 4:
		return binary.LittleEndian.AppendUint64(nil, crc64.Checksum(data, crc64.MakeTable(crc64.ECMA))), nil
	}
	return nil, fmt.Errorf("the xz stream has a checksum of the kind %d", kind)
}

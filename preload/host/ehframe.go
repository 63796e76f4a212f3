package host

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"sort"
)

// maxFunctions bounds the unwind table; memcached has some 700 functions, a static one with OpenSSL some 20000.
const maxFunctions = 1 << 17

// function is a range of code that the compiler described as one: a function, or the part of one that it moved away as
// unlikely to run (gcc names such parts .cold).
type function struct{ start, end uint64 }

func (f function) has(addr uint64) bool { return addr >= f.start && addr < f.end }

// Pointer encodings (Linux Standard Base Core, "DWARF Extensions", DW_EH_PE_*).
const (
	peAbsptr  = 0x00
	peUdata2  = 0x02
	peUdata4  = 0x03
	peUdata8  = 0x04
	peSdata2  = 0x0a
	peSdata4  = 0x0b
	peSdata8  = 0x0c
	peFormat  = 0x0f
	pePcrel   = 0x10
	peDatarel = 0x30
	peApply   = 0x70
	peOmit    = 0xff
)

// cursor reads forward through memory of the image.  After the first read that does not succeed it is bad for good.
type cursor struct {
	addr uint64
	data []byte
	bad  bool
}

func (m *image) cursor(addr uint64) *cursor {
	data := m.from(addr)
	return &cursor{addr: addr, data: data, bad: data == nil}
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.data) {
		c.bad = true
		return make([]byte, 8) // no caller takes more
	}
	b := c.data[:n]
	c.addr, c.data = c.addr+uint64(n), c.data[n:]
	return b
}

func (c *cursor) byte() byte     { return c.take(1)[0] }
func (c *cursor) uint32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }

// leb128 reads a LEB128 number, whose sign is not needed here.
func (c *cursor) leb128() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := c.byte()
		n |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n
		}
	}
	c.bad = true
	return 0
}

// pointer reads a pointer in the encoding enc; data is what DW_EH_PE_datarel counts from.
func (c *cursor) pointer(enc byte, data uint64) uint64 {
	at := c.addr
	var v uint64
	switch enc & peFormat {
	case peUdata2:
		v = uint64(binary.LittleEndian.Uint16(c.take(2)))
	case peSdata2:
		v = uint64(int16(binary.LittleEndian.Uint16(c.take(2))))
	case peUdata4:
		v = uint64(c.uint32())
	case peSdata4:
		v = uint64(int32(c.uint32()))
	case peAbsptr, peUdata8, peSdata8:
		v = binary.LittleEndian.Uint64(c.take(8))
	default:
		c.bad = true
	}
	switch enc & peApply {
	case 0:
	case pePcrel:
		v += at
	case peDatarel:
		v += data
	default:
		c.bad = true
	}
	return v
}

// readFunctions reads the bounds of all functions from .eh_frame, which stays in a stripped file because C++ exceptions,
// pthread_cancel and backtrace(3) need it.  The table of PT_GNU_EH_FRAME leads to its entries.
func (m *image) readFunctions() ([]function, error) {
	base, data := m.prog(elf.PT_GNU_EH_FRAME)
	if data == nil {
		return nil, &Unsupported{Reason: "the program has no table of its functions (PT_GNU_EH_FRAME)"}
	}
	c := &cursor{addr: base, data: data}
	version, frameEnc, countEnc, tableEnc := c.byte(), c.byte(), c.byte(), c.byte()
	if version != 1 || frameEnc == peOmit || countEnc == peOmit || tableEnc == peOmit {
		return nil, &Unsupported{Reason: fmt.Sprintf("the program has no sorted table of its functions (.eh_frame_hdr begins %x)", data[:min(4, len(data))])}
	}
	c.pointer(frameEnc, base)
	count := c.pointer(countEnc, base)
	if c.bad || count > maxFunctions || count > uint64(len(c.data)) {
		return nil, malformed(".eh_frame_hdr counts %d functions", count)
	}
	encodings := make(map[uint64]byte)
	list := make([]function, 0, count)
	for range count {
		start, fde := c.pointer(tableEnc, base), c.pointer(tableEnc, base)
		if c.bad {
			return nil, malformed(".eh_frame_hdr ends early")
		}
		f, ok := m.readFDE(fde, base, encodings)
		if !ok || f.start != start {
			return nil, malformed("the unwind entry at %#x does not describe %#x", fde, start)
		}
		if f.start == f.end {
			continue
		}
		if n := len(list); f.end < f.start || !m.executable(f.start, f.end-f.start) || n > 0 && f.start < list[n-1].end {
			return nil, malformed("the unwind entry at %#x describes %#x to %#x", fde, f.start, f.end)
		}
		list = append(list, f)
	}
	return list, nil
}

// readFDE reads a frame description entry.  encodings remembers how the addresses of each CIE's entries are encoded.
func (m *image) readFDE(fde, data uint64, encodings map[uint64]byte) (function, bool) {
	c := m.cursor(fde)
	if n := c.uint32(); n == 0 || n == 0xffffffff { // the end, or the 64-bit form, which no toolchain writes for programs
		return function{}, false
	}
	cie := c.addr
	cie -= uint64(c.uint32())
	enc, ok := encodings[cie]
	if !ok {
		if enc, ok = m.readCIE(cie, data); !ok {
			return function{}, false
		}
		encodings[cie] = enc
	}
	start := c.pointer(enc, data)
	size := c.pointer(enc&peFormat, 0)
	return function{start, start + size}, !c.bad
}

// readCIE reads how a common information entry has the addresses of its FDEs encoded.
func (m *image) readCIE(cie, data uint64) (enc byte, ok bool) {
	c := m.cursor(cie)
	length, id, version := c.uint32(), c.uint32(), c.byte()
	if c.bad || length == 0 || length == 0xffffffff || id != 0 || (version != 1 && version != 3) {
		return 0, false
	}
	var augmentation []byte
	for b := c.byte(); b != 0; b = c.byte() {
		if augmentation = append(augmentation, b); len(augmentation) > 8 {
			return 0, false
		}
	}
	c.leb128() // code alignment
	c.leb128() // data alignment
	if version == 1 {
		c.byte() // return address register
	} else {
		c.leb128()
	}
	for i, a := range augmentation {
		switch {
		case a == 'z' && i == 0:
			c.leb128() // length of the augmentation data
		case a == 'L':
			c.byte()
		case a == 'P':
			c.pointer(c.byte(), data)
		case a == 'R':
			return c.byte(), !c.bad
		case a == 'S' || a == 'B':
		default:
			return 0, false
		}
	}
	return peAbsptr, !c.bad
}

// functionAt returns the function that addr lies in.
func (p *program) functionAt(addr uint64) (function, bool) {
	i := sort.Search(len(p.funcs), func(i int) bool { return p.funcs[i].end > addr })
	if i == len(p.funcs) || !p.funcs[i].has(addr) {
		return function{}, false
	}
	return p.funcs[i], true
}

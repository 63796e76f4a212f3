package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Bounds on what is read.  A memcached has about a dozen program headers and loads under a megabyte; one linked statically
// with OpenSSL loads less than ten.
const (
	maxProgs = 128
	maxLoad  = 64 << 20
)

// segment is what a PT_LOAD brings into memory out of the file; what is zero beyond it (.bss) is not kept.
type segment struct {
	addr       uint64
	data       []byte
	writable   bool
	executable bool
}

// image is the program as its program headers lay it out.  Section headers are not asked: they can be stripped, and the
// kernel does not look at them either.
type image struct {
	header   elf.Header64
	progs    []elf.Prog64
	segments []segment
}

func malformed(format string, args ...any) error {
	return &Unsupported{Reason: "the file is malformed: " + fmt.Sprintf(format, args...)}
}

// readAt reads n bytes.  It takes little more memory than the file has bytes, whatever n claims.
func readAt(file io.ReaderAt, offset, n uint64, what string) ([]byte, error) {
	const atOnce = 1 << 20
	if offset > 1<<62 || n > 1<<62 {
		return nil, malformed("%s lies beyond the end of the file", what)
	}
	var b bytes.Buffer
	b.Grow(int(min(n, atOnce)) + bytes.MinRead) // ReadFrom wants to see the end without growing once more
	_, err := b.ReadFrom(io.NewSectionReader(file, int64(offset), int64(n)))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if uint64(b.Len()) < n {
		return nil, malformed("it ends within %s", what)
	}
	return b.Bytes(), nil
}

// readHeader reads the header of a program or of its debug file.
func readHeader(file io.ReaderAt) (*elf.Header64, error) {
	ident, err := readAt(file, 0, elf.EI_NIDENT, "the ELF header")
	if err != nil {
		return nil, err
	}
	if string(ident[:4]) != elf.ELFMAG {
		return nil, &Unsupported{Reason: "this is not a program in the ELF format"}
	}
	if class, data := elf.Class(ident[elf.EI_CLASS]), elf.Data(ident[elf.EI_DATA]); class != elf.ELFCLASS64 || data != elf.ELFDATA2LSB {
		return nil, &Unsupported{Reason: fmt.Sprintf("the program is %v, %v; only %s is supported", class, data, machineNames)}
	}
	h := new(elf.Header64)
	head, err := readAt(file, 0, uint64(binary.Size(h)), "the ELF header")
	if err != nil {
		return nil, err
	}
	decode(head, h)
	if t := elf.Type(h.Type); t != elf.ET_DYN && t != elf.ET_EXEC {
		return nil, &Unsupported{Reason: fmt.Sprintf("the file is not a program: its type is %v", t)}
	}
	return h, nil
}

// readImage reads the headers and the loadable segments.
func readImage(file io.ReaderAt) (*image, error) {
	h, err := readHeader(file)
	if err != nil {
		return nil, err
	}
	m := &image{header: *h}
	if m.header.Phnum == 0 || m.header.Phnum > maxProgs || int(m.header.Phentsize) != binary.Size(elf.Prog64{}) {
		return nil, malformed("%d program headers of %d bytes", m.header.Phnum, m.header.Phentsize)
	}
	table, err := readAt(file, m.header.Phoff, uint64(m.header.Phnum)*uint64(m.header.Phentsize), "the program headers")
	if err != nil {
		return nil, err
	}
	m.progs = make([]elf.Prog64, m.header.Phnum)
	decode(table, m.progs)
	return m, m.load(file)
}

func (m *image) machine() *machine { return machines[elf.Machine(m.header.Machine)] }

func (m *image) load(file io.ReaderAt) error {
	var total uint64
	for _, p := range m.progs {
		if elf.ProgType(p.Type) != elf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		if p.Filesz > maxLoad || total+p.Filesz > maxLoad {
			return &Unsupported{Reason: fmt.Sprintf("the program loads more than %d MiB; no memcached does", maxLoad>>20)}
		}
		total += p.Filesz
		if p.Vaddr+p.Filesz < p.Vaddr {
			return malformed("a segment at %#x of %#x bytes", p.Vaddr, p.Filesz)
		}
		data, err := readAt(file, p.Off, p.Filesz, fmt.Sprintf("the segment at %#x", p.Vaddr))
		if err != nil {
			return err
		}
		flags := elf.ProgFlag(p.Flags)
		m.segments = append(m.segments, segment{
			addr: p.Vaddr, data: data, writable: flags&elf.PF_W != 0, executable: flags&elf.PF_X != 0,
		})
	}
	if len(m.segments) == 0 {
		return malformed("it loads nothing")
	}
	return nil
}

// from returns the bytes of the segment that holds addr, from there on; nil when none does.
func (m *image) from(addr uint64) []byte {
	for i := range m.segments {
		if s := &m.segments[i]; addr >= s.addr && addr-s.addr < uint64(len(s.data)) {
			return s.data[addr-s.addr:]
		}
	}
	return nil
}

// bytes returns n bytes at addr, nil when they are not all in one segment.
func (m *image) bytes(addr, n uint64) []byte {
	b := m.from(addr)
	if n > uint64(len(b)) {
		return nil
	}
	return b[:n]
}

// executable tells whether the n bytes at addr are code.
func (m *image) executable(addr, n uint64) bool {
	for i := range m.segments {
		s := &m.segments[i]
		if s.executable && addr >= s.addr && addr-s.addr < uint64(len(s.data)) {
			return n <= uint64(len(s.data))-(addr-s.addr)
		}
	}
	return false
}

// writable tells whether the n bytes at addr are variables, in the file or beyond it (.bss).
func (m *image) writable(addr, n uint64) bool {
	return slices.ContainsFunc(m.progs, func(p elf.Prog64) bool {
		return elf.ProgType(p.Type) == elf.PT_LOAD && elf.ProgFlag(p.Flags)&elf.PF_W != 0 &&
			addr >= p.Vaddr && addr-p.Vaddr <= p.Memsz && n <= p.Memsz-(addr-p.Vaddr)
	})
}

// prog returns the memory that the first program header of a type covers, nil when there is none.
func (m *image) prog(t elf.ProgType) (addr uint64, data []byte) {
	for _, p := range m.progs {
		if elf.ProgType(p.Type) == t {
			return p.Vaddr, m.bytes(p.Vaddr, p.Filesz)
		}
	}
	return 0, nil
}

// literals returns the addresses at which text stands in read-only memory as a NUL-terminated string, and those of its
// first thirty-two and its second sixteen bytes: a vectorising compiler copies a longer text from constants of these sizes.
// The string can be the tail of a longer one: the linker merges "STORED" into "NOT_STORED".
func (m *image) literals(text string) []uint64 {
	const vector = 16
	found := m.find(append([]byte(text), 0))
	if len(text) >= 2*vector {
		found = append(found, m.find([]byte(text[:2*vector]))...)
		found = append(found, m.find([]byte(text[vector:2*vector]))...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// find returns the addresses at which some bytes stand in read-only memory.
func (m *image) find(want []byte) []uint64 {
	const most = 8 // the linker merges equal strings; a few copies are what objects of another kind leave behind
	var found []uint64
	for _, s := range m.segments {
		if s.writable {
			continue
		}
		for at := 0; len(found) < most; at++ {
			i := bytes.Index(s.data[at:], want)
			if i < 0 {
				break
			}
			at += i
			found = append(found, s.addr+uint64(at))
		}
	}
	return found
}

// decode reads little-endian values whose size the caller has made sure of.
func decode(data []byte, into any) {
	if _, err := binary.Decode(data, binary.LittleEndian, into); err != nil {
		panic(err)
	}
}

// fixed tells whether the program's addresses are absolute ones.
func (m *image) fixed() bool { return elf.Type(m.header.Type) == elf.ET_EXEC }

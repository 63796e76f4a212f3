package host

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// Bounds on the section headers and on what is read by them; Debian's memcached with its debug symbols has some 40
// sections and 1500 symbols.
const (
	maxSections    = 4096
	maxStringTable = 16 << 20
)

// sections is a file as its section headers lay it out.  No program needs them to run, and a stripped one has few that
// are of use; symbol tables and what belongs to a debugger are found by nothing else.
type sections struct {
	file    io.ReaderAt
	headers []elf.Section64
	names   []byte
}

func readSections(file io.ReaderAt, h *elf.Header64) (*sections, error) {
	if h.Shoff == 0 || h.Shnum == 0 || h.Shnum > maxSections || int(h.Shentsize) != binary.Size(elf.Section64{}) {
		return nil, &Unsupported{Reason: "it has no section headers"}
	}
	raw, err := readAt(file, h.Shoff, uint64(h.Shnum)*uint64(h.Shentsize), "the section headers")
	if err != nil {
		return nil, err
	}
	s := &sections{file: file, headers: make([]elf.Section64, h.Shnum)}
	decode(raw, s.headers)
	if int(h.Shstrndx) >= len(s.headers) {
		return s, nil // sections without names
	}
	s.names, err = s.data(&s.headers[h.Shstrndx], maxStringTable, "the sections' names")
	return s, err
}

// named returns the first section of a name, nil when there is none.
func (s *sections) named(name string) *elf.Section64 {
	for i := range s.headers {
		if at := uint64(s.headers[i].Name); at < uint64(len(s.names)) && bytes.HasPrefix(s.names[at:], []byte(name+"\x00")) {
			return &s.headers[i]
		}
	}
	return nil
}

// data reads what a section holds, at most limit bytes of it; what is called what in an error.
func (s *sections) data(h *elf.Section64, limit uint64, what string) ([]byte, error) {
	if elf.SectionType(h.Type) == elf.SHT_NOBITS {
		return nil, malformed("%s is not in it", what)
	}
	if h.Size > limit {
		return nil, malformed("%s has %d bytes, more than %d", what, h.Size, limit)
	}
	data, err := readAt(s.file, h.Off, h.Size, what)
	if err != nil || elf.SectionFlag(h.Flags)&elf.SHF_COMPRESSED == 0 {
		return data, err
	}
	return inflate(data, limit, what)
}

// inflate decompresses a section that begins with an elf.Chdr64 (elf.h: SHF_COMPRESSED).
func inflate(data []byte, limit uint64, what string) ([]byte, error) {
	var h elf.Chdr64
	if len(data) < binary.Size(h) {
		return nil, malformed("it ends within %s", what)
	}
	decode(data, &h)
	if elf.CompressionType(h.Type) != elf.COMPRESS_ZLIB || h.Size > limit {
		return nil, malformed("%s is compressed as %v, from %d bytes", what, elf.CompressionType(h.Type), h.Size)
	}
	var b bytes.Buffer
	z, err := zlib.NewReader(bytes.NewReader(data[binary.Size(h):]))
	if err == nil {
		_, err = b.ReadFrom(io.LimitReader(z, int64(h.Size)))
	}
	if err != nil {
		return nil, malformed("%s cannot be decompressed: %v", what, err)
	}
	if uint64(b.Len()) < h.Size {
		return nil, malformed("%s ends early", what)
	}
	return b.Bytes(), nil
}

// symtab decodes .symtab.
func (s *sections) symtab() ([]symbol, error) {
	for i := range s.headers {
		h := &s.headers[i]
		if elf.SectionType(h.Type) != elf.SHT_SYMTAB {
			continue
		}
		if h.Link >= uint32(len(s.headers)) {
			return nil, malformed("a symbol table with names in section %d", h.Link)
		}
		table, err := s.data(h, maxSymbols*elf.Sym64Size, "the symbol table")
		if err != nil {
			return nil, err
		}
		names, err := s.data(&s.headers[h.Link], maxStringTable, "the symbols' names")
		if err != nil {
			return nil, err
		}
		return symbols(table, names), nil
	}
	return nil, &Unsupported{Reason: "it has no symbol table"}
}

// buildID returns the build ID in hexadecimal, "" when there is none.  A debug file has its program's notes, but its
// program headers may lead nowhere.
func (s *sections) buildID() (string, error) {
	const maxNotes = 1 << 16
	for i := range s.headers {
		h := &s.headers[i]
		// What the build leaves in notes that are not loaded can be large (annobin).
		if elf.SectionType(h.Type) != elf.SHT_NOTE || elf.SectionFlag(h.Flags)&elf.SHF_ALLOC == 0 {
			continue
		}
		notes, err := s.data(h, maxNotes, fmt.Sprintf("the notes of section %d", i))
		if err != nil {
			return "", err
		}
		if id := buildID(notes, h.Addralign); id != "" {
			return id, nil
		}
	}
	return "", nil
}

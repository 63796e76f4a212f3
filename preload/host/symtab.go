package host

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// Bounds of .symtab and of the section headers that lead to it; Debian's memcached with its debug symbols has some 1500.
const (
	maxSections    = 4096
	maxStringTable = 16 << 20
)

// exported takes the functions from the dynamic symbols: what a program that was linked with -rdynamic offers.
func (p *program) exported(v Version) (Functions, error) {
	return p.named(p.dynamicSymbols(), v)
}

// symtab takes the functions from .symtab, which is in no segment: only here section headers are read.
func (p *program) symtab(v Version) (Functions, error) {
	table, names, err := p.readSymtab()
	if err != nil {
		return Functions{}, err
	}
	return p.named(symbols(table, names), v)
}

func (p *program) readSymtab() (table, names []byte, err error) {
	none := &Unsupported{Reason: "the program has no symbol table"}
	h := &p.header
	if h.Shoff == 0 || h.Shnum == 0 || h.Shnum > maxSections || int(h.Shentsize) != binary.Size(elf.Section64{}) {
		return nil, nil, none
	}
	raw, err := readAt(p.file, h.Shoff, uint64(h.Shnum)*uint64(h.Shentsize), "the section headers")
	if err != nil {
		return nil, nil, err
	}
	sections := make([]elf.Section64, h.Shnum)
	decode(raw, sections)
	for _, s := range sections {
		if elf.SectionType(s.Type) != elf.SHT_SYMTAB {
			continue
		}
		if s.Size > maxSymbols*elf.Sym64Size || s.Link >= uint32(len(sections)) || sections[s.Link].Size > maxStringTable {
			return nil, nil, malformed("a symbol table of %d bytes with strings in section %d", s.Size, s.Link)
		}
		if table, err = readAt(p.file, s.Off, s.Size, "the symbol table"); err != nil {
			return nil, nil, err
		}
		link := sections[s.Link]
		if names, err = readAt(p.file, link.Off, link.Size, "the symbols' names"); err != nil {
			return nil, nil, err
		}
		return table, names, nil
	}
	return nil, nil, none
}

// want is a function that is to be found, and where its address goes.
type want struct {
	name string
	// also is another function that serves: LTO leaves no item_alloc, its callers call do_item_alloc, which takes the
	// same arguments and which item_alloc is nothing but a jump to (thread.c: item_alloc, since 1.4.29).
	also string
	into *uint64
}

// wanted lists the functions that a version stores items with.
func (f *Functions) wanted(a ABI) []want {
	list := []want{
		{"item_alloc", "do_item_alloc", &f.ItemAlloc},
		{"store_item", "", &f.StoreItem},
		{"item_remove", "", &f.ItemRemove},
		{"item_get", "", &f.ItemGet},
		{"item_unlink", "", &f.ItemUnlink},
	}
	if a.Chunks == ChunksLazy {
		list = append(list, want{"do_item_alloc_chunk", "", &f.ItemAllocChunk})
	}
	if a.StoreItem == StoreCASIn {
		list = append(list, want{"get_cas_id", "", &f.GetCASID})
	}
	return list
}

// named takes the functions by their names.
func (p *program) named(list []symbol, v Version) (Functions, error) {
	at := make(map[string]uint64)
	for i := range list {
		s := &list[i]
		if !s.isFunction() || !p.executable(s.Value, 1) {
			continue
		}
		// Static functions of two files can share a name; one that is not unique names nothing.
		if old, ok := at[s.name]; ok && old != s.Value {
			at[s.name] = 0
			continue
		}
		at[s.name] = s.Value
	}
	var f Functions
	var missing []string
	for _, w := range f.wanted(v.ABI()) {
		if *w.into = at[w.name]; *w.into == 0 && w.also != "" {
			*w.into = at[w.also]
		}
		if *w.into == 0 {
			missing = append(missing, w.name)
		}
	}
	if missing != nil {
		return Functions{}, &Unsupported{
			Reason: fmt.Sprintf("not among %d named functions: %s", len(at), strings.Join(missing, ", ")),
		}
	}
	return f, nil
}

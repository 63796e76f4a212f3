package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Bounds on tables that the file gives the size of; Debian 13's memcached, which exports
// its own functions, has some 900 dynamic symbols.
const (
	maxDynamic = 1024
	maxSymbols = 1 << 18
	maxRelocs  = 1 << 20
	maxName    = 256 // bytes of a symbol's name; longer ones are not C's
)

// dynamic holds the entries of PT_DYNAMIC that are of use, by their tag; addresses are link-time ones.
type dynamic map[elf.DynTag]uint64

// readDynamic returns the entries, and of DT_NEEDED, which alone stands there more than once, all.
func (m *image) readDynamic() (d dynamic, needed []uint64) {
	d = make(dynamic)
	_, table := m.prog(elf.PT_DYNAMIC)
	for i := 0; len(table) >= 16 && i < maxDynamic; i++ {
		var e elf.Dyn64
		decode(table, &e)
		switch tag := elf.DynTag(e.Tag); tag {
		case elf.DT_NULL:
			return d, needed
		case elf.DT_NEEDED:
			needed = append(needed, e.Val)
		default:
			d[tag] = e.Val
		}
		table = table[16:]
	}
	return d, needed
}

// cString is the string that data begins with, "" when it is not terminated within so many bytes.
func cString(data []byte, most int) string {
	data = data[:min(len(data), most)]
	return string(data[:max(bytes.IndexByte(data, 0), 0)])
}

// symbol is one entry of a symbol table.
type symbol struct {
	name string
	elf.Sym64
}

// isFunction tells whether the symbol names code of this file.
func (s *symbol) isFunction() bool {
	return elf.ST_TYPE(s.Info) == elf.STT_FUNC && elf.SectionIndex(s.Shndx) != elf.SHN_UNDEF
}

// symbols decodes a symbol table.  A name that lies outside of strings is left empty.
func symbols(table, strings []byte) []symbol {
	all := make([]symbol, len(table)/elf.Sym64Size)
	for i := range all {
		decode(table[i*elf.Sym64Size:], &all[i].Sym64)
		if n := uint64(all[i].Name); n < uint64(len(strings)) {
			all[i].name = cString(strings[n:], maxName)
		}
	}
	return all
}

// dynamicSymbols returns the dynamic symbols, in order; relocations refer to them by number.
func (p *program) dynamicSymbols() []symbol {
	strings := p.bytes(p.dyn[elf.DT_STRTAB], p.dyn[elf.DT_STRSZ])
	count := p.countSymbols()
	table := p.bytes(p.dyn[elf.DT_SYMTAB], count*elf.Sym64Size)
	return symbols(table, strings)
}

// countSymbols tells how many dynamic symbols there are.  PT_DYNAMIC does not say: DT_HASH does, and of DT_GNU_HASH the
// end of the last chain tells it.
func (p *program) countSymbols() uint64 {
	if at, ok := p.dyn[elf.DT_HASH]; ok {
		if b := p.bytes(at, 8); b != nil {
			return min(uint64(binary.LittleEndian.Uint32(b[4:])), maxSymbols)
		}
	}
	at, ok := p.dyn[elf.DT_GNU_HASH]
	head := p.bytes(at, 16)
	if !ok || head == nil {
		return 0
	}
	nbuckets := uint64(binary.LittleEndian.Uint32(head))
	first := uint64(binary.LittleEndian.Uint32(head[4:])) // symbols before this one are not hashed: imports
	words := uint64(binary.LittleEndian.Uint32(head[8:]))
	if nbuckets > maxSymbols || words > maxSymbols {
		return 0
	}
	buckets := at + 16 + 8*words
	last := uint64(0)
	for b := p.bytes(buckets, 4*nbuckets); len(b) >= 4; b = b[4:] {
		last = max(last, uint64(binary.LittleEndian.Uint32(b)))
	}
	if last < first { // every bucket is empty: nothing is exported, and not even the imports are counted
		return min(max(first, p.countRelocated()), maxSymbols)
	}
	// The last entry of a chain has its lowest bit set.
	chain := p.from(buckets + 4*nbuckets + 4*(last-first))
	for ; len(chain) >= 4 && last < maxSymbols; chain, last = chain[4:], last+1 {
		if binary.LittleEndian.Uint32(chain)&1 != 0 {
			return last + 1
		}
	}
	return 0
}

// relocations goes through what the dynamic linker is to fill in.
func (p *program) relocations(each func(r elf.Rela64, kind uint32)) {
	for _, t := range []struct{ at, size elf.DynTag }{{elf.DT_RELA, elf.DT_RELASZ}, {elf.DT_JMPREL, elf.DT_PLTRELSZ}} {
		table := p.bytes(p.dyn[t.at], min(p.dyn[t.size], maxRelocs*24))
		for ; len(table) >= 24; table = table[24:] {
			var r elf.Rela64
			decode(table, &r)
			each(r, elf.R_TYPE64(r.Info))
		}
	}
}

// fillsSlot tells of a relocation that puts a symbol's address into a slot.
func (m *machine) fillsSlot(kind uint32) bool { return kind == m.jumpSlot || kind == m.globDat }

// countRelocated tells how many dynamic symbols there must be for the relocations to refer to.
func (p *program) countRelocated() uint64 {
	var count uint64
	if p.machine != nil {
		p.relocations(func(r elf.Rela64, kind uint32) {
			if p.fillsSlot(kind) {
				count = max(count, uint64(elf.R_SYM64(r.Info))+1)
			}
		})
	}
	return count
}

// readImports notes, for each slot that the dynamic linker fills with a function's address, the function's name, and what
// else stands in memory that is read-only then (PT_GNU_RELRO): addresses in the program, such as that of the variable hash.
func (p *program) readImports() {
	p.imports, p.relro = make(map[uint64]string), make(map[uint64]int64)
	names := p.dynamicSymbols()
	relro, held := p.prog(elf.PT_GNU_RELRO)
	p.relocations(func(r elf.Rela64, kind uint32) {
		symbol := uint64(elf.R_SYM64(r.Info))
		switch {
		case p.fillsSlot(kind) && symbol < uint64(len(names)):
			if s := &names[symbol]; s.name != "" && elf.SectionIndex(s.Shndx) == elf.SHN_UNDEF {
				p.imports[r.Off] = s.name
			}
		case kind == p.relative && r.Off >= relro && r.Off-relro < uint64(len(held)):
			p.relro[r.Off] = r.Addend
		}
	})
}

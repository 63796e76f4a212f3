package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"testing"
	"time"
)

// smallELF lays out a program of one segment that has everything Find looks at: dynamic symbols, relocations, a table of
// functions, literals and code that refers to them.
func smallELF(version string) []byte {
	const (
		base     = 0x400000
		phdrs    = 64
		dyn      = 0x200
		dynsym   = 0x300
		dynstr   = 0x400
		hash     = 0x480
		rela     = 0x500
		slots    = 0x580
		literals = 0x600
		ehHdr    = 0x800
		ehFrame  = 0x900
		text     = 0x1000
		size     = 0x1100
	)
	b := make([]byte, size)
	put := func(at int, v any) {
		var w bytes.Buffer
		if err := binary.Write(&w, binary.LittleEndian, v); err != nil {
			panic(err)
		}
		copy(b[at:], w.Bytes())
	}
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: phdrs, Ehsize: 64, Phentsize: 56, Phnum: 3,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	put(0, h)
	prog := func(t elf.ProgType, at, n uint64) elf.Prog64 {
		return elf.Prog64{Type: uint32(t), Flags: uint32(elf.PF_R | elf.PF_X), Off: at, Vaddr: base + at, Filesz: n, Memsz: n, Align: 8}
	}
	put(phdrs, []elf.Prog64{prog(elf.PT_LOAD, 0, size), prog(elf.PT_DYNAMIC, dyn, 0x100), prog(elf.PT_GNU_EH_FRAME, ehHdr, 0x100)})
	put(dyn, []elf.Dyn64{
		{Tag: int64(elf.DT_SYMTAB), Val: base + dynsym}, {Tag: int64(elf.DT_STRTAB), Val: base + dynstr}, {Tag: int64(elf.DT_STRSZ), Val: 64},
		{Tag: int64(elf.DT_HASH), Val: base + hash}, {Tag: int64(elf.DT_JMPREL), Val: base + rela}, {Tag: int64(elf.DT_PLTRELSZ), Val: 48},
	})
	copy(b[dynstr:], "\x00pthread_mutex_lock\x00pthread_mutex_unlock\x00")
	put(dynsym, []elf.Sym64{{}, {Name: 1, Info: byte(elf.STT_FUNC)}, {Name: 20, Info: byte(elf.STT_FUNC)}})
	put(hash, []uint32{1, 3})
	put(rela, []elf.Rela64{
		{Off: base + slots, Info: 1<<32 | uint64(elf.R_X86_64_JMP_SLOT)}, {Off: base + slots + 8, Info: 2<<32 | uint64(elf.R_X86_64_JMP_SLOT)},
	})
	copy(b[literals:], "memcached "+version+"\x00VERSION "+version+"\x00"+badChunk+"\x00"+tooLarge+"\x00"+outOfMemory+"\x00EVENT_SHOW_METHOD\x00MEMCACHED_PORT_FILENAME\x00listen_disabled_num\x00")
	address := func(literal string) uint32 { return base + uint32(bytes.Index(b, []byte(literal))) }

	// Two functions: one that uses the literals and calls the other.
	code := []byte{}
	for _, l := range []string{badChunk, tooLarge, outOfMemory} {
		code = binary.LittleEndian.AppendUint32(append(code, 0xbf), address(l)) // mov $literal,%edi
	}
	user := len(code) + 6
	code = append(code, 0xe8, 1, 0, 0, 0, 0xc3) // call the next function; ret
	code = append(code, 0x0f, 0xb6, 0x77, 0x29, // movzbl 0x29(%rdi),%esi
		0xff, 0x14, 0x25, 0x40, 0x07, 0x40, 0x00, // call *0x400740
		0xe8, 0, 0, 0, 0, 0xc3) // call; ret
	copy(b[text:], code)

	put(ehHdr, []byte{1, pePcrel | peSdata4, peUdata4, peDatarel | peSdata4})
	put(ehHdr+4, []int32{ehFrame - ehHdr - 4, 2, text - ehHdr, ehFrame + 0x20 - ehHdr, int32(text + user - ehHdr), ehFrame + 0x40 - ehHdr})
	put(ehFrame, []uint32{0x14, 0})
	copy(b[ehFrame+8:], "\x01zR\x00\x01\x78\x10\x01\x1b")
	put(ehFrame+0x20, []int32{0x1c, 0x24, text - ehFrame - 0x28, int32(user)})
	put(ehFrame+0x40, []int32{0x1c, 0x44, int32(text+user) - ehFrame - 0x48, int32(len(code) - user)})
	return b
}

// The seed is as good as it claims to be: what refuses it is the last thing that can.
func TestSmallELF(t *testing.T) {
	t.Parallel()
	p, v := opened(t, smallELF("1.6.18"))
	p.readImports()
	if len(p.imports) != 2 {
		t.Errorf("imports %v", p.imports)
	}
	var err error
	if p.funcs, err = p.readFunctions(); err != nil || len(p.funcs) != 2 {
		t.Errorf("functions %x, %v", p.funcs, err)
	}
	_, u := findExclusive(t, smallELF("1.6.18"))
	if want := "memcached 1.6.18: item_alloc is not found: none of its 1 candidates has its shape"; u == nil || u.Reason != want {
		t.Errorf("%v at %v, want %s", u, v, want)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(smallELF("1.6.18"))
	f.Add(smallELF("1.6.38"))
	f.Add(smallELF("1.5.6"))
	f.Add([]byte(elf.ELFMAG))
	self, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	file, err := os.Open(self)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	head, err := io.ReadAll(io.LimitReader(file, 8192))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		findExclusive(t, data)
		// A file of this size takes milliseconds; the bound leaves room for a busy machine.
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%d bytes took %v", len(data), d)
		}
	})
}

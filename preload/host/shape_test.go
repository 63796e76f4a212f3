package host

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// code is what stands at an address.
type code struct {
	at    uint64
	bytes []byte
}

func (c code) function() function { return function{c.at, c.at + uint64(len(c.bytes))} }

// stub is an entry of the procedure linkage table: jmp *slot(%rip).
func stub(at uint64) code {
	return code{at, binary.LittleEndian.AppendUint32([]byte{0xff, 0x25}, slotDistance)}
}

const slotDistance = 0x100000

// madeProgram lays out code as a program whose stubs lead to the functions in imports.
func madeProgram(imports map[uint64]string, parts ...code) *program {
	p := &program{
		image:   new(image),
		machine: &amd64,
		imports: make(map[uint64]string),
		bodies:  make(map[uint64]*body),
		traces:  make(map[uint64]*trace),
	}
	for at, name := range imports {
		s := stub(at)
		p.imports[at+uint64(len(s.bytes))+slotDistance] = name
		p.segments = append(p.segments, segment{addr: at, data: s.bytes, executable: true})
	}
	for _, c := range parts {
		p.segments = append(p.segments, segment{addr: c.at, data: c.bytes, executable: true})
		p.funcs = append(p.funcs, c.function())
	}
	slices.SortFunc(p.funcs, byAddress)
	return p
}

// What the locked functions call, as far as it matters.
var (
	dropsReference = []byte{0x66, 0x83, 0x6f, 0x24, 0x01, 0xc3} // subw $0x1,0x24(%rdi); ret
	clearsLinked   = []byte{0x66, 0x83, 0x67, 0x26, 0xfe, 0xc3} // andw $0xfffe,0x26(%rdi); ret
	nothing        = []byte{0xc3}                               // ret

	debian12 = map[uint64]string{0x5840: "pthread_mutex_lock", 0x53a0: "pthread_mutex_unlock"}
	debian13 = map[uint64]string{0x13ba0: "pthread_mutex_lock", 0x13560: "pthread_mutex_unlock"}
	gcc1425  = map[uint64]string{0x36f0: "pthread_mutex_lock", 0x3480: "pthread_mutex_unlock"}
	gcc156   = map[uint64]string{0x3750: "pthread_mutex_lock", 0x34e0: "pthread_mutex_unlock"}
)

// fits lists the names whose shape a function has.
func fits(p *program, f function, v Version) []string {
	a := v.ABI()
	var names []string
	add := func(name string, ok bool) {
		if ok {
			names = append(names, name)
		}
	}
	if l, _ := p.asLocked(f, a); l != nil {
		add("store_item", l.isStoreItem(a))
		add("item_remove", p.isItemRemove(l))
		add("item_unlink", p.isItemUnlink(l, a))
		add("item_get", l.isItemGet(a))
	}
	_, alloc := p.doItemAlloc(f)
	t := p.traced(f)
	add("item_alloc", alloc)
	add("do_item_alloc_chunk", t.err == nil && isItemAllocChunk(t, a))
	add("get_cas_id", isGetCASID(t))
	return names
}

func TestShapes(t *testing.T) {
	t.Parallel()
	v1425, v156, v1618, v1621, v1638 := Version{1, 4, 25}, Version{1, 5, 6}, Version{1, 6, 18}, Version{1, 6, 21}, Version{1, 6, 38}
	with := func(c code, changes ...byte) code { // at offset, byte
		b := slices.Clone(c.bytes)
		for i := 0; i < len(changes); i += 2 {
			b[changes[i]] = changes[i+1]
		}
		return code{c.at, b}
	}
	for _, tt := range []struct {
		name    string
		imports map[uint64]string
		code    code
		inner   code
		version Version
		want    string
	}{
		{"item_remove 1.6.18", debian12, itemRemove1618, code{0x14390, dropsReference}, v1618, "item_remove"},
		{"item_remove 1.6.18 taken for 1.5.6", debian12, itemRemove1618, code{0x14390, dropsReference}, v156, ""},
		{"item_remove 1.6.18, reference kept", debian12, itemRemove1618, code{0x14390, nothing}, v1618, ""},
		{"item_remove 1.6.18, other field for nkey", debian12, with(itemRemove1618, 22, 0x28), code{0x14390, dropsReference}, v1618, ""},
		{"item_remove 1.6.18, no lock", map[uint64]string{0x5840: "pthread_mutex_trylock", 0x53a0: "pthread_mutex_unlock"},
			itemRemove1618, code{0x14390, dropsReference}, v1618, ""},
		{"item_remove 1.6.18, no unlock", map[uint64]string{0x5840: "pthread_mutex_lock", 0x53a0: "pthread_mutex_destroy"},
			itemRemove1618, code{0x14390, dropsReference}, v1618, ""},
		{"item_remove 1.5.6", gcc156, itemRemove156, code{0x12c50, dropsReference}, v156, "item_remove"},
		{"item_remove 1.5.6 taken for 1.6.18", gcc156, itemRemove156, code{0x12c50, dropsReference}, v1618, ""},
		{"item_remove 1.6.38, endbr64", debian13, itemRemove1638, code{0x22950, dropsReference}, v1638, "item_remove"},
		{"item_unlink 1.6.18", debian12, itemUnlink1618, code{0x163e0, clearsLinked}, v1618, "item_unlink"},
		{"item_unlink 1.6.18, stays linked", debian12, itemUnlink1618, code{0x163e0, dropsReference}, v1618, ""},
		{"item_link 1.6.18", debian12, itemLink1618, code{0x16260, clearsLinked}, v1618, ""},
		{"item_get 1.6.18", debian12, itemGet1618, code{0x167e0, nothing}, v1618, "item_get"},
		{"item_touch 1.6.18", debian12, itemTouch1618, code{0x16ad0, nothing}, v1618, ""},
		{"item_get 1.4.25", gcc1425, itemGet1425, code{0x12cc0, nothing}, v1425, "item_get"},
		{"item_get 1.4.25 taken for 1.4.26", gcc1425, itemGet1425, code{0x12cc0, nothing}, Version{1, 4, 26}, ""},
		{"item_get 1.6.18 taken for 1.4.25", debian12, itemGet1618, code{0x167e0, nothing}, v1425, ""},
		{"item_get 1.6.18 taken for 1.4.34", debian12, itemGet1618, code{0x167e0, nothing}, Version{1, 4, 34}, ""},
		{"store_item 1.6.18", debian12, storeItem1618, code{0xe400, nothing}, v1618, "store_item"},
		{"store_item 1.6.18 taken for 1.6.21", debian12, storeItem1618, code{0xe400, nothing}, v1621, ""},
		{"store_item 1.6.38", debian13, storeItem1638, code{0x1cfa0, nothing}, v1638, "store_item"},
		{"store_item 1.6.38 taken for 1.6.18", debian13, storeItem1638, code{0x1cfa0, nothing}, v1618, ""},
		{"store_item 1.6.38 taken for 1.6.21", debian13, storeItem1638, code{0x1cfa0, nothing}, v1621, ""},
		{"do_item_alloc 1.6.18", nil, doItemAlloc1618, code{}, v1618, "item_alloc"},
		{"do_item_alloc 1.4.35, a loop of several entries", nil, doItemAlloc1435, code{}, Version{1, 4, 35}, "item_alloc"},
		{"item_alloc 1.6.18", nil, code{0x199f0, []byte{
			0xe9, 0x0b, 0xd9, 0xff, 0xff, // jmp 17300
		}}, doItemAlloc1618, v1618, "item_alloc"},
		{"item_alloc, endbr64", nil, code{0x199ec, []byte{
			0xf3, 0x0f, 0x1e, 0xfa, // endbr64
			0xe9, 0x0b, 0xd9, 0xff, 0xff, // jmp 17300
		}}, doItemAlloc1618, v1618, "item_alloc"},
		{"item_alloc, gcc -O1", nil, code{0x199ec, []byte{
			0x48, 0x83, 0xec, 0x08, // sub $0x8,%rsp
			0xe8, 0x0b, 0xd9, 0xff, 0xff, // call 17300
			0x48, 0x83, 0xc4, 0x08, // add $0x8,%rsp
			0xc3, // ret
		}}, doItemAlloc1618, v1618, "item_alloc"},
		{"item_alloc that passes something else", nil, code{0x199ed, []byte{
			0x48, 0x89, 0xf7, // mov %rsi,%rdi
			0xe9, 0x0b, 0xd9, 0xff, 0xff, // jmp 17300
		}}, doItemAlloc1618, v1618, ""},
		{"item_alloc that jumps beside", nil, code{0x199f0, []byte{
			0xe9, 0x0c, 0xd9, 0xff, 0xff, // jmp 17301
		}}, doItemAlloc1618, v1618, ""},
		{"do_item_alloc_chunk 1.5.6", nil, itemAllocChunk156, code{}, v156, "do_item_alloc_chunk"},
		{"do_item_alloc_chunk 1.5.6 taken for 1.6.18", nil, itemAllocChunk156, code{}, v1618, ""},
		{"do_item_alloc_chunk 1.6.38", nil, itemAllocChunk1638, code{}, v1638, "do_item_alloc_chunk"},
		{"do_item_alloc_chunk 1.6.38 taken for 1.5.6", nil, itemAllocChunk1638, code{}, v156, ""},
		{"get_cas_id 1.6.38", debian13, getCASID1638, code{}, v1638, "get_cas_id"},
		{"get_cas_id 1.6.38, another lock", map[uint64]string{0x13ba0: "pthread_rwlock_rdlock", 0x13560: "pthread_mutex_unlock"},
			getCASID1638, code{}, v1638, ""},
		{"item_remove 1.6.18 without its last jump", debian12, code{itemRemove1618.at, itemRemove1618.bytes[:len(itemRemove1618.bytes)-5]},
			code{0x14390, dropsReference}, v1618, ""},
		{"nothing but a return", nil, code{0x1000, nothing}, code{}, v1618, ""},
		{"garbage", nil, code{0x1000, []byte{0x06, 0xff, 0xff, 0xff, 0xff}}, code{}, v1618, ""},
		{"half an instruction", nil, code{0x1000, []byte{0x48, 0x8b}}, code{}, v1618, ""},
		{"a jump into an instruction", nil, code{0x1000, []byte{
			0xeb, 0xff, // jmp 1001
			0xc3, // ret
		}}, code{}, v1618, ""},
		{"a loop without an end", nil, code{0x1000, []byte{
			0xeb, 0xfe, // jmp 1000
		}}, code{}, v1618, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parts := []code{tt.code}
			if tt.inner.bytes != nil {
				parts = append(parts, tt.inner)
			}
			p := madeProgram(tt.imports, parts...)
			if got := strings.Join(fits(p, tt.code.function(), tt.version), " "); got != tt.want {
				t.Errorf("has the shape of %q, want %q; seen: %s", got, tt.want, p.describe(tt.code.function(), tt.version.ABI()))
			}
		})
	}
}

// A function with no code has no shape and no fault.
func TestShapeOfNothing(t *testing.T) {
	t.Parallel()
	p := madeProgram(nil)
	if got := fits(p, function{0x1000, 0x1000}, Version{1, 6, 18}); got != nil {
		t.Errorf("has the shape of %v", got)
	}
}

// Whatever byte of a function is changed, and whatever to, it does not turn into one of the others.
func TestShapesDoNotCross(t *testing.T) {
	t.Parallel()
	v1618 := Version{1, 6, 18}
	for _, c := range []struct {
		name        string
		imports     map[uint64]string
		code, inner code
		version     Version
	}{
		{"item_remove", debian12, itemRemove1618, code{0x14390, dropsReference}, v1618},
		{"item_unlink", debian12, itemUnlink1618, code{0x163e0, clearsLinked}, v1618},
		{"store_item", debian12, storeItem1618, code{0xe400, nothing}, v1618},
		{"item_get", debian12, itemGet1618, code{0x167e0, nothing}, v1618},
		{"item_remove", lto1645, itemRemove1645, code{0x13630, nothing}, Version{1, 6, 45}},
	} {
		t.Run(c.name+" "+c.version.String(), func(t *testing.T) {
			t.Parallel()
			for i := range c.code.bytes {
				for _, b := range []byte{0x00, 0x90, 0xc3, 0xff, c.code.bytes[i] ^ 1, c.code.bytes[i] ^ 0x08, c.code.bytes[i] ^ 0x80} {
					changed := code{c.code.at, slices.Clone(c.code.bytes)}
					changed.bytes[i] = b
					p := madeProgram(c.imports, changed, c.inner)
					if got := fits(p, changed.function(), c.version); len(got) > 1 || len(got) == 1 && got[0] != c.name {
						t.Errorf("byte %d = %#02x: %s has the shape of %v", i, b, c.name, got)
					}
				}
			}
		})
	}
}

func TestDecodeCET(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code []byte
		want flow
		size uint8
	}{
		{[]byte{0xf3, 0x0f, 0x1e, 0xfa, 0xc3}, onward, 4},           // endbr64
		{[]byte{0xf3, 0x48, 0x0f, 0x1e, 0xc8}, onward, 5},           // rdsspq %rax
		{[]byte{0x3e, 0xff, 0xe0}, jump, 3},                         // notrack jmp *%rax
		{[]byte{0xf2, 0xff, 0x25, 0x01, 0x00, 0x00, 0x00}, jump, 7}, // bnd jmp *0x1(%rip)
	} {
		i, err := decodeAMD64(tt.code, 0x1000)
		if err != nil || i.flow != tt.want || i.size != tt.size || i.ops != nil {
			t.Errorf("%x: %+v, %v, want %v of %d bytes", tt.code, i, err, tt.want, tt.size)
		}
	}
}

// The instructions that came with AVX refer to memory as all others do.
func TestDecodeVEX(t *testing.T) {
	t.Parallel()
	const at = 0x29587
	in, err := decodeAMD64([]byte{0xc5, 0xf9, 0x6f, 0x05, 0xe1, 0x54, 0x01, 0x00}, at) // vmovdqa 0x154e1(%rip),%xmm0
	if err != nil {
		t.Fatal(err)
	}
	b := &body{function: function{at, in.end()}, insts: []inst{in}}
	if !b.refers(0x3ea70, false) || b.refers(0x154e1, false) {
		t.Errorf("%+v", in)
	}
}

// A call of a stub is one of the function behind it, whatever a linker puts before the jump; a function that does
// something first is none.
func TestStubs(t *testing.T) {
	t.Parallel()
	const at, name = 0x1000, "pthread_mutex_lock"
	jump := []byte{0xff, 0x25, 0x00, 0x01, 0x00, 0x00} // jmp *0x100(%rip)
	for _, tt := range []struct {
		before []byte
		stub   bool
	}{
		{nil, true},
		{[]byte{0xf3, 0x0f, 0x1e, 0xfa}, true}, // endbr64
		{[]byte{0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0xbb, 0x05, 0x00, 0x00, 0x00}, true}, // endbr64; mov $5, %r11d
		{[]byte{0xbf, 0x05, 0x00, 0x00, 0x00}, false},                              // mov $5, %edi
		{[]byte{0xb8, 0x05, 0x00, 0x00, 0x00}, false},                              // mov $5, %eax
		{[]byte{0xbb, 0x05, 0x00, 0x00, 0x00}, false},                              // mov $5, %ebx
		{[]byte{0x49, 0x89, 0xfb}, false},                                          // mov %rdi, %r11
	} {
		data := slices.Concat(tt.before, jump)
		p := madeProgram(nil, code{at, data})
		p.imports[uint64(at+len(data)+0x100)] = name
		want := callee{addr: at}
		if tt.stub {
			want = callee{name: name}
		}
		if got := p.direct(at); got != want {
			t.Errorf("% x: %v, want %v", tt.before, got, want)
		}
	}
}

package host

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What stands around the functions of code_inline_test.go and code_cas_test.go.
var (
	lto1425 = map[uint64]string{0x36f0: "pthread_mutex_lock", 0x3460: "pthread_mutex_unlock"}
	lto1627 = map[uint64]string{0x4890: "pthread_mutex_lock", 0x4540: "pthread_mutex_unlock"}
	lto1645 = map[uint64]string{0x4870: "pthread_mutex_lock", 0x4550: "pthread_mutex_unlock"}
)

// changed replaces instructions of a function by others of the same length.
func changed(t *testing.T, c code, old, new []byte) code {
	t.Helper()
	b := bytes.ReplaceAll(c.bytes, old, new)
	if len(old) != len(new) || len(old) > 0 && bytes.Equal(b, c.bytes) {
		t.Fatalf("% x is not in the function, or longer or shorter than % x", old, new)
	}
	return code{c.at, b}
}

// A function into which another one is inlined is known by what both do; and no longer if one thing of that is missing.
func TestInlined(t *testing.T) {
	t.Parallel()
	v1425, v1645 := Version{1, 4, 25}, Version{1, 6, 45}
	for _, tt := range []struct {
		name     string
		imports  map[uint64]string
		code     code
		version  Version
		old, new []byte
		want     string
	}{
		{"store_item", lto1425, storeItem1425, v1425, nil, nil, "store_item"},
		{"store_item taken for 1.6.18", lto1425, storeItem1425, Version{1, 6, 18}, nil, nil, ""},
		{"store_item that gets another hash's item", lto1425, storeItem1425, v1425,
			[]byte{0x44, 0x89, 0xfa, 0x48, 0xc1, 0xe5, 0x02}, // mov %r15d,%edx; shl $0x2,%rbp
			[]byte{0x44, 0x89, 0xf2, 0x48, 0xc1, 0xe5, 0x02}, // mov %r14d,%edx
			""},
		{"store_item that gets by another length", lto1425, storeItem1425, v1425,
			[]byte{0x0f, 0xb6, 0x73, 0x29}, // movzbl 0x29(%rbx),%esi
			[]byte{0x0f, 0xb6, 0x73, 0x28}, // movzbl 0x28(%rbx),%esi
			""},
		{"store_item that does not tell the CAS", lto1425, storeItem1425, v1425,
			[]byte{0x48, 0x89, 0x81, 0xd8, 0x01, 0x00, 0x00}, // mov %rax,0x1d8(%rcx)
			[]byte{0x48, 0x39, 0x81, 0xd8, 0x01, 0x00, 0x00}, // cmp %rax,0x1d8(%rcx)
			""},
		{"store_item that links nothing", lto1425, storeItem1425, v1425,
			[]byte{0x48, 0x89, 0xdf}, // mov %rbx,%rdi
			[]byte{0x4c, 0x89, 0xef}, // mov %r13,%rdi
			""},
		{"item_remove", lto1645, itemRemove1645, v1645, nil, nil, "item_remove"},
		{"item_remove that keeps the reference", lto1645, itemRemove1645, v1645,
			[]byte{0x66, 0x83, 0x6b, 0x24, 0x01}, // subw $0x1,0x24(%rbx)
			[]byte{0x66, 0x83, 0x7b, 0x24, 0x01}, // cmpw $0x1,0x24(%rbx)
			""},
		{"item_remove that takes ITEM_LINKED away", lto1645, itemRemove1645, v1645,
			[]byte{0x66, 0x89, 0x43, 0x26}, // mov %ax,0x26(%rbx)
			[]byte{0x66, 0x21, 0x43, 0x26}, // and %ax,0x26(%rbx)
			""},
		{"item_remove that leaves other flags", lto1645, itemRemove1645, v1645,
			[]byte{0xb8, 0x04, 0x00, 0x00, 0x00}, // mov $0x4,%eax
			[]byte{0xb8, 0x05, 0x00, 0x00, 0x00}, // mov $0x5,%eax
			""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := changed(t, tt.code, tt.old, tt.new)
			p := madeProgram(tt.imports, c)
			if got := strings.Join(fits(p, c.function(), tt.version), " "); got != tt.want {
				t.Errorf("has the shape of %q, want %q; seen: %s", got, tt.want, p.describe(c.function(), tt.version.ABI()))
			}
		})
	}
}

// Until 1.4.34 do_item_remove hands the address of the count to a function.
func TestCountedReference(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		old, new []byte
		want     bool
	}{
		{"the count's address", nil, nil, true},
		{"the address before", []byte{0x48, 0x83, 0xc7, 0x24}, []byte{0x48, 0x83, 0xc7, 0x22}, false}, // add $0x22,%rdi
		{"the item's address", []byte{0x48, 0x83, 0xc7, 0x24}, []byte{0x48, 0x83, 0xff, 0x24}, false}, // cmp $0x24,%rdi
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := changed(t, doItemRemove1425, tt.old, tt.new)
			if got := madeProgram(nil, c, refcountDecr1425).writesItem(c.at, 2, itemRefcount); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// LTO leaves of get_cas_id what it does, before the call of store_item that takes the value.
func TestInlinedDraw(t *testing.T) {
	t.Parallel()
	const storeItem = 0x14a30
	want := draw{lock: 0x3e900, counter: 0x3b618}
	for _, tt := range []struct {
		name     string
		imports  map[uint64]string
		old, new []byte
		want     []draw
	}{
		{"as it is", lto1627, nil, nil, []draw{want}},
		{"no lock", map[uint64]string{0x4890: "pthread_mutex_trylock", 0x4540: "pthread_mutex_unlock"}, nil, nil, nil},
		{"no unlock", map[uint64]string{0x4890: "pthread_mutex_lock", 0x4540: "pthread_mutex_destroy"}, nil, nil, nil},
		{"another lock is unlocked", lto1627,
			[]byte{0x48, 0x8d, 0x3d, 0x93, 0xdb, 0x02, 0x00}, // lea 0x2db93(%rip),%rdi
			[]byte{0x48, 0x8d, 0x3d, 0x9b, 0xdb, 0x02, 0x00}, nil},
		{"four bytes are counted", lto1627,
			[]byte{0x4c, 0x89, 0x0d, 0xa0, 0xa8, 0x02, 0x00},       // mov %r9,0x2a8a0(%rip)
			[]byte{0x44, 0x89, 0x0d, 0xa0, 0xa8, 0x02, 0x00}, nil}, // mov %r9d,0x2a8a0(%rip)
		{"nothing is counted", lto1627,
			[]byte{0x4c, 0x89, 0x0d, 0xa0, 0xa8, 0x02, 0x00},
			[]byte{0x4c, 0x8b, 0x0d, 0xa0, 0xa8, 0x02, 0x00}, nil}, // mov 0x2a8a0(%rip),%r9
		{"the count as it was is passed", lto1627,
			[]byte{0x4c, 0x8d, 0x48, 0x01}, // lea 0x1(%rax),%r9
			[]byte{0x4c, 0x8d, 0x48, 0x00}, nil},
		{"something else is passed", lto1627,
			[]byte{0x4c, 0x8b, 0x8d, 0x08, 0xff, 0xff, 0xff},       // mov -0xf8(%rbp),%r9
			[]byte{0x4c, 0x8b, 0x8d, 0x00, 0xff, 0xff, 0xff}, nil}, // mov -0x100(%rbp),%r9
		{"another function is called", lto1627,
			[]byte{0xe8, 0xd0, 0x44, 0x00, 0x00}, // call 14a30
			[]byte{0xe8, 0xe0, 0x44, 0x00, 0x00}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// Both parts of drive_machine, with nothing in between.
			whole := slices.Concat(storesDrawn1627.bytes, nothing)
			whole = append(whole, bytes.Repeat([]byte{0x90}, int(draws1627.at-storesDrawn1627.at)-len(whole))...)
			c := changed(t, code{storesDrawn1627.at, append(whole, draws1627.bytes...)}, tt.old, tt.new)
			got := madeProgram(tt.imports, c).inlinedDraws([]function{c.function()}, storeItem)
			for n := range got {
				got[n].value = value{}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// -O3 copies a long literal from constants of sixteen bytes, or of thirty-two where the processor has those.
func TestLiteralInPieces(t *testing.T) {
	t.Parallel()
	m := &image{segments: []segment{
		{addr: 0x1000, data: []byte("SERVER_ERROR object too large for cache\x00")},
		{addr: 0x2000, data: []byte("SERVER_ERROR object too large fo")},
		{addr: 0x3000, data: []byte("SERVER_ERROR objSERVER_ERROR out")},
		{addr: 0x4000, data: []byte("ect too large fo"), writable: true},
	}}
	if got, want := m.literals(tooLarge), []uint64{0x1000, 0x1010, 0x2000, 0x2010}; !slices.Equal(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
	if got := m.literals(badChunk); got != nil {
		t.Errorf("found %q at %#x", badChunk, got)
	}
}

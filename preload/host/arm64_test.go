package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// arm64Hosts are Debian's memcacheds for arm64 that `make hosts` and `make more-hosts` have fetched.
func arm64Hosts(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob(hostPath("debian/arm64/*/usr/bin/memcached"))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Skip("`make hosts` has fetched no memcached for arm64")
	}
	for n := range list {
		list[n] = strings.TrimPrefix(list[n], hostPath("")+"/")
	}
	return list
}

// Whatever Debian's memcached for arm64 exports or not, its functions are found in its code; where it exports them, they
// are the same.
func TestScanARM64(t *testing.T) {
	t.Parallel()
	for _, name := range arm64Hosts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := readHost(t, name)
			found := scanned(t, data)
			facts, err := Find(bytes.NewReader(data), DebugFiles{})
			if err != nil || facts.Machine != elf.EM_AARCH64 || facts.Functions != found {
				t.Errorf("scan finds %+x; %+v, %v", found, facts, err)
			}
		})
	}
}

// word returns an instruction and how it is decoded.
func wordAt(t testing.TB, w uint32, at uint64) (code []byte, i inst, err error) {
	t.Helper()
	code = binary.LittleEndian.AppendUint32(nil, w)
	i, err = decodeARM64(code, at)
	if err == nil && (i.size != 4 || i.at != at) {
		t.Fatalf("%#08x: %+v", w, i)
	}
	return code, i, err
}

// What golang.org/x/arch knows of an instruction's way through the program is what the decoder says.
func agreeARM64(t testing.TB, w uint32, at uint64) {
	code, i, err := wordAt(t, w, at)
	known, unknown := arm64asm.Decode(code)
	if unknown != nil {
		return // it knows less
	}
	if err != nil {
		t.Errorf("%#08x at %#x, %v: %v", w, at, known, err)
		return
	}
	want := onward
	switch known.Op {
	case arm64asm.B:
		want = jump
		if _, conditional := known.Args[0].(arm64asm.Cond); conditional {
			want = branch
		}
	case arm64asm.BR:
		want = jump
	case arm64asm.BL, arm64asm.BLR:
		want = calling
	case arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ:
		want = branch
	case arm64asm.RET:
		want = ret
	case arm64asm.BRK:
		want = trap
	case arm64asm.HLT, arm64asm.HVC, arm64asm.SMC, arm64asm.ERET, arm64asm.DRPS, arm64asm.DCPS1, arm64asm.DCPS2, arm64asm.DCPS3:
		want = foreign
	}
	if i.flow != want {
		t.Errorf("%#08x at %#x, %v: flow %d, want %d", w, at, known, i.flow, want)
	}
	for _, a := range known.Args {
		rel, ok := a.(arm64asm.PCRel)
		to, states := i.target()
		switch {
		case !ok:
		case i.flow != onward && (!states || to != at+uint64(rel)):
			t.Errorf("%#08x at %#x, %v: goes to %#x", w, at, known, to)
		case known.Op == arm64asm.ADR && i.ops[0].src[0].n != int64(at)+int64(rel),
			known.Op == arm64asm.ADRP && i.ops[0].src[0].n != int64(at&^0xfff)+int64(rel):
			t.Errorf("%#08x at %#x, %v: %#x", w, at, known, i.ops[0].src[0].n)
		}
	}
	writesKnown(t, w, known, &i)
}

// writesKnown holds what is written against the instruction's form: nothing but stores, compares and hints leaves the first
// register that it names as it was.
func writesKnown(t testing.TB, w uint32, known arm64asm.Inst, i *inst) {
	to, ok := known.Args[0].(arm64asm.Reg)
	if !ok || i.flow != onward || to >= arm64asm.B0 || to == arm64asm.XZR || to == arm64asm.WZR {
		return
	}
	name := known.Op.String()
	for _, keeps := range []string{"ST", "CMP", "CMN", "TST", "CCM", "MSR", "SYS", "PRFM", "IC", "DC", "AT", "TLBI"} {
		if strings.HasPrefix(name, keeps) && !strings.HasPrefix(name, "STX") && !strings.HasPrefix(name, "STLX") {
			return
		}
	}
	n := reg(to - arm64asm.X0)
	if to < arm64asm.X0 {
		n = reg(to - arm64asm.W0)
	}
	for _, o := range i.ops {
		if o.dst.kind == register && o.dst.reg == n {
			return
		}
	}
	t.Errorf("%#08x, %v: %+v writes no register %d", w, known, i.ops, n)
}

func TestDecodeARM64(t *testing.T) {
	t.Parallel()
	for _, name := range arm64Hosts(t) {
		f, err := elf.NewFile(bytes.NewReader(readHost(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		text := f.Section(".text")
		data, err := text.Data()
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n+4 <= len(data); n += 4 {
			agreeARM64(t, binary.LittleEndian.Uint32(data[n:]), text.Addr+uint64(n))
		}
	}
}

func FuzzDecodeARM64(f *testing.F) {
	for _, w := range []uint32{0xd503245f, 0x900001a5, 0xf947cca5, 0xa9bb7bfd, 0x17fff1b3, 0xd61f0220, 0x927d0000, 0xb8606820} {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, w uint32) { agreeARM64(t, w, 0x10000) })
}

// The numbers that an instruction has in itself.
func TestNumbersARM64(t *testing.T) {
	t.Parallel()
	for w, want := range map[uint32]int64{
		0x927d0000: 8,                  // and x0, x0, #8
		0x321a03e0: 0x40,               // mov w0, #0x40
		0xb200f3e0: 0x5555555555555555, // mov x0, #0x5555555555555555
		0x929ffff4: ^int64(0xffff),     // mov x20, #-65536
		0x12800000: 0xffffffff,         // mov w0, #-1
		0xd2a00020: 0x10000,            // mov x0, #65536
	} {
		_, i, err := wordAt(t, w, 0)
		if err != nil || len(i.ops) != 1 {
			t.Fatalf("%#08x: %+v, %v", w, i, err)
		}
		got := i.ops[0].src[0]
		if got.kind != immediate {
			got = i.ops[0].src[1]
		}
		if got.kind != immediate || got.n != want {
			t.Errorf("%#08x: %+v, want %#x", w, got, want)
		}
	}
}

// What one instruction puts into two registers are two values: an item's fields that are written through both are of no one
// item.
func TestPairARM64(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		nkey  uint32 // the store of it
		bases int
	}{
		{"through one", 0x3900a541, 1},  // strb w1, [x10, #41]
		{"through both", 0x3900a561, 2}, // strb w1, [x11, #41]
	} {
		var data []byte
		for _, w := range []uint32{
			0xf9400009, // ldr x9, [x0]
			0xa9402d2a, // ldp x10, x11, [x9]
			tt.nkey,
			0xb9002144, // str w4, [x10, #32]
			0xb9001d43, // str w3, [x10, #28]
			0xd65f03c0, // ret
		} {
			data = binary.LittleEndian.AppendUint32(data, w)
		}
		c := code{0x1000, data}
		p := madeProgram(nil, c)
		p.machine = &arm64
		tr := p.traced(c.function())
		if tr.err != nil || len(byBase(tr)) != tt.bases || isDoItemAlloc(tr) != (tt.bases == 1) {
			t.Errorf("%s: %+v, %v", tt.name, byBase(tr), tr.err)
		}
	}
}

package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// findExclusive calls Find and makes sure that it either succeeds or refuses, and then says nothing of functions.
func findExclusive(t testing.TB, data []byte) (*Facts, *Unsupported) {
	t.Helper()
	facts, err := Find(bytes.NewReader(data), DebugFiles{})
	var u *Unsupported
	switch {
	case err == nil && (facts == nil || facts.Route == ""):
		t.Fatalf("found %+v", facts)
	case err != nil && facts != nil && (facts.Route != "" || facts.Functions != Functions{}):
		t.Fatalf("facts %+v and error %v", facts, err)
	case err != nil && !errors.As(err, &u):
		t.Fatalf("%T: %v", err, err)
	case u != nil && u.Reason == "":
		t.Fatalf("refused without a reason: %+v", u)
	}
	if err != nil {
		return nil, u
	}
	return facts, nil
}

// patched returns a copy of a program with bytes changed at a file offset.
func patched(data []byte, offset int, with ...byte) []byte {
	data = slices.Clone(data)
	copy(data[offset:], with)
	return data
}

func replaced(old, new string) func([]byte) []byte {
	return func(data []byte) []byte { return bytes.ReplaceAll(data, []byte(old), []byte(new)) }
}

// offsetOf returns where in a program file the byte at an address stands.
func offsetOf(t testing.TB, data []byte, addr uint64) int {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return int(p.Off + addr - p.Vaddr)
		}
	}
	t.Fatalf("nothing at %#x", addr)
	return 0
}

// offsets of fields in the ELF header (elf.h: Elf64_Ehdr)
const (
	eType    = 16
	eMachine = 18
	eShoff   = 40
	ePhnum   = 56
	eShnum   = 60
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	stock := readHost(t, stockHost)
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
		want   string // in the reason
	}{
		{"empty", func([]byte) []byte { return nil }, "ends within"},
		{"a script", func([]byte) []byte { return []byte("#!/bin/sh\nexec memcached -u nobody\n") }, "not a program in the ELF format"},
		{"32 bits", func(b []byte) []byte { return patched(b, elf.EI_CLASS, byte(elf.ELFCLASS32)) }, "ELFCLASS32"},
		{"big-endian", func(b []byte) []byte { return patched(b, elf.EI_DATA, byte(elf.ELFDATA2MSB)) }, "ELFDATA2MSB"},
		{"riscv", func(b []byte) []byte { return patched(b, eMachine, byte(elf.EM_RISCV), 0) }, "EM_RISCV"},
		{"code of another machine", func(b []byte) []byte { return patched(b, eMachine, byte(elf.EM_AARCH64), 0) }, "pthread_mutex_lock"},
		{"an object file", func(b []byte) []byte { return patched(b, eType, byte(elf.ET_REL), 0) }, "ET_REL"},
		{"no program headers", func(b []byte) []byte { return patched(b, ePhnum, 0, 0) }, "program headers"},
		{"65535 program headers", func(b []byte) []byte { return patched(b, ePhnum, 0xff, 0xff) }, "program headers"},
		{"a version to come", replaced("1.6.18", "1.7.0\x00"), fmt.Sprintf("memcached 1.7.0 is not supported (need >= %v and <= %v)", oldest, newest)},
		{"a version long gone", replaced("1.6.18", "1.4.24"), fmt.Sprintf("memcached 1.4.24 is not supported (need >= %v and <= %v)", oldest, newest)},
		{"two versions", replaced("VERSION 1.6.18", "VERSION 1.6.17"), "in doubt"},
		{"another program", replaced("1.6.18", "x.y.zz"), "not memcached"},
		// Between these the signature of store_item changes: a wrong version is not believed.
		{"1.6.18 that says 1.6.21", replaced("1.6.18", "1.6.21"), "store_item is not found"},
		{"1.6.18 that says 1.6.38", replaced("1.6.18", "1.6.38"), "store_item is not found"},
		{"1.6.18 that says 1.4.25", replaced("1.6.18", "1.4.25"), "is not found"},
		{"1.6.18 that says 1.5.6", replaced("1.6.18", "1.5.6\x00"), "is not found"},
		{"no complete_nread_ascii", replaced(badChunk, strings.Repeat("x", len(badChunk))), badChunk},
		{"no process_update_command", replaced(tooLarge, strings.Repeat("x", len(tooLarge))), tooLarge},
		{"no drive_machine", replaced(outOfMemory, strings.Repeat("x", len(outOfMemory))), outOfMemory},
		{"no locks", replaced("\x00pthread_mutex_lock\x00", "\x00pthread_mutex_xxxx\x00"), "pthread_mutex_lock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := tt.change(stock)
			if bytes.Equal(data, stock) {
				t.Fatal("the program is unchanged")
			}
			facts, u := findExclusive(t, data)
			if facts != nil {
				t.Fatalf("found %+v", facts)
			}
			if !strings.Contains(u.Reason, tt.want) {
				t.Errorf("refused with %q, want %q", u.Reason, tt.want)
			}
		})
	}
}

// Where a function is not what it should be it is named, and what was seen instead is told.
func TestRefusesWithoutShape(t *testing.T) {
	t.Parallel()
	for _, host := range []string{stockHost, exportedHost} {
		data := readHost(t, host)
		_, v := opened(t, data)
		f := scanned(t, data)
		for _, w := range f.wanted(v.ABI()) {
			for name, with := range map[string][]byte{
				"returns":  {0xc3},
				"garbage":  {0x06},
				"int3":     {0xcc, 0xcc, 0xcc, 0xcc, 0xcc},
				"no start": {0xf4, 0xf4, 0xf4, 0xf4, 0xf4},
			} {
				t.Run(host+" "+w.name+" "+name, func(t *testing.T) {
					t.Parallel()
					p, v := opened(t, patched(data, offsetOf(t, data, *w.into), with...))
					got, err := p.scan(v)
					var u *Unsupported
					if !errors.As(err, &u) {
						t.Fatalf("found %+x, %v", got, err)
					}
					if !strings.Contains(u.Reason, w.name) || len(u.Seen) == 0 {
						t.Errorf("refused with %q, %q", u.Reason, u.Seen)
					}
				})
			}
		}
	}
}

// Section headers are for linkers and debuggers: a program runs without them, and is found without them.
func TestFindWithoutSections(t *testing.T) {
	t.Parallel()
	for host, route := range map[string]Route{stockHost: Scan, exportedHost: Exported, symtabHost: Scan} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			data := readHost(t, host)
			want, err := Find(bytes.NewReader(data), DebugFiles{})
			if err != nil {
				t.Fatal(err)
			}
			data = patched(data, eShoff, make([]byte, 8)...)
			data = patched(data, eShnum, make([]byte, 4)...)
			got, u := findExclusive(t, data)
			if u != nil {
				t.Fatal(u.Reason)
			}
			if got.Route != route || got.Functions != want.Functions || got.BuildID != want.BuildID || got.Version != want.Version {
				t.Errorf("%+v, with sections %+v", got, want)
			}
		})
	}
}

// A file that ends early is refused, or found rightly when only what is not loaded is missing.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, host := range []string{stockHost, exportedHost} {
		data := readHost(t, host)
		want, err := Find(bytes.NewReader(data), DebugFiles{})
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(data); n += 1 + n/64 {
			if facts, _ := findExclusive(t, data[:n]); facts != nil && facts.Functions != want.Functions {
				t.Fatalf("%s, %d of %d bytes: %+v", host, n, len(data), facts)
			}
		}
	}
}

// Every number in the headers can be anything.  What is found nevertheless is right: some numbers do not matter.
func TestAnyNumber(t *testing.T) {
	t.Parallel()
	for _, host := range []string{stockHost, exportedHost} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			data := readHost(t, host)
			p, _ := opened(t, data)
			want := scanned(t, data)
			for n := elf.EI_NIDENT; n < 64+int(p.header.Phnum)*56; n += 8 {
				was := binary.LittleEndian.Uint64(data[n:])
				for _, to := range []uint64{0, ^uint64(0), was + 1} {
					changed := patched(data, n, binary.LittleEndian.AppendUint64(nil, to)...)
					if facts, _ := findExclusive(t, changed); facts != nil && facts.Functions != want {
						t.Errorf("%#x at %#x: %+v", to, n, facts)
					}
				}
			}
		})
	}
}

// Every byte of a program that has one of everything can be anything.
func TestAnyByte(t *testing.T) {
	t.Parallel()
	data := smallELF("1.6.18")
	for n, was := range data {
		for _, to := range []byte{0x00, 0x01, 0x7f, 0x80, 0xff, was + 1, was ^ 0x40} {
			if facts, _ := findExclusive(t, patched(data, n, to)); facts != nil {
				t.Errorf("%#x at %#x: %+v", to, n, facts)
			}
		}
	}
}

// A file that cannot be read is not the same as one that is refused.
func TestReadError(t *testing.T) {
	t.Parallel()
	want := errors.New("input/output error")
	_, err := Find(failingReader{want}, DebugFiles{})
	var u *Unsupported
	if !errors.Is(err, want) || errors.As(err, &u) {
		t.Errorf("%v", err)
	}
}

type failingReader struct{ err error }

func (r failingReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

// Two functions of one shape are a doubt, and a doubt is a refusal.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	again := code{itemRemove1618.at + 0x1000, slices.Clone(itemRemove1618.bytes)}
	imports := map[uint64]string{}
	for at, name := range debian12 {
		imports[at], imports[at+0x1000] = name, name
	}
	p := madeProgram(imports, itemRemove1618, again, code{0x14390, dropsReference}, code{0x15390, dropsReference})
	s := &selection{p: p, a: Version{1, 6, 18}.ABI()}
	got := s.locked("item_remove", []function{itemRemove1618.function(), again.function()}, p.isItemRemove)
	if s.err == nil || !strings.Contains(s.err.Error(), "item_remove is in doubt: 2 functions") || got != 0 {
		t.Errorf("%#x, %v", got, s.err)
	}
}

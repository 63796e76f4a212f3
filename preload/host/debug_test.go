package host

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// run runs a tool of the distribution.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, &errs)
	}
	return out
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// debugFileOf makes a debug file of the host that has symbols, as distributions do.
func debugFileOf(t testing.TB, options ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memcached.debug")
	run(t, "objcopy", slices.Concat([]string{"--only-keep-debug"}, options, []string{hostPath(symtabHost), path})...)
	return read(t, path)
}

// withSection returns the stripped host with a section of this content.
func withSection(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "memcached")
	run(t, "objcopy", "--remove-section", name, "--add-section", name+"="+write(t, filepath.Join(dir, "section"), content),
		hostPath(stockHost), path)
	return read(t, path)
}

// linked returns the stripped host with a link to a debug file.
func linked(t testing.TB, debug []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "memcached")
	run(t, "objcopy", "--remove-section", debugLinkName, hostPath(stockHost), path)
	run(t, "objcopy", "--add-gnu-debuglink="+write(t, filepath.Join(dir, "memcached.debug"), debug), path)
	return read(t, path)
}

// miniDebug makes what stands in .gnu_debugdata: the functions that are not dynamic symbols, and nothing else.
func miniDebug(t testing.TB, xz ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	names := func(args ...string) map[string]bool {
		all := make(map[string]bool)
		for _, line := range strings.Split(string(run(t, "nm", append(args, "--defined-only", "--format=posix")...)), "\n") {
			if f := strings.Fields(line); len(f) > 1 && strings.ToLower(f[1]) == "t" {
				all[f[0]] = true
			}
		}
		return all
	}
	dynamic := names("-D", hostPath(symtabHost))
	var keep []string
	for name := range names(hostPath(symtabHost)) {
		if !dynamic[name] {
			keep = append(keep, name)
		}
	}
	mini := filepath.Join(dir, "mini")
	list := write(t, filepath.Join(dir, "keep"), []byte(strings.Join(keep, "\n")+"\n"))
	run(t, "objcopy", "-S", "--remove-section", ".comment", "--keep-symbols="+list,
		write(t, filepath.Join(dir, "debug"), debugFileOf(t)), mini)
	return run(t, "xz", append(xz, "--stdout", mini)...)
}

// places is where a test has a program and its debug files.
type places struct {
	t testing.TB
	DebugFiles
}

func newPlaces(t testing.TB) places {
	dir := t.TempDir()
	return places{t, DebugFiles{Program: filepath.Join(dir, "bin", "memcached"), Root: filepath.Join(dir, "debug")}}
}

// known is where a debug file is known by the host's build ID.
func (p places) known() string {
	return p.byBuildID(sectionBuildID(p.t, readHost(p.t, stockHost)))
}

// beside is where it is linked to.
func (p places) beside() string { return filepath.Join(filepath.Dir(p.Program), "memcached.debug") }

// Every way in which a distribution puts the symbols aside leads to them, and to the same ones.
func TestDebug(t *testing.T) {
	t.Parallel()
	want, err := Find(bytes.NewReader(readHost(t, symtabHost)), DebugFiles{})
	if err != nil {
		t.Fatal(err)
	}
	debug, stock := debugFileOf(t), readHost(t, stockHost)
	nameless := debugFileOf(t, "--remove-section", ".note.gnu.build-id")
	packed := compressed(t, debug, 0)
	for _, tt := range []struct {
		name    string
		prepare func(p places) []byte // puts the debug file into its place, returns the program
	}{
		{"by build ID", func(p places) []byte { write(t, p.known(), debug); return stock }},
		{"by build ID, through a symbolic link", func(p places) []byte {
			other := write(t, filepath.Join(p.Root, "usr", "bin", "memcached-1.6.debug"), debug)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p.known()), 0o755), os.Symlink(other, p.known())); err != nil {
				t.Fatal(err)
			}
			return stock
		}},
		{"by build ID, of a program without section headers", func(p places) []byte {
			write(t, p.known(), debug)
			return patched(stock, eShoff, make([]byte, 8)...)
		}},
		{"linked, beside it", func(p places) []byte { write(t, p.beside(), debug); return linked(t, debug) }},
		{"linked, in .debug", func(p places) []byte {
			write(t, filepath.Join(filepath.Dir(p.Program), ".debug", "memcached.debug"), debug)
			return linked(t, debug)
		}},
		{"linked, in the global directory", func(p places) []byte {
			write(t, filepath.Join(p.Root, filepath.Dir(p.Program), "memcached.debug"), debug)
			return linked(t, debug)
		}},
		{"linked, after a wrong one", func(p places) []byte {
			write(t, p.beside(), debug[:len(debug)-1])
			write(t, filepath.Join(p.Root, filepath.Dir(p.Program), "memcached.debug"), debug)
			return linked(t, debug)
		}},
		{"linked, without a build ID", func(p places) []byte { write(t, p.beside(), nameless); return linked(t, nameless) }},
		{"linked, with compressed tables", func(p places) []byte { write(t, p.beside(), packed); return linked(t, packed) }},
		{"compressed", func(places) []byte { return withSection(t, debugDataName, miniDebug(t)) }},
		{"compressed, large dictionary", func(places) []byte { return withSection(t, debugDataName, miniDebug(t, "-9e")) }},
		{"compressed, CRC-32", func(places) []byte { return withSection(t, debugDataName, miniDebug(t, "--check=crc32")) }},
		{"compressed, unchecked", func(places) []byte { return withSection(t, debugDataName, miniDebug(t, "--check=none")) }},
		{"compressed, other properties", func(places) []byte {
			return withSection(t, debugDataName, miniDebug(t, "--lzma2=preset=0,nice=2,mode=fast,lc=0,lp=4"))
		}},
		{"compressed, threads", func(places) []byte { return withSection(t, debugDataName, miniDebug(t, "-T2")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlaces(t)
			data := tt.prepare(p)
			facts, err := Find(bytes.NewReader(data), p.DebugFiles)
			if err != nil {
				t.Fatal(err)
			}
			if facts.Route != Debug || facts.Functions != want.Functions {
				prog, v := opened(t, data)
				_, err := prog.debug(v, p.DebugFiles)
				t.Errorf("route %s, %+x, want %+x\n%+v", facts.Route, facts.Functions, want.Functions, err)
			}
		})
	}
}

// compressed returns a debug file whose symbol table and names are compressed (elf.h: SHF_COMPRESSED), and claim to have
// so many bytes if that is not 0.
func compressed(t testing.TB, debug []byte, claim uint64) []byte {
	t.Helper()
	s := sectionsOf(t, debug)
	debug = slices.Clone(debug)
	var h elf.Header64
	decode(debug, &h)
	for i, section := range s.headers {
		if kind := elf.SectionType(section.Type); kind != elf.SHT_SYMTAB && (kind != elf.SHT_STRTAB || i == int(h.Shstrndx)) {
			continue
		}
		var b bytes.Buffer
		head := elf.Chdr64{Type: uint32(elf.COMPRESS_ZLIB), Size: cmp.Or(claim, section.Size), Addralign: section.Addralign}
		z := zlib.NewWriter(&b)
		if err := errors.Join(binary.Write(&b, binary.LittleEndian, head), second(z.Write(debug[section.Off:section.Off+section.Size])),
			z.Close()); err != nil {
			t.Fatal(err)
		}
		section.Off, section.Size = uint64(len(debug)), uint64(b.Len())
		section.Flags |= uint64(elf.SHF_COMPRESSED)
		debug = setSection(append(debug, b.Bytes()...), i, section)
	}
	return debug
}

func second(_ int, err error) error { return err }

func sectionsOf(t testing.TB, data []byte) *sections {
	t.Helper()
	h, err := readHeader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSections(bytes.NewReader(data), h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setSection returns a file with another section header i.
func setSection(data []byte, i int, h elf.Section64) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, h); err != nil {
		panic(err)
	}
	at := binary.LittleEndian.Uint64(data[eShoff:]) + uint64(i)*64
	return patched(data, int(at), b.Bytes()...)
}

// setSymtab returns a debug file with its symbol table's header changed.
func setSymtab(t testing.TB, data []byte, change func(*elf.Section64)) []byte {
	t.Helper()
	for i, h := range sectionsOf(t, data).headers {
		if elf.SectionType(h.Type) == elf.SHT_SYMTAB {
			change(&h)
			return setSection(data, i, h)
		}
	}
	t.Fatal("no symbol table")
	return nil
}

// What is not this program's debug file, or is none, is refused with a reason; the next way is tried, in the end the scan.
func TestDebugRefusals(t *testing.T) {
	t.Parallel()
	stock, debug := readHost(t, stockHost), debugFileOf(t)
	want := scanned(t, stock)
	id := sectionBuildID(t, stock)
	otherID := bytes.Replace(debug, hexBytes(t, id), bytes.Repeat([]byte{0xab}, len(id)/2), 1)
	known := func(content []byte) func(places) []byte {
		return func(p places) []byte { write(t, p.known(), content); return stock }
	}
	link := func(content []byte) func(places) []byte {
		return func(p places) []byte { write(t, p.beside(), content); return linked(t, content) }
	}
	section := func(content string) func(places) []byte {
		return func(p places) []byte {
			write(t, p.beside(), debug)
			return withSection(t, debugLinkName, []byte(content))
		}
	}
	made := func(make func(path string) error) func(places) []byte {
		return func(p places) []byte {
			if err := errors.Join(os.MkdirAll(filepath.Dir(p.known()), 0o755), make(p.known())); err != nil {
				t.Fatal(err)
			}
			return stock
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(p places) []byte
		want    string // in what was seen
	}{
		{"nothing", func(places) []byte { return stock }, "no such file or directory"},
		{"no sections", func(places) []byte { return patched(stock, eShoff, make([]byte, 8)...) }, "no section headers"},
		{"no link", func(places) []byte { return linkless(t) }, ".gnu_debuglink: the program has no such section"},
		{"no debug data", func(places) []byte { return stock }, ".gnu_debugdata: the program has no such section"},
		{"a wrong CRC", func(p places) []byte { write(t, p.beside(), append(debug, 0)); return linked(t, debug) }, "its CRC is 0x"},
		{"too large for a CRC", func(p places) []byte {
			if err := os.Truncate(write(t, p.beside(), debug), maxDebugFile+1); err != nil {
				t.Fatal(err)
			}
			return linked(t, debug)
		}, "more than 256 MiB"},
		{"a wrong build ID", known(otherID), "its build ID is abab"},
		{"a wrong build ID, linked", link(otherID), "its build ID is abab"},
		{"no build ID", known(debugFileOf(t, "--remove-section", ".note.gnu.build-id")), "it has no build ID"},
		{"no symbols", known(stock), "it has no symbol table"},
		{"empty", known(nil), "it ends within the ELF header"},
		{"text", known([]byte("not a debug file, but long enough")), "not a program in the ELF format"},
		{"another machine", known(patched(debug, eMachine, byte(elf.EM_AARCH64), 0)), "EM_AARCH64"},
		{"not position-independent", known(patched(debug, eType, byte(elf.ET_EXEC), 0)), "ET_EXEC"},
		{"an object file", known(patched(debug, eType, byte(elf.ET_REL), 0)), "ET_REL"},
		{"a directory", made(func(path string) error { return os.Mkdir(path, 0o755) }), "is a directory"},
		{"a FIFO", made(func(path string) error { return syscall.Mkfifo(path, 0o644) }), "not a regular file (prw-r--r--)"},
		{"a device", made(func(path string) error { return os.Symlink("/dev/zero", path) }), "not a regular file (Dcrw-rw-rw-)"},
		{"a loop", made(func(path string) error { return os.Symlink(path, path) }), "too many levels of symbolic links"},
		{"a link to nowhere", made(func(path string) error { return os.Symlink("nowhere", path) }), "no such file or directory"},
		{"beyond the code", known(addresses(t, debug, 1<<40)), "not among 0 named functions"},
		{"in the data", known(addresses(t, debug, 0x1000_0000)), "not among 0 named functions"},
		{"one function missing", known(debugFileOf(t, "--strip-symbol=item_get")), "named functions: item_get"},
		{"a symbol table of 4 GiB", known(setSymtab(t, debug, func(h *elf.Section64) { h.Size = 4 << 30 })), "4294967296 bytes"},
		{"a symbol table beyond the end", known(setSymtab(t, debug, func(h *elf.Section64) { h.Off = 1 << 60 })), "ends within the symbol table"},
		{"names nowhere", known(setSymtab(t, debug, func(h *elf.Section64) { h.Link = 4000 })), "names in section 4000"},
		{"a symbol table left out", known(setSymtab(t, debug, func(h *elf.Section64) { h.Type = uint32(elf.SHT_NOBITS) })), "no symbol table"},
		{"not compressed as it says", known(setSymtab(t, debug, func(h *elf.Section64) { h.Flags = uint64(elf.SHF_COMPRESSED) })), "is compressed as"},
		{"compressed to 4 GiB", known(compressed(t, debug, 4<<30)), "from 4294967296 bytes"},
		{"a link into another directory", section("../memcached.debug\x00\x00\x00\x00\x00\x00"), "names no file"},
		{"a link to nothing", section("\x00\x00\x00\x00\x00\x00\x00\x00"), "names no file"},
		{"a link to a directory", section("..\x00\x00\x00\x00\x00\x00"), "names no file"},
		{"a link without an end", section("memcached.debug"), "names no file"},
		{"a link without a CRC", section("memcached.debug\x00abc"), "names no file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlaces(t)
			data := tt.prepare(p)
			program, v := opened(t, data)
			f, err := program.debug(v, p.DebugFiles)
			var u *Unsupported
			if !errors.As(err, &u) {
				t.Fatalf("found %+x, %v", f, err)
			}
			if seen := strings.Join(u.Seen, "\n"); !strings.Contains(seen, tt.want) {
				t.Errorf("saw\n%s\nwant %q", seen, tt.want)
			}
			facts, err := Find(bytes.NewReader(data), p.DebugFiles)
			if err != nil {
				t.Fatal(err)
			}
			if facts.Route != Scan || facts.Functions != want {
				t.Errorf("route %s, %+x", facts.Route, facts.Functions)
			}
		})
	}
}

func hexBytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// linkless is the stripped host without its link.
func linkless(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memcached")
	run(t, "objcopy", "--remove-section", debugLinkName, hostPath(stockHost), path)
	return read(t, path)
}

// addresses returns a debug file with its symbols moved.
func addresses(t testing.TB, debug []byte, by uint64) []byte {
	t.Helper()
	for _, h := range sectionsOf(t, debug).headers {
		if elf.SectionType(h.Type) != elf.SHT_SYMTAB {
			continue
		}
		for at := h.Off; at < h.Off+h.Size; at += elf.Sym64Size {
			value := binary.LittleEndian.Uint64(debug[at+8:])
			debug = patched(debug, int(at+8), binary.LittleEndian.AppendUint64(nil, value+by)...)
		}
	}
	return debug
}

// A debug file that ends early is refused or is right, and whatever byte of it is changed, what is found is code of the
// program.
func TestDebugDamaged(t *testing.T) {
	t.Parallel()
	stock, debug := readHost(t, stockHost), debugFileOf(t)
	want := scanned(t, stock)
	program, v := opened(t, stock)
	find := func(data []byte) (Functions, error) {
		s, _, err := program.counterpart(bytes.NewReader(data))
		if err != nil {
			return Functions{}, err
		}
		list, err := s.symtab()
		if err != nil {
			return Functions{}, err
		}
		return program.named(list, v)
	}
	for n := range debug {
		if f, err := find(debug[:n]); err == nil && f != want {
			t.Errorf("%d of %d bytes: %+x", n, len(debug), f)
		}
		for _, to := range []byte{0x00, 0xff, debug[n] + 1} {
			f, err := find(patched(debug, n, to))
			if err != nil {
				continue
			}
			for _, w := range f.wanted(v.ABI()) {
				if !program.executable(*w.into, 1) {
					t.Errorf("%#x at %d: %s at %#x", to, n, w.name, *w.into)
				}
			}
		}
	}
}

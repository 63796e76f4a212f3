package host

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The hosts that `make hosts` prepares.
const (
	stockHost    = "stock/memcached"                 // as the distribution ships it: stripped
	symtabHost   = "symtab/memcached"                // the same with its symbol table
	exportedHost = "debian/amd64/trixie/usr/bin/memcached" // Debian 13's, which exports its functions
)

func hostPath(name string) string { return filepath.Join("..", "..", "build", "hosts", name) }

// readHost returns a host's program file.
func readHost(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(hostPath(name))
	if err != nil {
		t.Fatalf("%v; run `make hosts`", err)
	}
	return data
}

func opened(t testing.TB, data []byte) (*program, Version) {
	t.Helper()
	p, err := open(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	v, err := findVersion(p.image)
	if err != nil {
		t.Fatal(err)
	}
	return p, v
}

func scanned(t testing.TB, data []byte) Functions {
	t.Helper()
	p, v := opened(t, data)
	f, err := p.scan(v)
	if err != nil {
		var u *Unsupported
		if errors.As(err, &u) {
			t.Log(strings.Join(u.Seen, "\n"))
		}
		t.Fatal(err)
	}
	return f
}

func TestFindHosts(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]Route{stockHost: Scan, symtabHost: Symtab, exportedHost: Exported} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := readHost(t, name)
			facts, err := Find(bytes.NewReader(data), DebugFiles{})
			if err != nil {
				t.Fatal(err)
			}
			if facts.Route != route {
				t.Errorf("route %s, want %s", facts.Route, route)
			}
			if want := sectionBuildID(t, data); facts.BuildID != want {
				t.Errorf("build ID %s, want %s", facts.BuildID, want)
			}
			for _, w := range facts.Functions.wanted(facts.Version.ABI()) {
				if *w.into == 0 {
					t.Errorf("%s is missing", w.name)
				}
			}
			// What the symbols say is the truth that the scan is measured by.
			if got := scanned(t, data); got != facts.Functions {
				t.Errorf("the scan finds %+x, the route %s %+x", got, route, facts.Functions)
			}
		})
	}
}

// The program itself says its version best.
func TestFindVersionOfStock(t *testing.T) {
	t.Parallel()
	data := readHost(t, stockHost)
	out, err := exec.Command(hostPath(stockHost), "-V").Output()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Find(bytes.NewReader(data), DebugFiles{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := "memcached "+facts.Version.String(), strings.TrimSpace(string(out)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a program says of itself is known also where its functions are not.
func TestFacts(t *testing.T) {
	t.Parallel()
	stock := readHost(t, stockHost)
	file, err := elf.NewFile(bytes.NewReader(stock))
	if err != nil {
		t.Fatal(err)
	}
	needed, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	interpreter, err := file.Section(".interp").Data()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data    []byte
		version Version
		machine elf.Machine
	}{
		"found":             {stock, Version{1, 6, 18}, elf.EM_X86_64},
		"another machine":   {patched(stock, eMachine, byte(elf.EM_RISCV), 0), Version{1, 6, 18}, elf.EM_RISCV},
		"a version to come": {replaced("1.6.18", "1.7.0\x00")(stock), Version{1, 7, 0}, elf.EM_X86_64},
		"no release":        {replaced("1.6.18", "1.7_rc")(stock), Version{}, elf.EM_X86_64},
		"in doubt":          {replaced("VERSION 1.6.18", "VERSION 1.6.17")(stock), Version{}, elf.EM_X86_64},
		"no drive_machine":  {replaced(outOfMemory, strings.Repeat("x", len(outOfMemory)))(stock), Version{1, 6, 18}, elf.EM_X86_64},
	} {
		facts, err := Find(bytes.NewReader(tt.data), DebugFiles{})
		if facts == nil || (err == nil) != (name == "found") {
			t.Fatalf("%s: %v, %v", name, facts, err)
		}
		if facts.Version != tt.version || facts.Machine != tt.machine || facts.BuildID != sectionBuildID(t, stock) ||
			facts.Interpreter != strings.TrimRight(string(interpreter), "\x00") || !slices.Equal(facts.Needed, needed) ||
			!facts.Needs("libevent") || facts.Needs("libseccomp") {
			t.Errorf("%s: %+v", name, facts)
		}
	}
}

// A program that is not memcached has no facts.
func TestForeign(t *testing.T) {
	t.Parallel()
	facts, err := Find(bytes.NewReader(read(t, "/bin/sh")), DebugFiles{})
	var u *Unsupported
	if facts != nil || !errors.As(err, &u) || !strings.Contains(u.Reason, "not memcached") {
		t.Errorf("%+v, %v", facts, err)
	}
}

// The same program is found on both routes.
func TestStockIsSymtab(t *testing.T) {
	t.Parallel()
	symtab, err := Find(bytes.NewReader(readHost(t, symtabHost)), DebugFiles{})
	if err != nil {
		t.Fatal(err)
	}
	if got := scanned(t, readHost(t, stockHost)); got != symtab.Functions {
		t.Errorf("scan %+x, symbol table %+x", got, symtab.Functions)
	}
}

// Every function that the symbols give bounds to is one function, or begins one whose rest is moved away.
func TestFunctionBounds(t *testing.T) {
	t.Parallel()
	p, _ := opened(t, readHost(t, exportedHost))
	var err error
	if p.funcs, err = p.readFunctions(); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range p.dynamicSymbols() {
		if !s.isFunction() || s.Size == 0 {
			continue
		}
		f, ok := p.functionAt(s.Value)
		if !ok || f.start != s.Value || f.end != s.Value+s.Size {
			t.Errorf("%s is %#x to %#x, not %#x to %#x", s.name, s.Value, s.Value+s.Size, f.start, f.end)
		}
		checked++
	}
	if checked < 100 {
		t.Errorf("only %d functions", checked)
	}
}

// sectionBuildID reads the build ID by the section headers, which Find does not look at.
func sectionBuildID(t testing.TB, data []byte) string {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Section(".note.gnu.build-id")
	if s == nil {
		return ""
	}
	note, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(note[16:])
}

func BenchmarkFind(b *testing.B) {
	for _, name := range []string{stockHost, symtabHost, exportedHost} {
		b.Run(name, func(b *testing.B) {
			data := readHost(b, name)
			for b.Loop() {
				if _, err := Find(bytes.NewReader(data), DebugFiles{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

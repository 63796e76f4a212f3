package host

import (
	"bytes"
	"debug/elf"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is found in a stripped program is what the symbols of its unstripped twin say, in every way in which memcached was
// built by `make more-hosts`.
func TestScanIsSymbols(t *testing.T) {
	t.Parallel()
	twins, err := filepath.Glob(hostPath("source/*/*/unstripped"))
	if err != nil {
		t.Fatal(err)
	}
	if len(twins) == 0 {
		t.Skip("`make more-hosts` has not built any")
	}
	for _, twin := range twins {
		dir := filepath.Dir(twin)
		t.Run(strings.TrimPrefix(dir, hostPath("source")+"/"), func(t *testing.T) {
			t.Parallel()
			name := strings.TrimPrefix(dir, hostPath("")+"/")
			p, v := opened(t, readHost(t, name+"/memcached"))
			found, err := p.scan(v)
			if filepath.Base(dir) == "O3-lto" {
				if err == nil {
					t.Fatal("found; where item_get is inlined nothing was to be found")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			at := symbolsOf(t, readHost(t, name+"/unstripped"))
			n := 0
			for name, addr := range found.ByName(v) {
				if !slices.Contains(at[name], addr) && !(name == "item_alloc" && slices.Contains(at["do_item_alloc"], addr)) {
					t.Errorf("%s at %#x, the symbols say %#x", name, addr, at[name])
				}
				n++
			}
			table := p.table(found.StoreItem, v.ABI())
			for name, addr := range map[string]uint64{
				"hash": table.Hash, "assoc_start_expand": table.AssocStartExpand, "maintenance_lock": table.MaintenanceLock,
				"settings": table.MaxBytes, // its first field
			} {
				if addr != 0 && !slices.Contains(at[name], addr) {
					t.Errorf("%s at %#x, the symbols say %#x", name, addr, at[name])
				}
				if addr == 0 && filepath.Base(dir) == "plain" && len(at[name]) > 0 && v.AtLeast(Version{1, 5, 20}) {
					t.Errorf("%s is not found, the symbols say %#x", name, at[name])
				}
			}
			if n < len(found.wanted(v.ABI())) {
				t.Errorf("%d of %d are found", n, len(found.wanted(v.ABI())))
			}
		})
	}
}

// symbolsOf lists the addresses of a name's symbols.  What link-time optimisation puts behind a name is left out.
func symbolsOf(t *testing.T, data []byte) map[string][]uint64 {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string][]uint64)
	for _, s := range symbols {
		name, _, _ := strings.Cut(s.Name, ".")
		at[name] = append(at[name], s.Value)
	}
	return at
}

package host

import (
	"fmt"
	"strings"
)

// exported takes the functions from the dynamic symbols: what a program that was linked with -rdynamic offers.
func (p *program) exported(v Version) (Functions, error) {
	return p.named(p.dynamicSymbols(), v)
}

// symtab takes the functions from .symtab.
func (p *program) symtab(v Version) (Functions, error) {
	s, err := readSections(p.file, &p.header)
	if err != nil {
		return Functions{}, err
	}
	list, err := s.symtab()
	if err != nil {
		return Functions{}, err
	}
	return p.named(list, v)
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

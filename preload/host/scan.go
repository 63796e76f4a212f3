package host

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// scan finds the functions in the code of a stripped program: from literals to the functions that use them, to the
// functions that those call, of which exactly one must have the shape of each function that is looked for.
func (p *program) scan(v Version) (Functions, error) {
	if p.decode == nil {
		return Functions{}, &Unsupported{Reason: fmt.Sprintf("the code of a stripped program is not analysed for %v", elf.Machine(p.header.Machine))}
	}
	p.readImports()
	if err := p.checkImports(); err != nil {
		return Functions{}, err
	}
	var err error
	if p.funcs, err = p.readFunctions(); err != nil {
		return Functions{}, err
	}
	a := v.ABI()
	store, update, read := &anchor{literal: badChunk}, &anchor{literal: tooLarge}, &anchor{literal: outOfMemory}
	anchors := []*anchor{store, update}
	if a.Chunks == ChunksLazy {
		anchors = append(anchors, read)
	}
	if err := p.findAnchors(anchors...); err != nil {
		return Functions{}, err
	}
	s := &selection{p: p, a: a}
	f := Functions{
		ItemAlloc:  s.itemAlloc(update.callees),
		StoreItem:  s.locked("store_item", store.callees, func(l *locked) bool { return l.isStoreItem(a) }),
		ItemRemove: s.locked("item_remove", intersect(store.callees, update.callees), p.isItemRemove),
		ItemGet:    s.locked("item_get", update.callees, func(l *locked) bool { return l.isItemGet(a) }),
		ItemUnlink: s.locked("item_unlink", update.callees, func(l *locked) bool { return p.isItemUnlink(l, a) }),
	}
	if a.Chunks == ChunksLazy {
		// It is called where drive_machine has read_into_chunked_item inlined, or there.
		f.ItemAllocChunk = s.one("do_item_alloc_chunk", p.withCallees(read.callees), func(f function) bool {
			t := p.traced(f)
			return t.err == nil && isItemAllocChunk(t, a)
		})
	}
	if a.StoreItem == StoreCASIn {
		s.casID(&f, store)
	}
	if s.err == nil {
		s.agree(&f)
	}
	if s.err != nil {
		return Functions{}, s.err
	}
	return f, nil
}

// checkImports makes sure that the locks come from libpthread: they are what the shapes are told by.
func (p *program) checkImports() error {
	var lock, unlock bool
	for _, name := range p.imports {
		lock = lock || name == "pthread_mutex_lock"
		unlock = unlock || name == "pthread_mutex_unlock"
	}
	if !lock || !unlock {
		return &Unsupported{Reason: fmt.Sprintf(
			"the stripped program does not import pthread_mutex_lock and pthread_mutex_unlock (%d imports); is it statically linked?",
			len(p.imports))}
	}
	return nil
}

// selection takes the one candidate for each function.  Its first error stays.
type selection struct {
	p        *program
	a        ABI
	pointers []uint64 // of the hash that the locked functions call
	err      error
}

// one returns the only candidate with a shape.
func (s *selection) one(name string, candidates []function, shape func(function) bool) uint64 {
	if s.err != nil {
		return 0
	}
	var fit []string
	var at uint64
	for _, f := range candidates {
		if shape(f) {
			at = f.start
			fit = append(fit, fmt.Sprintf("%#x", at))
		}
	}
	if len(fit) == 1 {
		return at
	}
	u := &Unsupported{Reason: fmt.Sprintf("%s is not found: none of its %d candidates has its shape", name, len(candidates))}
	if len(fit) > 1 {
		u.Reason = fmt.Sprintf("%s is in doubt: %d functions have its shape, %s", name, len(fit), strings.Join(fit, ", "))
	}
	const most = 64
	for n, f := range candidates {
		if n == most {
			u.Seen = append(u.Seen, fmt.Sprintf("and %d more", len(candidates)-most))
			break
		}
		u.Seen = append(u.Seen, s.p.describe(f, s.a))
	}
	s.err = u
	return 0
}

func (s *selection) locked(name string, candidates []function, shape func(*locked) bool) uint64 {
	return s.one(name, candidates, func(f function) bool {
		l, _ := s.p.asLocked(f, s.a)
		if l == nil || !shape(l) {
			return false
		}
		s.pointers = append(s.pointers, l.pointer)
		return true
	})
}

// itemAlloc takes item_alloc, or do_item_alloc where LTO has left no item_alloc.  A caller may call both: they are one.
func (s *selection) itemAlloc(candidates []function) uint64 {
	inner := make(map[function]bool)
	for _, f := range candidates {
		if g, ok := s.p.doItemAlloc(f); ok && g != f {
			inner[g] = true
		}
	}
	return s.one("item_alloc", candidates, func(f function) bool {
		_, ok := s.p.doItemAlloc(f)
		return ok && !inner[f]
	})
}

// agree makes sure that the findings are of one memcached: one hash, and a function for each name.
func (s *selection) agree(f *Functions) {
	if pointers := slices.Compact(slices.Sorted(slices.Values(s.pointers))); len(pointers) != 1 {
		s.err = &Unsupported{Reason: fmt.Sprintf("the functions that store items do not call the same hash: %#x", pointers)}
		return
	}
	var at []uint64
	for _, w := range f.wanted(s.a) {
		if *w.into != 0 { // get_cas_id may be inlined
			at = append(at, *w.into)
		}
	}
	slices.Sort(at)
	if n := len(at); len(slices.Compact(at)) != n {
		s.err = &Unsupported{Reason: fmt.Sprintf("one function has the shapes of two: %#x", at)}
	}
}

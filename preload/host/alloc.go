package host

import (
	"fmt"
	"slices"
)

// isDoItemAlloc: it->nkey = nkey; it->nbytes = nbytes; it->exptime = exptime of
// do_item_alloc(key, nkey, flags, exptime, nbytes) (items.c: do_item_alloc).
func isDoItemAlloc(t *trace) bool {
	for base, list := range byBase(t) {
		if base.kind != argument && base.kind != constant &&
			has(list, itemNkey, 1, srcArg(1)) && has(list, itemNbytes, 4, srcArg(4)) && has(list, itemExptime, 4, srcArg(3)) {
			return true
		}
	}
	return false
}

// doItemAlloc returns the function with do_item_alloc's shape that f is, or that it leaves its arguments to: item_alloc is
// "jmp do_item_alloc", and a compiler may split do_item_alloc behind its first test (gcc: do_item_alloc.part.0).
func (p *program) doItemAlloc(f function) (function, bool) {
	for range 3 {
		t := p.traced(f)
		if t.err != nil {
			return function{}, false
		}
		if isDoItemAlloc(t) {
			return f, true
		}
		calls := withoutGuard(t.calls)
		if len(calls) != 1 || slices.ContainsFunc(t.stores, outside) || !calls[0].tail && !t.returns(calls[0]) {
			return function{}, false
		}
		for n := range 5 {
			if !calls[0].args[n].isArg(n) {
				return function{}, false
			}
		}
		next, ok := p.functionAt(calls[0].addr)
		if !ok || next.start != calls[0].addr {
			return function{}, false
		}
		f = next
	}
	return function{}, false
}

// isItemAllocChunk: nch->head = ch->head; ch->next = nch; nch->prev = ch; nch->next = 0; nch->used = 0; nch->size = ...;
// nch->it_flags |= ITEM_CHUNK of do_item_alloc_chunk(ch, bytes_remain) (items.c: do_item_alloc_chunk).
func isItemAllocChunk(t *trace, a ABI) bool {
	flags, width := int64(itemFlags8), uint8(1)
	if a.Header == HeaderWide {
		flags, width = itemFlags, 2
	}
	for base, list := range byBase(t) {
		head := func(s store) bool { return s.src.isField(chunkHead, 8) }
		linked := slices.ContainsFunc(t.stores, func(s store) bool {
			return s.plain && s.base.isArg(0) && s.disp == 0 && s.size == 8 && s.op == move && s.src.same(base)
		})
		// A vectorising compiler writes next and prev at once, from values that are not followed.
		links := has(list, chunkPrev, 8, srcArg(0)) && has(list, 0, 8, srcConst(move, 0)) || has(list, 0, 16, nil)
		sizes := has(list, chunkSize, 4, nil) && has(list, chunkUsed, 4, srcConst(move, 0)) || has(list, chunkSize, 8, nil)
		marked := has(list, flags, width, srcConst(or, flagChunk)) || has(list, flags, 1, srcConst(or, flagChunk))
		if base.kind != argument && base.kind != constant && has(list, chunkHead, 8, head) && linked && links && sizes && marked {
			return true
		}
	}
	return false
}

// describe says what a function does, to find out why it did not match.
func (p *program) describe(f function, a ABI) string {
	l, reason := p.asLocked(f, a)
	if l != nil {
		return fmt.Sprintf("%#x: %v", f.start, l)
	}
	return fmt.Sprintf("%#x: %s", f.start, reason)
}

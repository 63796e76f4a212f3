package host

import (
	"fmt"
	"slices"
	"strings"
)

// Offsets into memcached's item where pointers have eight bytes (memcached.h: struct _stritem) ...
const (
	itemExptime  = 0x1c
	itemNbytes   = 0x20
	itemRefcount = 0x24
	itemFlags    = 0x26 // 16 bits since 1.5.15
	itemFlags8   = 0x27 // 8 bits until 1.5.14
	itemNkey     = 0x29
)

// ... and into the chunk of a large one (struct _strchunk), which has its flags where an item has them.
const (
	chunkPrev = 0x08
	chunkHead = 0x10
	chunkSize = 0x18
	chunkUsed = 0x1c

	flagSlabbed = 0x04 // ITEM_SLABBED
	flagChunk   = 0x40 // ITEM_CHUNK
)

// key says what a function computes the hash of.
type key uint8

const (
	otherKey key = iota
	itemKey      // ITEM_key(it), it->nkey of its first argument
	argKey       // its first two arguments
)

// locked is a function of thread.c that does its work under an item's lock:
//
//	hv = hash(key, nkey); item_lock(hv); ...; item_unlock(hv);
//
// hash is a pointer, so that its call tells these functions from all others (hash.c: hash_func hash).
type locked struct {
	*trace
	key     key
	pointer uint64 // the address of hash
	hv      value
	inner   []call // between lock and unlock
	unlocks []call
}

// asLocked recognises a locked function; for another one reason is what it lacks.
func (p *program) asLocked(f function, a ABI) (l *locked, reason string) {
	t := p.traced(f)
	if t.err != nil {
		return nil, t.err.Error()
	}
	calls := withoutGuard(t.calls)
	if len(calls) < 3 {
		return nil, fmt.Sprintf("%d calls", len(calls))
	}
	hash := calls[0]
	if !hash.entry || hash.tail || hash.slot == 0 {
		return nil, fmt.Sprintf("first calls %v, not a pointer", hash.callee)
	}
	if !calls[1].entry || !p.isMutex(calls[1].callee, "pthread_mutex_lock") {
		return nil, fmt.Sprintf("calls %v, then %v, not a lock", hash.callee, calls[1].callee)
	}
	l = &locked{trace: t, pointer: hash.slot, hv: value{kind: returned, n: int64(hash.at)}}
	flags := fromFlags8
	if a.Header == HeaderWide {
		flags = fromFlags
	}
	switch first, second := hash.args[0], hash.args[1]; {
	case first.isArg(0) && second.isArg(1):
		l.key = argKey
	case first.from&fromItem != 0 && first.from&flags != 0 && second.isField(itemNkey, 1):
		l.key = itemKey
	}
	for _, c := range calls[2:] {
		if p.isMutex(c.callee, "pthread_mutex_unlock") {
			l.unlocks = append(l.unlocks, c)
		} else {
			l.inner = append(l.inner, c)
		}
	}
	if len(l.unlocks) == 0 {
		return nil, fmt.Sprintf("calls %v, locks, does not unlock", hash.callee)
	}
	return l, ""
}

// isMutex tells whether a callee is a function of libpthread, or one of memcached's that does nothing else: a compiler
// that was told to save space leaves item_lock and item_unlock as they are.
func (p *program) isMutex(c callee, name string) bool {
	if c.name != "" || c.addr == 0 {
		return c.name == name
	}
	f, ok := p.functionAt(c.addr)
	if !ok || f.start != c.addr || f.end-f.start > 256 {
		return false
	}
	t := p.traced(f)
	return t.err == nil && len(t.calls) == 1 && t.calls[0].name == name && t.calls[0].entry
}

// one returns the inner call of a locked function that makes exactly one, always, and writes nothing itself.
func (l *locked) one() (call, bool) {
	if len(l.inner) != 1 || len(l.unlocks) != 1 {
		return call{}, false
	}
	c, u := l.inner[0], l.unlocks[0]
	return c, c.entry && !c.tail && c.addr != 0 && u.entry && u.at > c.at && !slices.ContainsFunc(l.stores, outside)
}

// outside tells whether a store goes beyond the function's own stack frame.
func outside(s store) bool { return s.base.kind != frame }

// returns tells whether a function always returns what a call returned.
func (t *trace) returns(c call) bool {
	return len(t.exits) > 0 && !slices.ContainsFunc(t.exits, func(e exit) bool { return !e.result.is(returned, int64(c.at)) })
}

// withoutGuard leaves out the call that ends the program when the stack was written over (gcc -fstack-protector).
func withoutGuard(calls []call) []call {
	return slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.name == "__stack_chk_fail" })
}

// void tells whether a function returns nothing: what its last call, the unlocking, leaves is no result.
func (l *locked) void() bool {
	tails := 0
	for _, c := range l.calls {
		if c.tail && !slices.ContainsFunc(l.unlocks, func(u call) bool { return u.at == c.at }) {
			return false
		}
		if c.tail {
			tails++
		}
	}
	for _, e := range l.exits {
		if !slices.ContainsFunc(l.unlocks, func(u call) bool { return e.result.is(returned, int64(u.at)) }) {
			return false
		}
	}
	return tails+len(l.exits) > 0
}

func (l *locked) isHash(v value) bool { return v.same(l.hv) }

// hv stands for the hash among the arguments that passes is given.
const hv = -1

// passes tells whether a call's arguments are these: the number of an own one, or hv.  own is how many the function has:
// one that passes on more is not what its version says.
func (l *locked) passes(c call, own int64, want ...int) bool {
	for n, w := range want {
		if w == hv && !l.isHash(c.args[n]) || w != hv && !c.args[n].isArg(w) {
			return false
		}
	}
	return !slices.ContainsFunc(c.args, func(v value) bool { return v.kind == argument && v.n >= own })
}

// String describes the function, to find out why it did not match.
func (l *locked) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, hash pointer %#x", [...]string{"unknown key", "the item's key", "key from arguments"}[l.key], l.pointer)
	for _, c := range l.inner {
		fmt.Fprintf(&s, ", calls %v(", c.callee)
		for n, v := range c.args {
			switch {
			case v.kind == argument:
				fmt.Fprintf(&s, " %d=arg%d", n, v.n)
			case l.isHash(v):
				fmt.Fprintf(&s, " %d=hv", n)
			}
		}
		s.WriteString(" )")
	}
	switch c, ok := l.one(); {
	case l.void():
		s.WriteString(", returns nothing")
	case ok && l.returns(c):
		s.WriteString(", returns its result")
	}
	return s.String()
}

// isStoreItem: ret = do_store_item(it, comm, t, hv, ...); return ret (thread.c: store_item).
func (l *locked) isStoreItem(a ABI) bool {
	if l.key != itemKey {
		return false
	}
	c, ok := l.one()
	if !ok {
		return l.holdsDoStoreItem(a)
	}
	if !l.returns(c) {
		return false
	}
	switch a.StoreItem {
	case StoreCASIn: // nbytes, cas, cas_in, cas_stale
		return l.passes(c, 7, 0, 1, 2, hv, 3, 4, 5, 6)
	case StoreNbytes: // nbytes, cas, cas_stale
		return l.passes(c, 6, 0, 1, 2, hv, 3, 4, 5)
	case StoreThread: // cas, cas_stale
		return l.passes(c, 5, 0, 1, 2, hv, 3, 4)
	}
	return l.passes(c, 3, 0, 1, 2, hv)
}

// holdsDoStoreItem: old_it = do_item_get(ITEM_key(it), it->nkey, hv, ...); ...; do_item_link(it, hv, ...); and, at the end,
// where cas goes for the caller, the stored item's CAS, of do_store_item(it, ...) (memcached.c: do_store_item).  LTO inlines
// it into store_item.
func (l *locked) holdsDoStoreItem(a ABI) bool {
	if len(l.inner) < 2 || l.void() {
		return false
	}
	cas, get := 4, l.inner[0]
	switch a.StoreItem {
	case StoreConn: // c->cas
		cas = 2
	case StoreThread:
		cas = 3
	}
	gets := get.entry && get.args[0].from&fromItem != 0 && get.args[1].isField(itemNkey, 1) && l.isHash(get.args[2])
	links := slices.ContainsFunc(l.inner[1:], func(c call) bool {
		return c.args[0].isArg(0) && l.isHash(c.args[1]) && (a.StoreItem != StoreCASIn || c.args[2].isArg(5))
	})
	tells := slices.ContainsFunc(l.stores, func(s store) bool {
		return s.plain && s.base.isArg(cas) && s.size == 8 && (a.StoreItem == StoreConn || s.disp == 0)
	})
	return gets && links && tells
}

// isItemRemove: do_item_remove(it), which counts a reference down (thread.c: item_remove; items.c: do_item_remove).
func (p *program) isItemRemove(l *locked) bool {
	if l.key != itemKey || !l.void() {
		return false
	}
	for _, c := range l.inner {
		if slices.ContainsFunc(c.args, l.isHash) {
			return false
		}
	}
	if c, ok := l.one(); ok {
		return l.passes(c, 1, 0) && p.writesItem(c.addr, 2, itemRefcount)
	}
	// Under LTO do_item_remove is inlined, and perhaps all that it calls.  Only the flags of an item that goes back among
	// the free ones are written then (slabs.c: do_slabs_free); item_unlink, inlined likewise, would take a flag away.
	return writes(l.trace, itemRefcount) && !slices.ContainsFunc(l.stores, func(s store) bool {
		return s.writes(itemFlags) && !freed(s) || s.writes(itemFlags8) && !freed(s)
	})
}

// freed tells whether a store is it->it_flags = ITEM_SLABBED.
func freed(s store) bool { return s.op == move && s.src.is(constant, flagSlabbed) }

// isItemUnlink: do_item_unlink(it, hv), which takes ITEM_LINKED out of the flags (thread.c: item_unlink; items.c:
// do_item_unlink).
func (p *program) isItemUnlink(l *locked, a ABI) bool {
	flags := int64(itemFlags8)
	if a.Header == HeaderWide {
		flags = itemFlags
	}
	c, ok := l.one()
	return ok && l.key == itemKey && l.void() && l.passes(c, 1, 0, hv) && p.writesItem(c.addr, 2, flags)
}

// isItemGet: it = do_item_get(key, nkey, hv, t, do_update); return it (thread.c: item_get).
func (l *locked) isItemGet(a ABI) bool {
	c, ok := l.one()
	if !ok || l.key != argKey || !l.returns(c) {
		return false
	}
	switch a.ItemGet {
	case GetKey:
		return l.passes(c, 2, 0, 1, hv)
	case GetConn:
		return l.passes(c, 3, 0, 1, hv, 2)
	}
	return l.passes(c, 4, 0, 1, hv, 2, 3)
}

// writes tells whether a function writes at an offset of its first argument.
func writes(t *trace, at int64) bool {
	return slices.ContainsFunc(t.stores, func(s store) bool { return s.writes(at) })
}

func (s *store) writes(at int64) bool {
	return s.plain && s.base.isArg(0) && s.disp == at && s.size <= 2
}

// writesItem tells whether a function, or one that it hands its first argument or an address inside it to, writes at an
// offset of it.  Until 1.4.34 references are counted by functions that take the address (thread.c: refcount_decr).
func (p *program) writesItem(addr uint64, depth int, at int64) bool {
	f, ok := p.functionAt(addr)
	if !ok || f.start != addr {
		return false
	}
	t := p.traced(f)
	if t.err != nil {
		return false
	}
	if writes(t, at) {
		return true
	}
	return depth > 1 && slices.ContainsFunc(t.calls, func(c call) bool {
		first := c.args[0]
		return c.addr != 0 && (first.isArg(0) && p.writesItem(c.addr, depth-1, at) ||
			first.is(inside, 0) && p.writesItem(c.addr, depth-1, at-first.at))
	})
}

// byBase groups a function's stores by what they are relative to.
func byBase(t *trace) map[value][]store {
	groups := make(map[value][]store)
	for _, s := range t.stores {
		if s.plain && s.base.kind != frame {
			base := s.base
			base.from = 0
			groups[base] = append(groups[base], s)
		}
	}
	return groups
}

func has(list []store, at int64, size uint8, src func(store) bool) bool {
	return slices.ContainsFunc(list, func(s store) bool { return s.disp == at && s.size == size && (src == nil || src(s)) })
}

func srcArg(n int) func(store) bool {
	return func(s store) bool { return s.op == move && s.src.isArg(n) }
}

func srcConst(op operation, n int64) func(store) bool {
	return func(s store) bool { return s.op == op && s.src.is(constant, n) }
}

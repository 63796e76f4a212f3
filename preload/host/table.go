package host

import "slices"

// maxSmall is the size in bytes of the largest function that is looked at for assoc_start_expand, which takes some 100.
const maxSmall = 256

// table looks for what it is made of in the code, whichever route has found the functions.
func (p *program) table(storeItem uint64, a ABI) (t Table) {
	if p.funcs == nil {
		p.readImports()
		var err error
		if p.funcs, err = p.readFunctions(); err != nil {
			return t
		}
	}
	if f, ok := p.functionAt(storeItem); ok && f.start == storeItem {
		if l, _ := p.asLocked(f, a); l != nil && l.key == itemKey {
			t.Hash = l.pointer
		}
	}
	found := 0
	for _, f := range p.funcs {
		if f.end-f.start > maxSmall {
			continue
		}
		if lock, ok := p.isStartExpand(p.traced(f)); ok {
			t.AssocStartExpand, t.MaintenanceLock = f.start, lock
			found++
		}
	}
	if found > 1 {
		t.AssocStartExpand, t.MaintenanceLock = 0, 0
	}
	t.MaxBytes = p.maxBytes()
	return t
}

// isStartExpand: if trylock(&maintenance_lock) == 0, it may signal maintenance_cond, and unlocks (assoc.c:
// assoc_start_expand, since 1.5.20).  It returns the lock.
func (p *program) isStartExpand(t *trace) (lock uint64, ok bool) {
	calls := withoutGuard(t.calls)
	if t.err != nil || len(calls) != 3 || slices.ContainsFunc(t.stores, outside) {
		return 0, false
	}
	named := func(name string) (call, bool) {
		n := slices.IndexFunc(calls, func(c call) bool { return c.name == name && c.args[0].kind == constant })
		if n < 0 {
			return call{}, false
		}
		return calls[n], true
	}
	try, tries := named("pthread_mutex_trylock")
	_, signals := named("pthread_cond_signal")
	unlock, unlocks := named("pthread_mutex_unlock")
	if !tries || !signals || !unlocks || !try.entry || try.tail || !unlock.args[0].same(try.args[0]) {
		return 0, false
	}
	lock = uint64(try.args[0].n)
	return lock, lock%8 == 0 && p.writable(lock, p.mutex)
}

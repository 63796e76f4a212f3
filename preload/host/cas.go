package host

import (
	"fmt"
	"slices"
)

// isGetCASID: lock(&cas_id_lock); next_id = ++cas_id; unlock(&cas_id_lock); return next_id (items.c: get_cas_id).
func isGetCASID(t *trace) bool {
	calls := withoutGuard(t.calls)
	if t.err != nil || len(calls) != 2 || len(t.exits) != 1 {
		return false
	}
	if !calls[0].entry || !calls[1].entry || calls[1].tail {
		return false
	}
	d, ok := drawn(calls[0], calls[1], t.stores)
	return ok && d.is(t.exits[0].result)
}

// draw is a place where a CAS value is drawn, get_cas_id or what is left of it where it is inlined.
type draw struct {
	lock, counter uint64
	value         value // what was stored into the counter; nothing when it was counted in place
	inPlace       bool
}

// drawn recognises lock(&cas_id_lock); ++cas_id; unlock(&cas_id_lock) in two calls and the stores around them.
func drawn(lock, unlock call, stores []store) (draw, bool) {
	if lock.name != "pthread_mutex_lock" || unlock.name != "pthread_mutex_unlock" ||
		lock.args[0].kind != constant || !unlock.args[0].same(lock.args[0]) {
		return draw{}, false
	}
	counted := slices.DeleteFunc(slices.Clone(stores), func(s store) bool { return !outside(s) })
	if len(counted) != 1 {
		return draw{}, false
	}
	s := counted[0]
	if s.at < lock.at || s.at > unlock.at || !s.plain || s.base.kind != constant || s.size != 8 {
		return draw{}, false
	}
	d := draw{lock: uint64(lock.args[0].n), counter: uint64(s.base.n)}
	switch s.op {
	case move: // the sum is stored
		d.value = s.src
		return d, s.src.kind == defined && s.src.from == fromGlobal
	case add:
		d.inPlace = true
		return d, s.src.is(constant, 1)
	case increment:
		d.inPlace = true
		return d, true
	}
	return draw{}, false
}

// is tells whether v is the value that was drawn: the sum, or what is loaded from the counter again.
func (d *draw) is(v value) bool {
	if d.inPlace {
		return v.is(global, int64(d.counter)) && v.size == 8
	}
	return v.same(d.value)
}

// inlinedDraws finds, in functions that call store_item, the places where get_cas_id is inlined into its argument cas_in
// (proto_text.c: complete_nread_ascii): after the unlocking the next call is storeitem, and it is passed what was drawn.
// Values are followed from a block on only: the function as a whole, drive_machine, is a switch.
func (p *program) inlinedDraws(list []function, storeItem uint64) []draw {
	const casIn = 5
	var found []draw
	for _, f := range list {
		w := &tracer{p: p, b: p.decoded(f), blockAt: make(map[int]int)}
		if w.b.err != nil || w.split() != nil {
			continue
		}
		for n := range w.blocks {
			t := w.follow(n)
			for i := 2; i < len(t.calls); i++ {
				lock, unlock, next := t.calls[i-2], t.calls[i-1], t.calls[i]
				if next.addr != storeItem {
					continue
				}
				if p.work += len(t.stores); p.work > maxWork {
					return nil
				}
				between := slices.DeleteFunc(slices.Clone(t.stores), func(s store) bool { return s.at < lock.at || s.at > unlock.at })
				if d, ok := drawn(lock, unlock, between); ok && d.is(next.args[casIn]) && !slices.Contains(found, d) {
					found = append(found, d)
				}
			}
		}
	}
	return found
}

// follow traces the way through a function from a block to the first branch.  What the registers point to then is not
// known; each is taken for memory of its own, so that what is put aside there is found again.
func (w *tracer) follow(n int) *trace {
	const most = 4 // blocks: the one that draws, and what a jump back leads to
	s := entryState(w.p.machine)
	for r := range s.registers {
		s.regs[r] = value{kind: frame, n: int64(r+1) << 40}
	}
	t := newTrace()
	for range most {
		bl := &w.blocks[n]
		w.walk(bl, s, t)
		w.p.work += bl.last - bl.first
		if len(bl.next) != 1 || w.p.work > maxWork {
			break
		}
		n = bl.next[0]
	}
	return t
}

// casID finds get_cas_id among the functions that are called where items are stored, or where it is inlined there the lock
// and the counter that it consists of.
func (s *selection) casID(f *Functions, stores *anchor) {
	shape := func(f function) bool { return isGetCASID(s.p.traced(f)) }
	if s.err != nil || slices.ContainsFunc(stores.callees, shape) {
		f.GetCASID = s.one("get_cas_id", stores.callees, shape)
		return
	}
	draws := s.p.inlinedDraws(stores.users, f.StoreItem)
	for n, d := range draws {
		if n == 0 {
			f.CASIDLock, f.CASID = d.lock, d.counter
		}
		if d.lock != f.CASIDLock || d.counter != f.CASID {
			s.err = &Unsupported{Reason: fmt.Sprintf("get_cas_id is in doubt: it counts at %#x and at %#x", f.CASID, d.counter)}
			return
		}
	}
	if len(draws) == 0 || !s.p.writable(f.CASIDLock, s.p.mutex) || !s.p.writable(f.CASID, 8) || f.CASID%8 != 0 || f.CASIDLock%8 != 0 {
		s.one("get_cas_id", stores.callees, shape)
	}
}

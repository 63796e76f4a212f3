package host

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// The literals that lead to the functions' callers.  The text protocol's error messages have not changed in fifteen years.
const (
	// complete_nread_ascii, which stores the item that a client has sent and lets go of it.
	badChunk = "CLIENT_ERROR bad data chunk"
	// process_update_command, since 1.6.40 process_update_cmd_start, and their kin of the meta commands: these allocate the
	// item and, when that fails, remove the old one.
	tooLarge = "SERVER_ERROR object too large for cache"
	// drive_machine, which reads large items chunk by chunk.
	outOfMemory = "SERVER_ERROR Out of memory during read"
)

// anchor is a literal, the functions that refer to it, and the functions that those call.
type anchor struct {
	literal string
	at      []uint64
	users   []function
	callees []function
}

func (p *program) findAnchors(anchors ...*anchor) error {
	wanted := make(map[uint64]*anchor)
	for _, a := range anchors {
		if a.at = p.literals(a.literal); len(a.at) == 0 {
			return &Unsupported{Reason: fmt.Sprintf("the stripped program has no literal %q", a.literal)}
		}
		for _, at := range a.at {
			wanted[at] = a
		}
	}
	if err := p.references(wanted); err != nil {
		return err
	}
	for _, a := range anchors {
		if len(a.users) == 0 {
			return &Unsupported{Reason: fmt.Sprintf("no function of the stripped program uses %q, which stands at %#x", a.literal, a.at)}
		}
		whole := p.whole(a.users)
		for _, f := range whole {
			if b := p.decoded(f); b.err != nil {
				return &Unsupported{Reason: fmt.Sprintf("the function that uses %q cannot be read: %v", a.literal, b.err)}
			}
		}
		a.users, a.callees = whole, p.callees(whole)
	}
	return nil
}

// references finds the functions that refer to the wanted addresses.
func (p *program) references(wanted map[uint64]*anchor) error {
	fixed := p.fixed()
	addresses := slices.Sorted(maps.Keys(wanted))
	total := 0
	asked := make(map[[2]uint64]bool)
	for _, s := range p.segments {
		if !s.executable {
			continue
		}
		if total += len(s.data); total > maxText {
			return &Unsupported{Reason: fmt.Sprintf("the stripped program has more than %d MiB of code; no memcached has", maxText>>20)}
		}
		p.mentions(s.data, s.addr, addresses, fixed, func(at, to uint64) {
			a := wanted[to]
			f, ok := p.functionAt(at)
			if a == nil || !ok || asked[[2]uint64{f.start, to}] {
				return
			}
			asked[[2]uint64{f.start, to}] = true
			if !slices.Contains(a.users, f) && p.decoded(f).refers(to, fixed) {
				a.users = append(a.users, f)
			}
		})
	}
	return nil
}

// whole adds the other parts of functions that the compiler has taken apart.  A part jumps into the middle of the rest,
// which functions do not do to one another.
func (p *program) whole(list []function) []function {
	const most = 64 // a handful of users, of two or three parts each
	whole := slices.Clone(list)
	for n := 0; n < min(len(whole), most); n++ {
		for _, to := range p.jumps(whole[n]) {
			g, ok := p.functionAt(to)
			if !ok || slices.Contains(whole, g) {
				continue
			}
			back := slices.ContainsFunc(p.jumps(g), func(to uint64) bool { return whole[n].has(to) && to != whole[n].start })
			if to != g.start || back {
				whole = append(whole, g)
			}
		}
	}
	return whole
}

// jumps lists where a function jumps to outside of itself, by address.
func (p *program) jumps(f function) []uint64 {
	var list []uint64
	b := p.decoded(f)
	for n := range b.insts {
		if in := &b.insts[n]; in.ends() {
			if to, ok := in.target(); ok && !b.has(to) {
				list = append(list, to)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// callees lists the functions of the program that some functions call or end in, without these themselves, by address.
func (p *program) callees(list []function) []function {
	var found []function
	own := make(map[function]bool)
	for _, f := range list {
		own[f] = true
	}
	for _, f := range list {
		b := p.decoded(f)
		for n := range b.insts {
			in := &b.insts[n]
			to, ok := in.target()
			if !ok || b.has(to) {
				continue
			}
			g, ok := p.functionAt(to)
			if ok && g.start == to && p.direct(to).addr == to && !own[g] {
				found = append(found, g)
			}
		}
	}
	slices.SortFunc(found, byAddress)
	return slices.Compact(found)
}

// withCallees adds to some functions those that they call.
func (p *program) withCallees(list []function) []function {
	return slices.Concat(list, p.callees(list)) // callees leaves out the list itself
}

// intersect returns what both of two lists by address have.
func intersect(a, b []function) []function {
	return slices.DeleteFunc(slices.Clone(a), func(f function) bool {
		_, ok := slices.BinarySearchFunc(b, f, byAddress)
		return !ok
	})
}

func byAddress(a, b function) int { return cmp.Compare(a.start, b.start) }

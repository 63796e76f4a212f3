package host

import (
	"errors"
	"fmt"
	"slices"
)

// block is a run of instructions that is entered only at its first and left only after its last.
type block struct {
	first, last int // instructions, last excluded
	next        []int
	from        []int
	in, out     *state // once it is reached
}

type tracer struct {
	p       *program
	b       *body
	blocks  []block
	blockAt map[int]int // first instruction -> block
}

// split finds the blocks and how they follow one another.
func (w *tracer) split() error {
	insts := w.b.insts
	leaders := []int{0}
	for n := range insts {
		in := &insts[n]
		if in.flow == foreign {
			return fmt.Errorf("no instruction of a program at %#x", in.at)
		}
		if !in.ends() {
			continue
		}
		leaders = append(leaders, n+1)
		if to, ok := in.target(); ok && w.b.has(to) {
			i, ok := w.b.index(to)
			if !ok {
				return fmt.Errorf("a jump at %#x into an instruction", in.at)
			}
			leaders = append(leaders, i)
		}
	}
	slices.Sort(leaders)
	leaders = slices.Compact(leaders)
	for i, first := range leaders {
		if first == len(insts) {
			break
		}
		last := len(insts)
		if i+1 < len(leaders) {
			last = leaders[i+1]
		}
		w.blockAt[first] = len(w.blocks)
		w.blocks = append(w.blocks, block{first: first, last: last})
	}
	for i := range w.blocks {
		bl := &w.blocks[i]
		end := &insts[bl.last-1]
		if to, ok := end.target(); ok && end.ends() && w.b.has(to) {
			n, _ := w.b.index(to)
			bl.next = append(bl.next, w.blockAt[n])
		}
		if n, ok := w.blockAt[bl.last]; ok && (!end.ends() || end.flow == branch) {
			bl.next = append(bl.next, n)
		}
		slices.Sort(bl.next)
		bl.next = slices.Compact(bl.next)
		for _, n := range bl.next {
			w.blocks[n].from = append(w.blocks[n].from, i)
		}
	}
	return nil
}

// enter returns the state in which a block begins by those that lead to it, nil as long as it is not known to be reached.
func (w *tracer) enter(n int) *state {
	var states []*state
	if n == 0 {
		states = append(states, entryState(w.p.machine))
	}
	for _, f := range w.blocks[n].from {
		if out := w.blocks[f].out; out != nil {
			states = append(states, out)
		}
	}
	if len(states) == 0 {
		return nil
	}
	for _, s := range states {
		w.p.work += w.p.registers + len(s.stack)
	}
	return join(int64(w.b.insts[w.blocks[n].first].at), states)
}

// settle goes through the blocks until what is known at the end of each does not change any more.
func (w *tracer) settle() error {
	again := make([]bool, len(w.blocks))
	again[0] = true
	for rounds := 0; ; rounds++ {
		changed := false
		for n := range w.blocks {
			if !again[n] {
				continue
			}
			again[n], changed = false, true
			bl := &w.blocks[n]
			s := w.enter(n)
			if s == nil {
				continue
			}
			if rounds > widenFrom && bl.in != nil {
				s.widen(int64(w.b.insts[bl.first].at), bl.in)
			}
			bl.in = s.clone()
			w.walk(bl, s, nil)
			w.p.work += bl.last - bl.first
			if bl.out != nil && bl.out.equal(s) {
				continue
			}
			bl.out = s
			for _, next := range bl.next {
				again[next] = true
			}
		}
		if !changed {
			return nil
		}
		if rounds > maxRounds || w.p.work > maxWork {
			return errors.New("its values do not settle")
		}
	}
}

// always tells which blocks every way through the function begins with.  A way that ends in __stack_chk_fail is none.
func (w *tracer) always() map[int]bool {
	found := make(map[int]bool)
	for n := 0; !found[n]; {
		ways := slices.DeleteFunc(slices.Clone(w.blocks[n].from), w.guard)
		if n == 0 && len(ways) > 0 || n != 0 && len(ways) != 1 {
			break // others come here as well
		}
		found[n] = true
		next := slices.DeleteFunc(slices.Clone(w.blocks[n].next), w.guard)
		if len(next) != 1 {
			break
		}
		n = next[0]
	}
	return found
}

// guard tells whether a block does nothing but end the program because the stack was written over.
func (w *tracer) guard(n int) bool {
	bl := &w.blocks[n]
	in := &w.b.insts[bl.last-1]
	to, ok := in.target()
	return ok && in.flow == calling && len(bl.next) == 0 && w.p.direct(to).name == "__stack_chk_fail"
}

package host

import "maps"

// kind says what is known of a value.
type kind uint8

const (
	defined  kind = iota // made by the instruction at address n, as its at-th, and nothing more is known
	joined               // differs by the path that led to the block at n; at tells the place it is in
	argument             // the function's n-th argument, from 0; the seventh on are on the stack
	constant             // n
	frame                // the stack pointer at entry plus n
	inside               // the address at offset at from argument n
	field                // what stands at offset at from argument n
	global               // what stands at the address n
	returned             // what the call at address n returned
)

// origin notes what a value was computed from.
type origin uint8

const (
	fromItem   origin = 1 << iota // the first argument
	fromFlags                     // the first argument's it_flags where they are since 1.5.15
	fromFlags8                    // the same until 1.5.14
	fromGlobal                    // a global variable
)

// value is what a register or a stack slot holds.  Equal values are equal at run time as well, as long as no loop lies
// between them; a value keeps its identity when it is narrowed or widened.
type value struct {
	kind kind
	n    int64
	at   int64
	size uint8
	from origin
}

func (v value) is(k kind, n int64) bool { return v.kind == k && v.n == n }
func (v value) isArg(n int) bool        { return v.is(argument, int64(n)) }

// isField tells whether v is what stands in the item, the first argument, at an offset.
func (v value) isField(at int64, size uint8) bool {
	return v.is(field, 0) && v.at == at && v.size == size
}

// same compares without the origins, which grow while a loop is gone through.
func (v value) same(w value) bool { v.from = w.from; return v == w }

func arg(n int) value {
	v := value{kind: argument, n: int64(n)}
	if n == 0 {
		v.from = fromItem
	}
	return v
}

// slot is a value that was stored on the stack.
type slot struct {
	value
	width uint8
}

// state is what is known at one point of a function.
type state struct {
	*machine
	regs  [maxRegisters]value
	flags origin         // of the processor's flags
	stack map[int64]slot // by offset from the stack pointer at entry
}

// entryState is that at a function's first instruction.
func entryState(m *machine) *state {
	s := &state{machine: m, stack: make(map[int64]slot)}
	for r := range m.registers {
		s.regs[r] = value{kind: joined, n: -1, at: int64(r)}
	}
	for n, r := range m.args {
		s.regs[r] = arg(n)
	}
	s.regs[m.sp] = value{kind: frame}
	return s
}

func (s *state) clone() *state {
	c := *s
	c.stack = maps.Clone(s.stack)
	return &c
}

// maxStack bounds what is remembered of a stack frame.
const maxStack = 256

func (s *state) storeStack(off int64, v slot) {
	for at, old := range s.stack {
		if at < off+int64(v.width) && off < at+int64(old.width) {
			delete(s.stack, at)
		}
	}
	if len(s.stack) < maxStack {
		s.stack[off] = v
	}
}

// maxStackArgs bounds the arguments that are looked for on the stack; no function that is looked at has as many.
const maxStackArgs = 7

// loadStack returns what was stored at an offset.  What the caller has put on the stack is an argument until it is written.
func (s *state) loadStack(off int64, width uint8) (value, bool) {
	if v, ok := s.stack[off]; ok {
		return v.value, v.width >= width
	}
	for at, old := range s.stack {
		if at < off+int64(width) && off < at+int64(old.width) {
			return value{}, false
		}
	}
	if n := off - s.above; n >= 0 && n%8 == 0 && n < maxStackArgs*8 {
		return arg(len(s.args) + int(n/8)), true
	}
	return value{}, false
}

// join combines the states with which a block is entered.  block names what differs.
func join(block int64, states []*state) *state {
	s := states[0].clone()
	for r := range s.registers {
		s.regs[r] = joinValues(value{kind: joined, n: block, at: int64(r)}, states, func(t *state) value { return t.regs[r] })
	}
	for _, t := range states[1:] {
		s.flags |= t.flags
	}
	for off, v := range states[0].stack {
		everywhere := true
		for _, t := range states[1:] {
			w, ok := t.stack[off]
			everywhere = everywhere && ok && w.width == v.width
		}
		if !everywhere {
			delete(s.stack, off)
			continue
		}
		name := value{kind: joined, n: block, at: off, size: 1}
		v.value = joinValues(name, states, func(t *state) value { return t.stack[off].value })
		s.stack[off] = v
	}
	// What only some paths have written over is not the argument that stood there.
	for _, t := range states {
		for off, v := range t.stack {
			if _, ok := s.stack[off]; !ok && off >= s.above {
				v.value = value{kind: joined, n: block, at: off, size: 1}
				s.stack[off] = v
			}
		}
	}
	return s
}

// widen gives up what is not as it was when the block was entered before: in a loop of several entries two joins can undo
// one another for ever.
func (s *state) widen(block int64, old *state) {
	for r := range s.registers {
		s.regs[r] = widened(value{kind: joined, n: block, at: int64(r)}, s.regs[r], old.regs[r])
	}
	s.flags |= old.flags
	for off, v := range s.stack {
		w, ok := old.stack[off]
		if (!ok || w.width != v.width) && off < s.above {
			delete(s.stack, off)
			continue
		}
		v.value = widened(value{kind: joined, n: block, at: off, size: 1}, v.value, w.value)
		s.stack[off] = v
	}
}

func widened(name, v, old value) value {
	if !v.same(old) {
		v = name
	}
	v.from |= old.from
	return v
}

// joinValues returns the one value that get finds in all states, or else name.  A loop that brings name itself back has
// not changed the place.
func joinValues(name value, states []*state, get func(*state) value) value {
	var one value
	var from origin
	found, many := false, false
	for _, t := range states {
		v := get(t)
		from |= v.from
		if v.same(name) {
			continue
		}
		if found && !v.same(one) {
			many = true
		}
		one, found = v, true
	}
	if many || !found {
		one = name
	}
	one.from = from
	return one
}

func (s *state) equal(t *state) bool {
	return s.regs == t.regs && s.flags == t.flags && maps.Equal(s.stack, t.stack)
}

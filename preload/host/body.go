package host

import (
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Bounds on the code that is looked at; drive_machine, with everything inlined into it, has 20 KiB.
const (
	maxBody  = 256 << 10
	maxText  = 16 << 20
	maxInsts = 1 << 17 // of all functions that are looked at; Debian 13's memcached with its Lua proxy needs 16000
)

// body is the code of one function, decoded once.
type body struct {
	function
	insts []inst
	err   error // why insts ends early
}

// decoded returns the code of a function of p.funcs.
func (p *program) decoded(f function) *body {
	if b, ok := p.bodies[f.start]; ok {
		return b
	}
	b := &body{function: f}
	p.bodies[f.start] = b
	code := p.bytes(f.start, f.end-f.start)
	if f.end-f.start > maxBody {
		b.err = fmt.Errorf("the function at %#x has %d bytes", f.start, f.end-f.start)
		return b
	}
	if p.insts > maxInsts {
		b.err = errors.New("too much code to look at")
		return b
	}
	b.insts = make([]inst, 0, len(code)/4+1) // about four bytes each
	defer func() { p.insts += len(b.insts) }()
	for at := f.start; len(code) > 0; {
		i, err := p.decode(code, at)
		if err != nil {
			b.err = fmt.Errorf("no instruction at %#x: %w", at, err)
			return b
		}
		b.insts = append(b.insts, i)
		at, code = i.end(), code[i.size:]
	}
	return b
}

// index returns the number of the instruction at addr.
func (b *body) index(addr uint64) (int, bool) {
	i := sort.Search(len(b.insts), func(i int) bool { return b.insts[i].at >= addr })
	return i, i < len(b.insts) && b.insts[i].at == addr
}

// refers tells whether an instruction forms or uses the address.
func (b *body) refers(addr uint64, fixed bool) bool {
	pages := make(map[reg]int64) // what the last instructions have put into registers to count from
	for n := range b.insts {
		for _, o := range b.insts[n].ops {
			if x := o.src[0]; o.operation == address && o.dst.kind == register {
				page, known := pages[x.reg]
				switch {
				case x.kind == absolute:
					pages[o.dst.reg] = x.n
				case x.kind == based && known && uint64(page+x.n) == addr:
					return true
				}
			}
			for _, x := range append(o.src[:], o.dst) {
				if uint64(x.n) == addr && (x.kind == absolute || x.kind == immediate && fixed) {
					return true
				}
			}
		}
	}
	return false
}

// callee is what a call or jump leads to; one of its fields is set, or none when that cannot be told.
type callee struct {
	name string // a function of another object
	addr uint64 // a function of this program
	slot uint64 // through the pointer at this address
}

func (c callee) String() string {
	switch {
	case c.name != "":
		return c.name
	case c.addr != 0:
		return fmt.Sprintf("%#x", c.addr)
	case c.slot != 0:
		return fmt.Sprintf("*%#x", c.slot)
	}
	return "somewhere"
}

// direct resolves the target of a direct call: a function of the program, or a stub of the procedure linkage table.
func (p *program) direct(addr uint64) callee {
	const longest = 5 // bti c; adrp x16, page; ldr x17, [x16, #n]; add x16, x16, #n; br x17
	s := pltStub{program: p}
	at := addr
	for range longest {
		i, err := p.decode(p.from(at), at)
		if err != nil {
			break
		}
		if slot, ok := s.slot(&i); ok && p.imports[slot] != "" {
			return callee{name: p.imports[slot]}
		}
		if i.flow != onward || !s.follow(&i) {
			break
		}
		at = i.end()
	}
	return callee{addr: addr}
}

// pltStub follows a stub of the procedure linkage table, which does nothing but jump to where a slot points.  On the way it
// puts addresses, what is in the slot and, made by mold, its own number into registers through which functions pass nothing.
type pltStub struct {
	*program
	numbers map[reg]int64
	slots   map[reg]uint64
}

// follow carries it over an instruction, and tells whether that can be one of a stub.
func (s *pltStub) follow(i *inst) bool {
	for n := range i.ops {
		o := &i.ops[n]
		r, x := o.dst.reg, o.src[0]
		if o.dst.kind != register || o.dst.size < 4 || r == s.result || slices.Contains(s.args, r) || !slices.Contains(s.clobbered, r) {
			return false
		}
		if s.numbers == nil {
			s.numbers, s.slots = make(map[reg]int64), make(map[reg]uint64)
		}
		from, known := s.numbers[x.reg]
		switch {
		case o.operation == move && x.kind == immediate, o.operation == address && x.kind == absolute:
			s.numbers[r] = x.n
		case o.operation == address && x.kind == based && known:
			s.numbers[r] = from + x.n
		case o.operation == move && x.kind == based && known:
			s.slots[r] = uint64(from + x.n)
		default:
			return false
		}
	}
	return true
}

// slot tells through which slot an instruction jumps.
func (s *pltStub) slot(i *inst) (uint64, bool) {
	if i.flow != jump {
		return 0, false
	}
	if i.via.kind == register {
		slot, ok := s.slots[i.via.reg]
		return slot, ok
	}
	return uint64(i.via.n), i.via.kind == absolute
}

// through resolves a call through the pointer at slot.
func (p *program) through(slot uint64) callee {
	if name := p.imports[slot]; name != "" {
		return callee{name: name}
	}
	return callee{slot: slot}
}

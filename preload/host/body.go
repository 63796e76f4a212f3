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
	for n := range b.insts {
		for _, o := range b.insts[n].ops {
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
	const longest = 3 // [endbr64,] [mov $n, %r11d,] jmp *slot(%rip)
	at := addr
	for range longest {
		i, err := p.decode(p.from(at), at)
		if err != nil {
			break
		}
		if i.flow == jump && i.via.kind == absolute && p.imports[uint64(i.via.n)] != "" {
			return callee{name: p.imports[uint64(i.via.n)]}
		}
		if i.flow != onward || !p.numbers(&i) {
			break
		}
		at = i.end()
	}
	return callee{addr: addr}
}

// numbers tells of an instruction that does nothing but put a number into registers through which functions pass nothing:
// mold's stubs say so which they are.
func (p *program) numbers(i *inst) bool {
	return !slices.ContainsFunc(i.ops, func(o op) bool {
		r := o.dst.reg
		return o.operation != move || o.src[0].kind != immediate || o.dst.kind != register || o.dst.size < 4 ||
			r == p.result || slices.Contains(p.args, r) || !slices.Contains(p.clobbered, r)
	})
}

// through resolves a call through the pointer at slot.
func (p *program) through(slot uint64) callee {
	if name := p.imports[slot]; name != "" {
		return callee{name: name}
	}
	return callee{slot: slot}
}

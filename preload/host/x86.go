package host

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"golang.org/x/arch/x86/x86asm"
)

// Bounds on the code that is looked at; drive_machine, with everything inlined into it, has 20 KiB.
const (
	maxBody  = 256 << 10
	maxText  = 16 << 20
	maxInsts = 1 << 17 // of all functions that are looked at; Debian 13's memcached with its Lua proxy needs 16000
)

// inst is a decoded instruction and where it stands.
type inst struct {
	x86asm.Inst
	at uint64
}

func (i *inst) end() uint64 { return i.at + uint64(i.Len) }

// x86asm takes these apart wrongly, without an error: as a rep of one byte and whatever the rest may mean.  None of them
// does anything that matters here (Intel SDM, Control-flow Enforcement Technology).
var cet = [][]byte{
	{0xf3, 0x0f, 0x1e, 0xfa},       // endbr64
	{0xf3, 0x0f, 0x1e, 0xfb},       // endbr32
	{0xf3, 0x48, 0x0f, 0x1e, 0xc8}, // rdsspq %rax
}

// decodeInst decodes the instruction that code begins with.
func decodeInst(code []byte, at uint64) (inst, error) {
	for _, c := range cet {
		if bytes.HasPrefix(code, c) {
			return inst{x86asm.Inst{Op: x86asm.NOP, Len: len(c)}, at}, nil
		}
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil {
		return inst{}, err
	}
	if in.Op == 0 || in.Len == 0 {
		return inst{}, x86asm.ErrUnrecognized
	}
	return inst{in, at}, nil
}

// target is where a relative jump or call goes.
func (i *inst) target() (uint64, bool) {
	if rel, ok := i.Args[0].(x86asm.Rel); ok {
		return i.end() + uint64(int64(rel)), true
	}
	return 0, false
}

// displacement is that of a memory operand with its sign: x86asm leaves four-byte ones without.
func displacement(m x86asm.Mem) int64 { return int64(int32(uint32(m.Disp))) }

// absolute is the address of a memory operand that depends on no register: relative to the next instruction, or a plain
// number in a program that is not position-independent.
func (i *inst) absolute(m x86asm.Mem) (uint64, bool) {
	switch {
	case m.Segment != 0 || m.Index != 0:
		return 0, false
	case m.Base == x86asm.RIP:
		return i.end() + uint64(displacement(m)), true
	case m.Base == 0:
		return uint64(displacement(m)), true
	}
	return 0, false
}

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
		i, err := decodeInst(code, at)
		if err != nil {
			b.err = fmt.Errorf("no instruction at %#x: %w", at, err)
			return b
		}
		b.insts = append(b.insts, i)
		at, code = at+uint64(i.Len), code[i.Len:]
	}
	return b
}

// index returns the number of the instruction at addr.
func (b *body) index(addr uint64) (int, bool) {
	i := sort.Search(len(b.insts), func(i int) bool { return b.insts[i].at >= addr })
	return i, i < len(b.insts) && b.insts[i].at == addr
}

// refers tells whether an instruction forms or uses the address.
func (b *body) refers(addr uint64, absolute bool) bool {
	for n := range b.insts {
		i := &b.insts[n]
		for _, a := range i.Args {
			switch a := a.(type) {
			case x86asm.Mem:
				if at, ok := i.absolute(a); ok && at == addr {
					return true
				}
			case x86asm.Imm:
				if absolute && uint64(a) == addr {
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
	at := addr
	for range 2 { // [endbr64,] jmp *slot(%rip)
		code := p.from(at)
		if len(code) > 15 {
			code = code[:15]
		}
		i, err := decodeInst(code, at)
		if err != nil {
			break
		}
		if m, ok := i.Args[0].(x86asm.Mem); ok && i.Op == x86asm.JMP {
			if slot, ok := i.absolute(m); ok && p.imports[slot] != "" {
				return callee{name: p.imports[slot]}
			}
		}
		if i.Op != x86asm.NOP {
			break
		}
		at = i.end()
	}
	return callee{addr: addr}
}

// through resolves a call through the pointer at slot.
func (p *program) through(slot uint64) callee {
	if name := p.imports[slot]; name != "" {
		return callee{name: name}
	}
	return callee{slot: slot}
}

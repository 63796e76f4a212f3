package host

import (
	"golang.org/x/arch/x86/x86asm"
)

// place is a memory operand.  plain means that it is base+disp, without an index that is not known.
type place struct {
	base  value
	disp  int64
	plain bool
	from  origin
}

// step carries a state over one instruction that is not a jump, a call or a return.
type step struct {
	*state
	in    *inst
	store func(store) // told of what is written to memory, if it is set
}

// store is a write to memory.
type store struct {
	place
	op   x86asm.Op // MOV, or what is done to the memory in place
	size uint8
	src  value
}

// opaque is a value that this instruction makes.
func (s *step) opaque(from origin) value {
	return value{kind: defined, n: int64(s.in.at), from: from}
}

func (s *step) place(m x86asm.Mem) place {
	if at, ok := s.in.absolute(m); ok {
		return place{base: value{kind: constant, n: int64(at)}, plain: true}
	}
	if m.Segment != 0 {
		return place{base: s.opaque(0)}
	}
	pl := place{disp: displacement(m), plain: m.Index == 0}
	if n, width, _, ok := register(m.Base); ok && width == 8 {
		pl.base = s.regs[n]
		pl.from = pl.base.from
	} else if m.Base != 0 {
		pl.base, pl.plain = s.opaque(0), false
	}
	if n, _, _, ok := register(m.Index); ok {
		pl.from |= s.regs[n].from
	}
	if pl.plain && (pl.base.kind == constant || pl.base.kind == frame) {
		pl.base.n, pl.disp = pl.base.n+pl.disp, 0
	}
	return pl
}

func (s *step) load(m x86asm.Mem, size uint8) value {
	pl := s.place(m)
	if pl.plain {
		switch pl.base.kind {
		case frame:
			if v, ok := s.loadStack(pl.base.n, size); ok {
				return v
			}
		case constant:
			return value{kind: global, n: pl.base.n, size: size, from: fromGlobal}
		case argument:
			v := value{kind: field, n: pl.base.n, at: pl.disp, size: size, from: pl.from}
			if pl.base.n == 0 {
				v.from |= flagsOrigin(pl.disp, size)
			}
			return v
		}
	}
	return s.opaque(pl.from)
}

// flagsOrigin tells which era's it_flags are loaded from an item (memcached.h: struct _stritem).  A compiler may load the
// lower byte alone: that is where ITEM_CAS is.
func flagsOrigin(at int64, size uint8) origin {
	switch {
	case at == itemFlags && size <= 2:
		return fromFlags
	case at == itemFlags8 && size == 1:
		return fromFlags8
	}
	return 0
}

func (s *step) read(a x86asm.Arg, size uint8) value {
	switch a := a.(type) {
	case x86asm.Reg:
		if n, _, low, ok := register(a); ok {
			if !low {
				return s.opaque(s.regs[n].from)
			}
			return s.regs[n]
		}
	case x86asm.Mem:
		return s.load(a, size)
	case x86asm.Imm:
		return value{kind: constant, n: int64(a)}
	}
	return s.opaque(0)
}

// width is the size of an operand.
func (s *step) width(a x86asm.Arg) uint8 {
	switch a := a.(type) {
	case x86asm.Reg:
		_, w, _, _ := register(a)
		return w
	case x86asm.Mem:
		return uint8(s.in.MemBytes)
	}
	return 0
}

func (s *step) write(a x86asm.Arg, v value, op x86asm.Op) {
	switch a := a.(type) {
	case x86asm.Reg:
		n, width, _, ok := register(a)
		if !ok {
			return
		}
		if width < 4 {
			v = s.opaque(v.from | s.regs[n].from) // the rest of the register stays
		}
		s.regs[n] = v
	case x86asm.Mem:
		pl, size := s.place(a), uint8(s.in.MemBytes)
		if pl.plain && pl.base.kind == frame {
			kept := v
			if op != x86asm.MOV {
				kept = s.opaque(v.from)
			}
			s.storeStack(pl.base.n, slot{kept, size})
		}
		if s.store != nil {
			s.store(store{place: pl, op: op, size: size, src: v})
		}
	}
}

func (s *step) push(v value) {
	s.regs[rsp].n -= 8
	if s.regs[rsp].kind == frame {
		s.storeStack(s.regs[rsp].n, slot{v, 8})
	}
}

func (s *step) pop() value {
	v := s.opaque(0)
	if s.regs[rsp].kind == frame {
		if w, ok := s.loadStack(s.regs[rsp].n, 8); ok {
			v = w
		}
	}
	s.regs[rsp].n += 8
	return v
}

func (s *step) run() {
	in := s.in
	a, b := in.Args[0], in.Args[1]
	switch in.Op {
	case x86asm.NOP, x86asm.PAUSE, x86asm.UD2, x86asm.LFENCE, x86asm.MFENCE, x86asm.SFENCE:
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD:
		size := s.width(b)
		if _, ok := a.(x86asm.Mem); ok {
			size = uint8(in.MemBytes)
		}
		s.write(a, s.read(b, size), x86asm.MOV)
	case x86asm.LEA:
		s.lea()
	case x86asm.PUSH:
		s.push(s.read(a, 8))
	case x86asm.POP:
		s.write(a, s.pop(), x86asm.MOV)
	case x86asm.LEAVE:
		s.regs[rsp] = s.regs[rbp]
		s.regs[rbp] = s.pop()
	case x86asm.CMP, x86asm.TEST:
		s.flags = s.read(a, s.width(a)).from | s.read(b, s.width(b)).from
	case x86asm.XCHG:
		v, w := s.read(a, s.width(a)), s.read(b, s.width(b))
		s.write(a, w, x86asm.XCHG)
		s.write(b, v, x86asm.XCHG)
	case x86asm.CWDE, x86asm.CDQE: // widen eax, which keeps its identity
	case x86asm.CBW:
		s.forget(rax)
	case x86asm.CWD, x86asm.CDQ, x86asm.CQO:
		s.regs[rdx] = s.opaque(s.regs[rax].from)
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV:
		s.compute()
		s.forget(rax, rdx)
	case x86asm.IMUL:
		s.compute()
		if b == nil {
			s.forget(rax, rdx)
		}
	case x86asm.CPUID:
		s.forget(rax, rbx, rcx, rdx)
	case x86asm.RDTSC, x86asm.RDTSCP, x86asm.XGETBV:
		s.forget(rax, rcx, rdx)
	case x86asm.SYSCALL:
		s.forget(rax, rcx, r11)
	case x86asm.CMPXCHG, x86asm.CMPXCHG8B, x86asm.CMPXCHG16B:
		s.compute()
		s.forget(rax, rdx)
	case x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ:
		s.forget(rax, rcx, rsi, rdi)
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ:
		s.forget(rcx, rsi, rdi)
	default:
		s.compute()
	}
}

func (s *step) lea() {
	m, ok := s.in.Args[1].(x86asm.Mem)
	if !ok {
		return
	}
	pl := s.place(m)
	v := s.opaque(pl.from)
	if pl.plain && (pl.base.kind == constant || pl.base.kind == frame || pl.disp == 0) {
		v = pl.base
	}
	s.write(s.in.Args[0], v, x86asm.MOV)
}

// forget makes registers unknown that an instruction writes without naming them.
func (s *step) forget(regs ...int) {
	for _, r := range regs {
		s.regs[r] = s.opaque(s.regs[r].from)
		s.regs[r].at = int64(r)
	}
}

// compute is any operation whose first operand is the destination and whose others are sources.
func (s *step) compute() {
	in := s.in
	a, b := in.Args[0], in.Args[1]
	var from origin
	for _, x := range in.Args {
		if x != nil {
			from |= s.read(x, s.width(x)).from
		}
	}
	if usesFlags(in.Op) {
		from |= s.flags
	}
	if setsFlags(in.Op) {
		s.flags = from
	}
	v := s.opaque(from)
	switch in.Op {
	case x86asm.XOR, x86asm.SUB:
		if ra, ok := a.(x86asm.Reg); ok && a == b {
			if _, w, _, ok := register(ra); ok && w >= 4 {
				v, s.flags = value{kind: constant}, 0
			}
		}
	}
	if imm, ok := b.(x86asm.Imm); ok && (in.Op == x86asm.ADD || in.Op == x86asm.SUB) {
		if ra, ok := a.(x86asm.Reg); ok {
			if n, w, _, ok := register(ra); ok && w == 8 && s.regs[n].kind == frame {
				v = s.regs[n]
				if in.Op == x86asm.ADD {
					v.n += int64(imm)
				} else {
					v.n -= int64(imm)
				}
			}
		}
	}
	if _, ok := a.(x86asm.Mem); ok && b != nil {
		v = s.read(b, s.width(b)) // what is applied to the memory
	}
	s.write(a, v, in.Op)
}

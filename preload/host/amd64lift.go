package host

import "golang.org/x/arch/x86/x86asm"

// liftAMD64 says in operations what an instruction does that is not a jump, a call or a return.
type liftAMD64 struct {
	x86asm.Inst
	next uint64 // the address of the next instruction
}

func (l *liftAMD64) ops() []op {
	a, b := l.operand(l.Args[0]), l.operand(l.Args[1])
	at := func(n int64) operand { return operand{kind: based, reg: rsp, n: n, size: 8} }
	sp := func(n int64) op { return op{operation: address, dst: general(rsp), src: [3]operand{at(n)}} }
	mov := func(dst, src operand) op { return op{operation: move, dst: dst, src: [3]operand{src}} }
	switch l.Op {
	case x86asm.NOP, x86asm.PAUSE, x86asm.LFENCE, x86asm.MFENCE, x86asm.SFENCE:
		return nil
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD:
		return []op{mov(a, b)}
	case x86asm.LEA:
		return []op{{operation: address, dst: a, src: [3]operand{b}}}
	case x86asm.PUSH:
		return []op{mov(at(-8), a), sp(-8)}
	case x86asm.POP:
		return []op{mov(a, at(0)), sp(8)}
	case x86asm.LEAVE:
		return []op{mov(general(rsp), general(rbp)), mov(general(rbp), at(0)), sp(8)}
	case x86asm.CMP, x86asm.TEST:
		return []op{{operation: compare, src: [3]operand{a, b}, setsFlags: true}}
	case x86asm.XCHG:
		return []op{{operation: exchange, dst: a, src: [3]operand{b}}}
	case x86asm.CWDE, x86asm.CDQE: // widen eax, which keeps its identity
		return nil
	case x86asm.CBW:
		return forgets(rax)
	case x86asm.CWD, x86asm.CDQ, x86asm.CQO:
		return []op{{dst: general(rdx), src: [3]operand{general(rax)}}}
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.CMPXCHG, x86asm.CMPXCHG8B, x86asm.CMPXCHG16B:
		return append([]op{l.computed()}, forgets(rax, rdx)...)
	case x86asm.IMUL:
		if l.Args[1] == nil {
			return append([]op{l.computed()}, forgets(rax, rdx)...)
		}
	case x86asm.CPUID:
		return forgets(rax, rbx, rcx, rdx)
	case x86asm.RDTSC, x86asm.RDTSCP, x86asm.XGETBV:
		return forgets(rax, rcx, rdx)
	case x86asm.SYSCALL:
		return forgets(rax, rcx, r11)
	case x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ:
		return forgets(rax, rcx, rsi, rdi)
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ:
		return forgets(rcx, rsi, rdi)
	case x86asm.XOR, x86asm.SUB:
		if r, ok := l.Args[0].(x86asm.Reg); ok && r == l.Args[1] && a.size >= 4 {
			return []op{{operation: move, dst: a, src: [3]operand{{kind: immediate}}, setsFlags: true}}
		}
	}
	if a.kind == register && a.size == 8 && b.kind == immediate {
		switch l.Op {
		case x86asm.ADD:
			return []op{shifted(a, b.n)}
		case x86asm.SUB:
			return []op{shifted(a, -b.n)}
		}
	}
	return []op{l.computed()}
}

// computed is any operation whose first operand is the destination and a source, like all others.
func (l *liftAMD64) computed() op {
	c := op{dst: l.operand(l.Args[0]), readsFlag: usesFlags(l.Op), setsFlags: setsFlags(l.Op)}
	for n := range c.src {
		c.src[n] = l.operand(l.Args[n])
	}
	switch l.Op {
	case x86asm.ADD:
		c.operation = add
	case x86asm.OR:
		c.operation = or
	case x86asm.INC:
		c.operation = increment
	}
	return c
}

// shifted is the addition of a number to a whole register: most often to the stack pointer.
func shifted(r operand, n int64) op {
	return op{operation: address, dst: r, src: [3]operand{{kind: based, reg: r.reg, n: n, size: 8}}, setsFlags: true}
}

func general(r reg) operand { return operand{kind: register, reg: r, size: 8} }

// forgets is for registers that an instruction writes without naming them.
func forgets(regs ...reg) []op {
	ops := make([]op, len(regs))
	for n, r := range regs {
		ops[n] = op{operation: forget, dst: general(r)}
	}
	return ops
}

func (l *liftAMD64) operand(a x86asm.Arg) operand {
	switch a := a.(type) {
	case x86asm.Reg:
		if n, size, low, ok := registerAMD64(a); ok {
			return operand{kind: register, reg: n, size: size, high: !low}
		}
		return operand{kind: elsewhere}
	case x86asm.Imm:
		return operand{kind: immediate, n: int64(a)}
	case x86asm.Mem:
		return l.memory(a)
	}
	return operand{}
}

func (l *liftAMD64) memory(m x86asm.Mem) operand {
	o := operand{kind: untold, size: uint8(l.MemBytes)}
	o.n = int64(int32(uint32(m.Disp))) // x86asm leaves the sign of four-byte ones away
	base, width, _, general := registerAMD64(m.Base)
	index, _, _, scaled := registerAMD64(m.Index)
	switch {
	case m.Segment != 0:
	case m.Base == 0 && m.Index == 0 && l.Prefix[0].IsVEX(): // of %rip, which x86asm leaves away in these
		o.kind, o.n = absolute, o.n+int64(l.next)
	case m.Base == x86asm.RIP && m.Index == 0:
		o.kind, o.n = absolute, o.n+int64(l.next)
	case m.Base == 0 && m.Index == 0: // a plain number, in a program that is not position-independent
		o.kind = absolute
	case m.Base == 0 && scaled:
		o.kind, o.reg, o.index = indexed, index, index
	case general && width == 8 && m.Index == 0:
		o.kind, o.reg = based, base
	case general && width == 8 && scaled:
		o.kind, o.reg, o.index = indexed, base, index
	}
	return o
}

// registerAMD64 tells which general register r is part of, how many bytes it is wide, and whether these are the lowest.
func registerAMD64(r x86asm.Reg) (n reg, size uint8, low, ok bool) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
		return reg(r - x86asm.RAX), 8, true, true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return reg(r - x86asm.EAX), 4, true, true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return reg(r - x86asm.AX), 2, true, true
	case r >= x86asm.AL && r <= x86asm.BL:
		return reg(r - x86asm.AL), 1, true, true
	case r >= x86asm.AH && r <= x86asm.BH:
		return reg(r - x86asm.AH), 1, false, true
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return reg(r-x86asm.SPB) + rsp, 1, true, true
	}
	return 0, 0, false, false
}

// usesFlags tells the operations whose result depends on the processor's flags.
func usesFlags(op x86asm.Op) bool {
	switch op {
	case x86asm.ADC, x86asm.SBB, x86asm.RCL, x86asm.RCR,
		x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETG, x86asm.SETGE, x86asm.SETL,
		x86asm.SETLE, x86asm.SETNE, x86asm.SETNO, x86asm.SETNP, x86asm.SETNS, x86asm.SETO, x86asm.SETP, x86asm.SETS,
		x86asm.CMOVA, x86asm.CMOVAE, x86asm.CMOVB, x86asm.CMOVBE, x86asm.CMOVE, x86asm.CMOVG, x86asm.CMOVGE, x86asm.CMOVL,
		x86asm.CMOVLE, x86asm.CMOVNE, x86asm.CMOVNO, x86asm.CMOVNP, x86asm.CMOVNS, x86asm.CMOVO, x86asm.CMOVP, x86asm.CMOVS:
		return true
	}
	return false
}

// setsFlags tells the operations of integer code that leave flags which depend on their operands.
func setsFlags(op x86asm.Op) bool {
	switch op {
	case x86asm.ADD, x86asm.ADC, x86asm.SUB, x86asm.SBB, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.NEG, x86asm.INC, x86asm.DEC,
		x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.ROL, x86asm.ROR, x86asm.IMUL, x86asm.MUL, x86asm.BT, x86asm.BTS, x86asm.BTR,
		x86asm.BSF, x86asm.BSR, x86asm.XADD, x86asm.CMPXCHG:
		return true
	}
	return false
}

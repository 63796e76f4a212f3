package host

import "golang.org/x/arch/x86/x86asm"

// ends tells whether an instruction is the last of a block.
func ends(in *inst) bool {
	return in.Op == x86asm.RET || in.Op == x86asm.JMP || in.Op == x86asm.UD2 || conditional(in.Op)
}

func conditional(op x86asm.Op) bool {
	switch op {
	case x86asm.JA, x86asm.JAE, x86asm.JB, x86asm.JBE, x86asm.JCXZ, x86asm.JE, x86asm.JECXZ, x86asm.JG, x86asm.JGE, x86asm.JL,
		x86asm.JLE, x86asm.JNE, x86asm.JNO, x86asm.JNP, x86asm.JNS, x86asm.JO, x86asm.JP, x86asm.JRCXZ, x86asm.JS,
		x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE:
		return true
	}
	return false
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

// foreign tells the instructions that no compiler puts into a function of a program: where one stands, something else than
// the program's own code was read.
func foreign(op x86asm.Op) bool {
	switch op {
	case x86asm.INT, x86asm.INTO, x86asm.ICEBP, x86asm.HLT, x86asm.IN, x86asm.OUT, x86asm.CLI, x86asm.STI,
		x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.LCALL, x86asm.LJMP, x86asm.LRET, x86asm.SYSRET, x86asm.SYSEXIT:
		return true
	}
	return false
}

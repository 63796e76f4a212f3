package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"golang.org/x/arch/x86/x86asm"
)

// The general registers of x86-64, numbered as the processor does.
const (
	rax reg = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
	r8
	r9
	r10
	r11
)

// amd64 is x86-64 (System V ABI, AMD64 supplement, 3.2).
var amd64 = machine{
	registers: 16,
	sp:        rsp,
	args:      []reg{rdi, rsi, rdx, rcx, r8, r9},
	result:    rax,
	clobbered: []reg{rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11},
	above:     8, // a call pushes the address that it returns to
	mutex:     40,
	jumpSlot:  uint32(elf.R_X86_64_JMP_SLOT),
	globDat:   uint32(elf.R_X86_64_GLOB_DAT),
	relative:  uint32(elf.R_X86_64_RELATIVE),
	decode:    decodeAMD64,
	mentions:  mentionsAMD64,
}

// x86asm takes these apart wrongly, without an error: as a rep of one byte and whatever the rest may mean.  None of them
// does anything that matters here (Intel SDM, Control-flow Enforcement Technology).
var cet = [][]byte{
	{0xf3, 0x0f, 0x1e, 0xfa},       // endbr64
	{0xf3, 0x0f, 0x1e, 0xfb},       // endbr32
	{0xf3, 0x48, 0x0f, 0x1e, 0xc8}, // rdsspq %rax
}

func decodeAMD64(code []byte, at uint64) (inst, error) {
	for _, c := range cet {
		if bytes.HasPrefix(code, c) {
			return inst{at: at, size: uint8(len(c))}, nil
		}
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil {
		return inst{}, err
	}
	if in.Op == 0 || in.Len == 0 {
		return inst{}, x86asm.ErrUnrecognized
	}
	i := inst{at: at, size: uint8(in.Len), flow: flowAMD64(in.Op)}
	l := liftAMD64{Inst: in, next: i.end()}
	switch i.flow {
	case branch, jump, calling:
		if rel, ok := in.Args[0].(x86asm.Rel); ok {
			i.goal = i.end() + uint64(int64(rel))
		} else {
			i.via = l.operand(in.Args[0])
		}
	case onward:
		i.ops = l.ops()
	}
	return i, nil
}

func flowAMD64(op x86asm.Op) flow {
	switch op {
	case x86asm.JA, x86asm.JAE, x86asm.JB, x86asm.JBE, x86asm.JCXZ, x86asm.JE, x86asm.JECXZ, x86asm.JG, x86asm.JGE, x86asm.JL,
		x86asm.JLE, x86asm.JNE, x86asm.JNO, x86asm.JNP, x86asm.JNS, x86asm.JO, x86asm.JP, x86asm.JRCXZ, x86asm.JS,
		x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE:
		return branch
	case x86asm.JMP:
		return jump
	case x86asm.CALL:
		return calling
	case x86asm.RET:
		return ret
	case x86asm.UD2:
		return trap
	case x86asm.INT, x86asm.INTO, x86asm.ICEBP, x86asm.HLT, x86asm.IN, x86asm.OUT, x86asm.CLI, x86asm.STI,
		x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.LCALL, x86asm.LJMP, x86asm.LRET, x86asm.SYSRET, x86asm.SYSEXIT:
		return foreign
	}
	return onward
}

// mentionsAMD64 takes any four bytes that hold the right distance, or, in a program with fixed addresses, the address.
func mentionsAMD64(code []byte, at uint64, wanted []uint64, fixed bool, found func(at, to uint64)) {
	const width = 4 // of a distance, and of an address in the small code model
	low, high := wanted[0], wanted[len(wanted)-1]
	for i := 0; i+width <= len(code); i++ {
		word := binary.LittleEndian.Uint32(code[i:])
		to := at + uint64(i) + width + uint64(int64(int32(word)))
		if a := uint64(word); fixed && a >= low && a <= high {
			to = a
		}
		if to >= low && to <= high {
			found(at+uint64(i), to)
		}
	}
}

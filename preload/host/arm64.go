package host

import (
	"debug/elf"
	"encoding/binary"
	"errors"
)

// The stack pointer, where an instruction does not mean the register that is always zero by the number.
const sp31 reg = 31

// arm64 is AArch64 (Procedure Call Standard for the Arm 64-bit Architecture, 6.1).  The instructions are told as the
// Arm Architecture Reference Manual does, C4.1, and no further apart than what values go where: golang.org/x/arch's
// decoder keeps the distances in memory to itself.
var arm64 = machine{
	registers: 32,
	sp:        sp31,
	args:      []reg{0, 1, 2, 3, 4, 5, 6, 7},
	result:    0,
	clobbered: []reg{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 30},
	above:     0, // the address that a call returns to is in a register
	mutex:     48,
	jumpSlot:  uint32(elf.R_AARCH64_JUMP_SLOT),
	globDat:   uint32(elf.R_AARCH64_GLOB_DAT),
	relative:  uint32(elf.R_AARCH64_RELATIVE),
	decode:    decodeARM64,
	mentions:  mentionsARM64,
}

var errNotARM64 = errors.New("no instruction of AArch64 that a program is made of")

// wordARM64 is an instruction.
type wordARM64 uint32

// bits returns those from high to low.
func (w wordARM64) bits(high, low int) uint32 { return uint32(w) << (31 - high) >> (31 - high + low) }

// signed returns the number in these bits.
func (w wordARM64) signed(high, low int) int64 {
	return int64(int32(uint32(w)<<(31-high)) >> (31 - high + low))
}

func (w wordARM64) has(mask, value uint32) bool { return uint32(w)&mask == value }

func decodeARM64(code []byte, at uint64) (inst, error) {
	if len(code) < 4 {
		return inst{}, errNotARM64
	}
	w := wordARM64(binary.LittleEndian.Uint32(code))
	i := inst{at: at, size: 4}
	switch op0 := w.bits(28, 25); {
	case op0>>1 == 0b100:
		i.ops = w.immediates(at)
	case op0>>1 == 0b101:
		return i, w.branches(&i)
	case op0&0b0101 == 0b0100:
		ops, err := w.memory(at)
		i.ops = ops
		return i, err
	case op0&0b0111 == 0b0101:
		i.ops = w.registers()
	case op0&0b0111 == 0b0111:
		i.ops = w.vectors()
	case w.has(0xffff0000, 0): // udf
		i.flow = trap
	default:
		return inst{}, errNotARM64
	}
	return i, nil
}

// branches tells branches, exceptions and system instructions apart.
func (w wordARM64) branches(i *inst) error {
	to := func(high, low int) { i.goal = i.at + uint64(w.signed(high, low)*4) }
	switch {
	case w.has(0x7c000000, 0x14000000): // b, bl
		i.flow = jump
		if w.bits(31, 31) == 1 {
			i.flow = calling
		}
		to(25, 0)
	case w.has(0xff000000, 0x54000000), w.has(0x7e000000, 0x34000000): // b.cond, cbz, cbnz
		i.flow = branch
		to(23, 5)
	case w.has(0x7e000000, 0x36000000): // tbz, tbnz
		i.flow = branch
		to(18, 5)
	case w.has(0xfe000000, 0xd6000000): // br, blr, ret, and those that authenticate
		i.via = whole(reg(w.bits(9, 5)))
		switch w.bits(24, 21) {
		case 0b0000, 0b1000:
			i.flow = jump
		case 0b0001, 0b1001:
			i.flow = calling
		case 0b0010:
			i.flow, i.via = ret, operand{}
		default:
			i.flow, i.via = foreign, operand{}
		}
	case w.has(0xffe0001f, 0xd4000001): // svc
		i.ops = forgets(0)
	case w.has(0xffe0001f, 0xd4200000): // brk
		i.flow = trap
	case w.has(0xff000000, 0xd4000000): // what only systems do
		i.flow = foreign
	case w.has(0xfff00000, 0xd5300000): // mrs
		i.ops = []op{computed(w.rd(8))}
	case w.has(0xffc00000, 0xd5000000): // hints, barriers, msr
	default:
		return errNotARM64
	}
	return nil
}

// mentionsARM64 takes adr, ldr of a literal, and each add that may have the lower part of an address whose page another
// instruction has.
func mentionsARM64(code []byte, at uint64, wanted []uint64, _ bool, found func(at, to uint64)) {
	for i := 0; i+4 <= len(code); i += 4 {
		w, here := wordARM64(binary.LittleEndian.Uint32(code[i:])), at+uint64(i)
		switch {
		case w.has(0x9f000000, 0x10000000):
			to := here + uint64(w.signed(23, 5)<<2|int64(w.bits(30, 29)))
			for _, a := range wanted {
				if a == to {
					found(here, a)
				}
			}
		case w.has(0xffc00000, 0x91000000):
			for _, a := range wanted {
				if uint32(a&0xfff) == w.bits(21, 10) {
					found(here, a)
				}
			}
		}
	}
}

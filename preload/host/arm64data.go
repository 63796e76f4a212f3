package host

import "math/bits"

func whole(r reg) operand { return operand{kind: register, reg: r, size: 8} }

// Registers by their place in an instruction; number 31 is zero, or the stack pointer where it may be meant.

func (w wordARM64) general(n uint32, size uint8, stack bool) operand {
	if n == 31 && !stack {
		return operand{kind: immediate}
	}
	return operand{kind: register, reg: reg(n), size: size}
}

// width is 4 or 8 bytes.
func (w wordARM64) width() uint8 { return 4 << w.bits(31, 31) }

func (w wordARM64) rd(size uint8) operand { return destination(w.general(w.bits(4, 0), size, false)) }
func (w wordARM64) rn() operand           { return w.general(w.bits(9, 5), w.width(), false) }
func (w wordARM64) rm() operand           { return w.general(w.bits(20, 16), w.width(), false) }

// destination of what is written to the register that stays zero is nowhere.
func destination(o operand) operand {
	if o.kind == immediate {
		return operand{kind: elsewhere}
	}
	return o
}

func computed(dst operand, src ...operand) op {
	o := op{dst: dst}
	copy(o.src[:], src)
	return o
}

func moved(dst, src operand) op { return op{operation: move, dst: dst, src: [3]operand{src}} }

func number(n int64) operand { return operand{kind: immediate, n: n} }

// immediates: data processing with a number (C4.1.86).
func (w wordARM64) immediates(at uint64) []op {
	switch w.bits(25, 23) {
	case 0b000, 0b001: // adr, adrp
		n := w.signed(23, 5)<<2 | int64(w.bits(30, 29))
		to := at + uint64(n)
		if w.bits(31, 31) == 1 {
			to = at&^0xfff + uint64(n)<<12
		}
		return []op{{operation: address, dst: w.rd(8), src: [3]operand{{kind: absolute, n: int64(to), size: 8}}}}
	case 0b010:
		return []op{w.addNumber()}
	case 0b100:
		return []op{w.logicNumber()}
	case 0b101: // movn, movz, movk
		n := int64(w.bits(20, 5)) << (16 * w.bits(22, 21))
		switch w.bits(30, 29) {
		case 0b00:
			if n = ^n; w.width() == 4 {
				n = int64(uint32(n))
			}
			return []op{moved(w.rd(w.width()), number(n))}
		case 0b10:
			return []op{moved(w.rd(w.width()), number(n))}
		}
		return []op{computed(w.rd(w.width()), w.rd(w.width()))}
	case 0b110:
		return []op{w.bitfield()}
	}
	return []op{computed(w.rd(w.width()), w.rn(), w.rm())}
}

// addNumber: add, sub, adds, subs; cmp and cmn are those whose result goes nowhere.
func (w wordARM64) addNumber() op {
	n := int64(w.bits(21, 10)) << (12 * w.bits(22, 22))
	if w.bits(30, 30) == 1 {
		n = -n
	}
	sets := w.bits(29, 29) == 1
	from := w.general(w.bits(9, 5), w.width(), true)
	to := w.general(w.bits(4, 0), w.width(), !sets)
	switch {
	case to.kind == immediate:
		return op{operation: compare, src: [3]operand{from, number(n)}, setsFlags: true}
	case w.width() == 8:
		o := shifted(to, n)
		o.src[0].reg, o.setsFlags = from.reg, sets
		return o
	}
	return op{operation: add, dst: to, src: [3]operand{from, number(n)}, setsFlags: sets}
}

// logicNumber: and, orr, eor, ands; tst is the last whose result goes nowhere, mov is orr with zero.
func (w wordARM64) logicNumber() op {
	n := number(w.bitmask())
	widens := n.n == 0xff || n.n == 0xffff || n.n == 0xffffffff
	sets := w.bits(30, 29) == 0b11
	to := w.general(w.bits(4, 0), w.width(), !sets)
	switch {
	case to.kind == immediate:
		return op{operation: compare, src: [3]operand{w.rn(), n}, setsFlags: true}
	case w.bits(30, 29) == 0b01 && w.bits(9, 5) == 31:
		return moved(to, n)
	case w.bits(30, 29) == 0b00 && widens: // as uxtb and uxth do
		return moved(to, w.rn())
	case w.bits(30, 29) == 0b01:
		return op{operation: or, dst: to, src: [3]operand{w.rn(), n}}
	}
	return op{dst: to, src: [3]operand{w.rn(), n}, setsFlags: sets}
}

// bitmask is the number of a logical instruction: ones, rotated, and repeated (DecodeBitMasks).
func (w wordARM64) bitmask() int64 {
	imms, immr := w.bits(15, 10), w.bits(21, 16)
	length := 31 - bits.LeadingZeros32(w.bits(22, 22)<<6|^imms&0x3f)
	if length < 1 {
		return 0 // not allocated
	}
	size := uint(1) << length
	ones := uint(imms)&(size-1) + 1
	turn := uint(immr) & (size - 1)
	element := uint64(1)<<ones - 1
	if turn > 0 {
		element = element>>turn | element<<(size-turn)
	}
	if size < 64 {
		element &= 1<<size - 1
	}
	for ; size < 64; size *= 2 {
		element |= element << size
	}
	if w.width() == 4 {
		element = uint64(uint32(element))
	}
	return int64(element)
}

// bitfield: sbfm, bfm, ubfm.  Those that widen a byte, two or four leave the value what it is.
func (w wordARM64) bitfield() op {
	last := w.bits(15, 10)
	opc := w.bits(30, 29)
	widens := w.bits(21, 16) == 0 && (last == 7 || last == 15 || last == 31)
	switch {
	case widens && opc != 0b01:
		return moved(w.rd(w.width()), w.rn())
	case opc == 0b01: // the rest of the destination stays
		return computed(w.rd(w.width()), w.rn(), w.rd(w.width()))
	}
	return computed(w.rd(w.width()), w.rn())
}

// registers: data processing with registers (C4.1.89).
func (w wordARM64) registers() []op {
	rd := w.rd(w.width())
	switch {
	case w.has(0x1f000000, 0x0a000000): // and, orr, eor, ands and their like with a negated source
		plain := w.bits(15, 10) == 0 && w.bits(21, 21) == 0
		switch opc := w.bits(30, 29); {
		case opc == 0b11:
			return []op{{dst: rd, src: [3]operand{w.rn(), w.rm()}, setsFlags: true}}
		case opc == 0b01 && plain && w.bits(9, 5) == 31:
			return []op{moved(rd, w.rm())}
		}
		return []op{computed(rd, w.rn(), w.rm())}
	case w.has(0x1f000000, 0x0b000000): // add, sub
		o := computed(rd, w.rn(), w.rm())
		if w.bits(21, 21) == 1 { // extended; of the stack pointer, perhaps
			o = computed(w.general(w.bits(4, 0), w.width(), w.bits(29, 29) == 0), w.general(w.bits(9, 5), w.width(), true), w.rm())
			o.dst = destination(o.dst)
		}
		o.setsFlags = w.bits(29, 29) == 1
		return []op{o}
	case w.has(0x1fe00000, 0x1a000000): // adc, sbc
		o := computed(rd, w.rn(), w.rm())
		o.readsFlag, o.setsFlags = true, w.bits(29, 29) == 1
		return []op{o}
	case w.has(0x1fe00000, 0x1a400000): // ccmp, ccmn
		return []op{{operation: compare, src: [3]operand{w.rn()}, readsFlag: true, setsFlags: true}}
	case w.has(0x1fe00000, 0x1a800000): // csel and its like
		o := computed(rd, w.rn(), w.rm())
		o.readsFlag = true
		return []op{o}
	case w.has(0x1f000000, 0x1b000000): // madd and its like
		return []op{computed(rd, w.rn(), w.rm(), w.general(w.bits(14, 10), w.width(), false))}
	case w.has(0x5fe00000, 0x5ac00000): // of one source; pacia and its like name the other by number
		return []op{computed(rd, w.general(w.bits(9, 5), w.width(), false))}
	}
	return []op{computed(rd, w.rn(), w.rm())}
}

// vectors: floating-point and SIMD (C4.1.96), as far as general registers and flags are concerned.
func (w wordARM64) vectors() []op {
	switch {
	case w.has(0x5f20fc00, 0x1e200000): // conversions between both kinds of registers
		switch w.bits(18, 16) {
		case 0b010, 0b011, 0b111: // to the other kind
			return nil
		}
		return []op{computed(w.rd(8))}
	case w.has(0x5f200000, 0x1e000000) && w.bits(18, 17) == 0b00: // fcvtz, to fixed point
		return []op{computed(w.rd(8))}
	case w.has(0xbfe0fc00, 0x0e003c00), w.has(0xbfe0fc00, 0x0e002c00): // umov, smov
		return []op{computed(w.rd(8))}
	case w.has(0xff20fc07, 0x1e202000), w.has(0xff200c10, 0x1e200400): // fcmp, fccmp
		return []op{{operation: compare, setsFlags: true}}
	}
	return nil
}

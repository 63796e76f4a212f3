package host

// memory: loads and stores (C4.1.94).
func (w wordARM64) memory(at uint64) ([]op, error) {
	switch {
	case w.has(0x3f000000, 0x08000000):
		return w.ordered(), nil
	case w.has(0x3b000000, 0x18000000): // ldr of a literal, prfm
		if w.bits(26, 26) == 1 || w.bits(31, 30) == 0b11 {
			return nil, nil
		}
		size := uint8(8)
		if w.bits(31, 30) != 0b01 {
			size = 4
		}
		from := operand{kind: absolute, n: int64(at) + w.signed(23, 5)*4, size: size}
		return []op{moved(w.rd(8), from)}, nil
	case w.has(0x3a000000, 0x28000000):
		return w.pair(), nil
	case w.has(0x3b200c00, 0x38200000) && w.bits(26, 26) == 0:
		return w.atomic(), nil
	case w.has(0x3a000000, 0x38000000):
		return w.single(), nil
	case w.has(0x3f200c00, 0x19000000): // ldapur, stlur
		return w.transfer(w.based(w.signed(20, 12), 1<<w.bits(31, 30)), w.bits(23, 22)), nil
	case w.has(0xbf000000, 0x0c000000), w.has(0xbf000000, 0x0d000000): // ld1, st1 and their like
		ops := w.vector(w.based(0, 16), w.bits(22, 22) == 1)
		if w.bits(23, 23) == 1 { // the address goes on
			ops = append(ops, computed(w.base(), w.base()))
		}
		return ops, nil
	}
	return nil, errNotARM64
}

// base is the register that an address counts from.
func (w wordARM64) base() operand { return w.general(w.bits(9, 5), 8, true) }

func (w wordARM64) based(n int64, size uint8) operand {
	return operand{kind: based, reg: w.base().reg, n: n, size: size}
}

// moves base by n, before or after it is used.
func (w wordARM64) moves(n int64) op {
	o := shifted(w.base(), n)
	o.setsFlags = false
	return o
}

func (w wordARM64) vector(at operand, load bool) []op {
	if load {
		return nil
	}
	return []op{moved(at, operand{kind: elsewhere})}
}

// transfer of one general register: opc is 0 for a store, 1 for a load, else for one that minds the sign.
func (w wordARM64) transfer(at operand, opc uint32) []op {
	rt := w.general(w.bits(4, 0), min(at.size, 8), false)
	switch {
	case opc == 0:
		return []op{moved(at, rt)}
	case at.size == 8 && opc != 1: // prfm
		return nil
	}
	rt = destination(rt)
	if rt.kind == register {
		rt.size = 8 // what is not loaded is zero, or the sign
	}
	return []op{moved(rt, at)}
}

// single: ldr, str and their like, of any register and with any address.
func (w wordARM64) single() []op {
	simd, opc := w.bits(26, 26) == 1, w.bits(23, 22)
	size := uint8(1) << w.bits(31, 30)
	if simd && opc >= 2 {
		size = 16
	}
	do := func(at operand) []op {
		if simd {
			return w.vector(at, opc&1 == 1)
		}
		return w.transfer(at, opc)
	}
	if w.bits(24, 24) == 1 {
		return do(w.based(int64(w.bits(21, 10))*int64(size), size))
	}
	n := w.signed(20, 12)
	switch {
	case w.bits(21, 21) == 1 && w.bits(11, 10) == 0b10:
		index := w.general(w.bits(20, 16), 8, false)
		at := w.based(0, size)
		if index.kind == register {
			at.kind, at.index = indexed, index.reg
		}
		return do(at)
	case w.bits(21, 21) == 1: // ldraa, ldrab
		return []op{computed(w.rd(8), w.base())}
	case w.bits(11, 10) == 0b01:
		return append(do(w.based(0, size)), w.moves(n))
	case w.bits(11, 10) == 0b11:
		// The address that is used is that after the move; a register that is stored is so before it.
		return append(do(w.based(n, size)), w.moves(n))
	}
	return do(w.based(n, size))
}

// pair: ldp, stp, ldpsw.
func (w wordARM64) pair() []op {
	simd, load := w.bits(26, 26) == 1, w.bits(22, 22) == 1
	size := uint8(4) << w.bits(31, 31)
	if simd {
		size = 4 << w.bits(31, 30)
	}
	n := w.signed(21, 15) * int64(size)
	mode, first := w.bits(24, 23), n
	if mode == 0b01 {
		first = 0 // the address moves afterwards
	}
	a, b := w.based(first, size), w.based(first+int64(size), size)
	var ops []op
	switch {
	case simd:
		ops = append(w.vector(a, load), w.vector(b, load)...)
	case load:
		// Either register may be the one that the address counts from: it is loaded last.
		one := moved(destination(w.general(w.bits(4, 0), 8, false)), a)
		two := moved(destination(w.general(w.bits(14, 10), 8, false)), b)
		if one.dst.reg == w.base().reg {
			one, two = two, one
		}
		ops = []op{one, two}
	default:
		ops = []op{moved(a, w.general(w.bits(4, 0), size, false)), moved(b, w.general(w.bits(14, 10), size, false))}
	}
	if mode == 0b01 || mode == 0b11 {
		ops = append(ops, w.moves(n))
	}
	return ops
}

// ordered: exclusive and ordered loads and stores, compare and swap.
func (w wordARM64) ordered() []op {
	at := w.based(0, 1<<w.bits(31, 30))
	status := destination(w.general(w.bits(20, 16), 8, false))
	switch o2, load, o1 := w.bits(23, 23), w.bits(22, 22) == 1, w.bits(21, 21); {
	case o1 == 1: // pairs, cas: what is loaded is not followed
		return []op{computed(w.rd(8)), computed(destination(w.general(w.bits(14, 10), 8, false))), computed(status), computed(at)}
	case load:
		return w.transfer(at, 1)
	case o2 == 1:
		return w.transfer(at, 0)
	}
	return append(w.transfer(at, 0), computed(status))
}

// atomic: ldadd and its like, swp: the old value goes to a register, the new one is computed from another.
func (w wordARM64) atomic() []op {
	at := w.based(0, 1<<w.bits(31, 30))
	rs := w.general(w.bits(20, 16), 8, false)
	if w.bits(15, 12) == 0b1100 { // ldapr
		return w.transfer(at, 1)
	}
	return []op{computed(w.rd(8), at), {dst: at, src: [3]operand{at, rs}}}
}

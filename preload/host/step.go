package host

// place is an operand in memory.  plain means that it is base+disp, without an index that is not known.
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
	op    int              // the one of in that is done
	relro map[uint64]int64 // program.relro
	store func(store)      // told of what is written to memory, if it is set
	seen  *changes         // with store
}

// changes has what instructions before have loaded and changed: a machine that does not compute in memory loads, computes
// and stores.
type changes struct {
	loaded map[value]place // by what is loaded, without its origins
	ored   map[value]ored  // by what is computed
}

// ored is a number or-ed to a value.
type ored struct {
	value
	number int64
}

// inPlace tells whether v, which goes to a place, is what stood there with a number or-ed to it.
func (c *changes) inPlace(v value, to place) (number int64, ok bool) {
	v.from = 0
	o, ok := c.ored[v]
	if !ok || !to.plain {
		return 0, false
	}
	if o.kind == field {
		return o.number, to.base.isArg(int(o.n)) && to.disp == o.at
	}
	o.from = 0
	from, ok := c.loaded[o.value]
	return o.number, ok && from.plain && from.base.same(to.base) && from.disp == to.disp
}

// store is a write to memory.
type store struct {
	place
	at   uint64
	op   operation // move, or what is done to the memory in place
	size uint8
	src  value
}

// opaque is a value that this instruction makes; what it makes besides is another one.
func (s *step) opaque(from origin) value {
	return value{kind: defined, n: int64(s.in.at), at: int64(s.op), from: from}
}

func (s *step) place(o operand) place {
	if o.kind == absolute {
		return place{base: value{kind: constant, n: o.n}, plain: true}
	}
	if o.kind == untold {
		return place{base: s.opaque(0)}
	}
	pl := place{base: s.regs[o.reg], disp: o.n, plain: o.kind == based}
	pl.from = pl.base.from
	if o.kind == indexed {
		pl.from |= s.regs[o.index].from
	}
	if !pl.plain {
		return pl
	}
	switch b := pl.base; b.kind {
	case constant, frame:
		pl.base.n, pl.disp = b.n+pl.disp, 0
	case inside:
		pl.base, pl.disp = value{kind: argument, n: b.n, from: b.from}, b.at+pl.disp
	}
	return pl
}

func (s *step) load(o operand) value {
	pl := s.place(o)
	if pl.plain {
		switch pl.base.kind {
		case frame:
			if v, ok := s.loadStack(pl.base.n, o.size); ok {
				return v
			}
		case constant:
			if to, ok := s.relro[uint64(pl.base.n)]; ok && o.size == 8 {
				return value{kind: constant, n: to}
			}
			return value{kind: global, n: pl.base.n, size: o.size, from: fromGlobal}
		case argument:
			v := value{kind: field, n: pl.base.n, at: pl.disp, size: o.size, from: pl.from}
			if pl.base.n == 0 {
				v.from |= flagsOrigin(pl.disp, o.size)
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

func (s *step) read(o operand) value {
	switch {
	case o.kind == register && o.high:
		return s.opaque(s.regs[o.reg].from)
	case o.kind == register:
		return s.regs[o.reg]
	case o.kind == immediate:
		return value{kind: constant, n: o.n}
	case o.inMemory():
		return s.load(o)
	}
	return s.opaque(0)
}

func (s *step) write(o operand, v value, done operation) {
	switch {
	case o.kind == register:
		if o.size < 4 {
			v = s.opaque(v.from | s.regs[o.reg].from) // the rest of the register stays
		}
		s.regs[o.reg] = v
	case o.inMemory():
		pl := s.place(o)
		if pl.plain && pl.base.kind == frame {
			kept := v
			if done != move {
				kept = s.opaque(v.from)
			}
			s.storeStack(pl.base.n, slot{kept, o.size})
		}
		if s.store != nil {
			if n, ok := s.seen.inPlace(v, pl); ok && done == move {
				done, v = or, value{kind: constant, n: n}
			}
			s.store(store{place: pl, at: s.in.at, op: done, size: o.size, src: v})
		}
	}
}

func (s *step) run() {
	for s.op = range s.in.ops {
		s.do(&s.in.ops[s.op])
	}
}

func (s *step) do(o *op) {
	var from origin
	for _, x := range o.src {
		if x.kind != absent && o.operation != address {
			from |= s.read(x).from
		}
	}
	if o.readsFlag {
		from |= s.flags
	}
	switch o.operation {
	case move:
		if x := o.src[0]; x.inMemory() && s.store != nil {
			s.seen.loaded[s.opaque(0)] = s.place(x)
		}
		s.write(o.dst, s.read(o.src[0]), move)
	case address:
		pl := s.place(o.src[0])
		from = pl.from
		v := s.opaque(from)
		switch {
		case !pl.plain:
		case pl.base.kind == constant || pl.base.kind == frame || pl.disp == 0:
			v = pl.base
		case pl.base.kind == argument:
			v = value{kind: inside, n: pl.base.n, at: pl.disp, from: from}
		}
		s.write(o.dst, v, move)
	case exchange:
		v, w := s.read(o.dst), s.read(o.src[0])
		s.write(o.dst, w, exchange)
		s.write(o.src[0], v, exchange)
	case compare:
	case forget:
		s.regs[o.dst.reg] = s.opaque(s.regs[o.dst.reg].from)
	default:
		if x := o.src[1]; o.operation == or && x.kind == immediate && s.store != nil {
			s.seen.ored[s.opaque(0)] = ored{s.read(o.src[0]), x.n}
		}
		v := s.opaque(from)
		if o.dst.inMemory() && o.src[1].kind != absent {
			v = s.read(o.src[1]) // what is applied to the memory
		}
		s.write(o.dst, v, o.operation)
	}
	if o.setsFlags {
		s.flags = from
	}
}

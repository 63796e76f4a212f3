package host

import (
	"errors"
	"fmt"
)

// Limits of what is traced; do_item_alloc has some 150 instructions in 30 blocks, do_store_item with all that LTO inlines
// into it some 1000.
const (
	maxTrace  = 4096    // instructions of a function
	widenFrom = 8       // rounds through all its blocks, after which values that still change are widened
	maxRounds = 64      // rounds in all
	maxWork   = 1 << 22 // instructions gone through and values joined, of all functions together; the same needs 200000
)

// call is a call, or a jump out of the function that takes its place.
type call struct {
	callee
	at    uint64
	entry bool // every way through the function begins with it, but for calls that stand before it
	tail  bool
	args  []value // what is passed or left over: in the registers for arguments, then on the stack
}

// stackArgs is how many arguments on the stack are looked at; store_item of x86-64 passes two on.
const stackArgs = 4

// exit is a return; result is what is where a result is, be it meant or left over.
type exit struct{ result value }

// trace is what a function does, as far as can be told without running it: which values go where.
type trace struct {
	calls  []call // by address
	stores []store
	exits  []exit
	err    error

	changes changes // while it is made
}

func newTrace() *trace {
	return &trace{changes: changes{loaded: make(map[value]place), ored: make(map[value]ored)}}
}

// traced returns the trace of a function of p.funcs.
func (p *program) traced(f function) *trace {
	if t, ok := p.traces[f.start]; ok {
		return t
	}
	t := p.traceBody(p.decoded(f))
	p.traces[f.start] = t
	return t
}

func (p *program) traceBody(b *body) *trace {
	t := newTrace()
	switch {
	case b.err != nil:
		t.err = b.err
	case len(b.insts) == 0:
		t.err = errors.New("no code")
	case len(b.insts) > maxTrace:
		t.err = fmt.Errorf("%d instructions", len(b.insts))
	}
	if t.err != nil {
		return t
	}
	w := &tracer{p: p, b: b, blockAt: make(map[int]int)}
	if t.err = w.split(); t.err != nil {
		return t
	}
	if t.err = w.settle(); t.err != nil {
		return t
	}
	t.err = w.report(t)
	t.changes = changes{}
	return t
}

// report goes through all blocks that are reached once more and keeps what is of interest.
func (w *tracer) report(t *trace) error {
	always := w.always()
	for n := range w.blocks {
		bl := &w.blocks[n]
		if bl.in == nil {
			continue
		}
		before := len(t.calls)
		w.walk(bl, bl.in, t)
		for i := before; i < len(t.calls); i++ {
			t.calls[i].entry = always[n]
		}
		if in := &w.b.insts[bl.last-1]; len(bl.next) == 0 && !in.ends() && in.flow != calling { // a last call does not return
			return fmt.Errorf("it runs on after its end at %#x", in.at)
		}
	}
	return nil
}

// walk carries s through a block; t, if given, is told of what happens on the way.
func (w *tracer) walk(bl *block, s *state, t *trace) {
	st := step{state: s, relro: w.p.relro}
	if t != nil {
		st.store = func(x store) { t.stores = append(t.stores, x) }
		st.seen = &t.changes
	}
	for n := bl.first; n < bl.last; n++ {
		in := &w.b.insts[n]
		st.in = in
		switch {
		case in.flow == calling:
			if t != nil {
				t.calls = append(t.calls, w.call(&st, false))
			}
			for _, r := range s.clobbered {
				s.regs[r] = value{kind: defined, n: int64(in.at), at: int64(r)}
			}
			s.regs[s.result] = value{kind: returned, n: int64(in.at)}
			s.flags = 0
		case in.flow == ret:
			if t != nil {
				t.exits = append(t.exits, exit{s.regs[s.result]})
			}
		case in.ends():
			to, ok := in.target()
			if t == nil || in.flow == trap || ok && w.b.has(to) {
				continue
			}
			t.calls = append(t.calls, w.call(&st, true))
		default:
			st.run()
		}
	}
}

// call notes where a call or a jump out of the function goes and what it passes.
func (w *tracer) call(s *step, tail bool) call {
	c := call{at: s.in.at, tail: tail, args: make([]value, 0, len(s.args)+stackArgs)}
	if to, ok := s.in.target(); ok {
		c.callee = w.p.direct(to)
	} else {
		c.callee = w.via(s)
	}
	for _, r := range s.args {
		c.args = append(c.args, s.regs[r])
	}
	sp := s.regs[s.sp]
	if tail {
		sp.n += s.above // where the caller has put them already
	}
	for n := range stackArgs {
		var v value
		if sp.kind == frame {
			v, _ = s.loadStack(sp.n+int64(n)*8, 8)
		}
		c.args = append(c.args, v)
	}
	return c
}

// via tells where a call goes that does not state it.
func (w *tracer) via(s *step) callee {
	if via := s.in.via; via.inMemory() {
		if pl := s.place(via); pl.plain && pl.base.kind == constant {
			return w.p.through(uint64(pl.base.n))
		}
		return callee{}
	}
	switch v := s.read(s.in.via); {
	case v.kind == global && v.size == 8:
		return w.p.through(uint64(v.n))
	case v.kind == constant:
		return w.p.direct(uint64(v.n))
	}
	return callee{}
}

package hot

// A tally counts the requests of a key or a prefix.
type tally struct{ requests, bytes, misses int64 }

func (t *tally) add(o *tally) {
	t.requests += o.requests
	t.bytes += o.bytes
	t.misses += o.misses
}

// pending are the requests since the last fold, by their keys as the log has them; and how many lines there were since the beginning.
type pending struct {
	places   map[string]int // of the keys' tallies
	tallies  []tally
	requests int64

	seen    uint64 // requests
	others  uint64 // lines of something else
	unsized bool   // some lines state no size
}

func newPending() pending { return pending{places: make(map[string]int)} }

// clear begins a new fold.
func (p *pending) clear() {
	clear(p.places)
	p.tallies = p.tallies[:0]
	p.requests = 0
}

// add counts a line.
func (p *pending) add(l *line) {
	if l.kind == other {
		p.others++
		return
	}
	place, ok := p.places[string(l.key)]
	if !ok {
		place = len(p.tallies)
		p.tallies = append(p.tallies, tally{})
		p.places[string(l.key)] = place
	}
	one := tally{requests: 1}
	size, stated := l.size()
	one.bytes, p.unsized = size, p.unsized || !stated
	if !l.found() {
		one.misses = 1
	}
	p.tallies[place].add(&one)
	p.requests++
	p.seen++
}

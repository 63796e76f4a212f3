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
	stores   bool           // the log has stores
	places   map[string]int // of the keys' tallies
	tallies  []tally
	requests int64
	lookups  map[int64]seen // the last one of each client

	seen    uint64 // requests
	own     uint64 // lookups that are part of a store
	others  uint64 // lines of something else
	unsized bool   // some lines state no size
}

// seen is a lookup that was counted.
type seen struct {
	place int
	line  tally // what it has added
}

func newPending(stores bool) pending {
	return pending{stores: stores, places: make(map[string]int), lookups: make(map[int64]seen)}
}

// clear begins a new fold.
func (p *pending) clear() {
	clear(p.places)
	clear(p.lookups)
	p.tallies = p.tallies[:0]
	p.requests = 0
}

// add counts a line. A store looks up its key before (memcached.c: do_store_item): that is no request of its own, and no miss.
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
	if l.kind == lookup && !l.found() {
		one.misses = 1
	}
	if p.stores {
		p.pair(l, place, one)
	}
	p.tallies[place].add(&one)
	p.requests++
	p.seen++
}

// pair takes back a client's last lookup if it belongs to this store.
func (p *pending) pair(l *line, place int, one tally) {
	client := l.client()
	if l.kind == lookup {
		p.lookups[client] = seen{place, one}
		return
	}
	if last, ok := p.lookups[client]; ok && last.place == place {
		p.tallies[place].add(&tally{-1, -last.line.bytes, -last.line.misses})
		p.requests--
		p.seen--
		p.own++
	}
	delete(p.lookups, client)
}

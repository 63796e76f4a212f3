package hot

import "hash/maphash"

// A sketch keeps the names with the largest sums of a stream in a fixed number of counters: Space-Saving (Metwally, Agrawal, El Abbadi:
// Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005), with weights. A name without a counter can take that with the
// smallest sum. Before, its sum is kept in a cell, which it shares with other names: Filtered Space-Saving (Homem, Carvalho: Finding top-k
// elements in data streams, 2010). When the cell's sum reaches the smallest one, the name gets the counter, and the cell that of the name
// that had it. A name's sum is at most its counter's with the cell's, and each name with a larger sum than the smallest counter has one.
type sketch struct {
	by    By
	names map[string]*counter
	heap  []*counter // the smallest sum is first
	limit int        // of counters
	cells []float64
	seed  maphash.Seed
}

// A counter has the sums of a name since it has the counter.
type counter struct {
	name string
	over float64 // of the cell: at most so much more is the name's
	sums
	at int // index in heap
}

// sums are estimates of what memcached served.
type sums struct {
	requests, bytes, misses float64

	// For the error: see result.go.
	square, cross, poisson float64
}

// of is the sum that is ranked.
func (s *sums) of(by By) float64 {
	switch by {
	case ByBytes:
		return s.bytes
	case ByMisses:
		return s.misses
	}
	return s.requests
}

func (s *sums) add(o *sums) {
	s.requests += o.requests
	s.bytes += o.bytes
	s.misses += o.misses
	s.square += o.square
	s.cross += o.cross
	s.poisson += o.poisson
}

// cellsPerCounter is how many cells there are for each counter: with more, fewer names need a counter.
const cellsPerCounter = 4

func newSketch(limit int, by By) *sketch {
	return &sketch{by: by, limit: limit, names: make(map[string]*counter), cells: make([]float64, cellsPerCounter*limit), seed: maphash.MakeSeed()}
}

// rank is what orders counters: an upper bound of the sum.
func (s *sketch) rank(c *counter) float64 { return c.over + c.of(s.by) }

// cell is the cell of a name.
func (s *sketch) cell(name string) *float64 {
	return &s.cells[maphash.String(s.seed, name)%uint64(len(s.cells))]
}

// add adds to the sums of a name.
func (s *sketch) add(name string, more *sums) {
	c := s.names[name]
	if c == nil {
		if more.of(s.by) == 0 {
			return
		}
		if c = s.take(name, more.of(s.by)); c == nil {
			return
		}
	}
	c.sums.add(more)
	s.down(c.at)
}

// take gives a name that has none a counter, or adds an amount to its cell and returns nil.
func (s *sketch) take(name string, amount float64) *counter {
	if len(s.heap) < s.limit {
		c := &counter{name: name, at: len(s.heap)}
		s.heap = append(s.heap, c)
		s.names[name] = c
		s.up(c.at)
		return c
	}
	c, cell := s.heap[0], s.cell(name)
	if *cell+amount < s.rank(c) {
		*cell += amount
		return nil
	}
	over := *cell
	delete(s.names, c.name)
	left := s.cell(c.name)
	*left = max(*left, s.rank(c))
	*c = counter{name: name, over: over}
	s.names[name] = c
	return c
}

func (s *sketch) less(i, j int) bool { return s.rank(s.heap[i]) < s.rank(s.heap[j]) }

func (s *sketch) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.heap[i].at, s.heap[j].at = i, j
}

// up and down move a counter to its place in the heap. Sums only grow.
func (s *sketch) up(i int) {
	for i > 0 && s.less(i, (i-1)/2) {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (s *sketch) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if s.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}

package hot

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Each name that has more than the smallest counter has a counter, and no sum is larger than its name's, nor smaller by more than it says.
func TestSketch(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		random := rand.New(rand.NewPCG(seed, 0))
		zipf := rand.NewZipf(random, 1.1, 5, 9999)
		s := newSketch(100, ByBytes)
		truth := make(map[string]float64)
		all := 0.0
		for range 50_000 {
			name, amount := fmt.Sprint(zipf.Uint64()), float64(random.IntN(100))
			truth[name] += amount
			all += amount
			s.add(name, &sums{requests: 1, bytes: amount})
		}
		if len(s.heap) != 100 || len(s.names) != 100 {
			t.Fatal(len(s.heap), len(s.names))
		}
		least := s.rank(s.heap[0])
		if least > all/100 {
			t.Errorf("the smallest of 100 counters has %g of %g", least, all)
		}
		for _, c := range s.heap {
			if s.rank(c) < least || s.heap[c.at] != c || s.names[c.name] != c {
				t.Errorf("%+v is out of place", c)
			}
			if c.bytes > truth[c.name] || s.rank(c) < truth[c.name] {
				t.Errorf("%s has %g to %g, and %g in truth", c.name, c.bytes, s.rank(c), truth[c.name])
			}
		}
		for name, sum := range truth {
			if sum > least && s.names[name] == nil {
				t.Errorf("%s has %g and no counter; the smallest has %g", name, sum, least)
			}
		}
	}
}

// A name without anything of what is ranked gets no counter, and loses none.
func TestSketchNothing(t *testing.T) {
	t.Parallel()
	s := newSketch(1, ByMisses)
	s.add("a", &sums{requests: 5})
	s.add("b", &sums{requests: 1, misses: 1})
	s.add("a", &sums{requests: 5})
	s.add("b", &sums{requests: 5})
	if c := s.names["b"]; len(s.names) != 1 || c == nil || c.requests != 6 || c.misses != 1 {
		t.Errorf("%+v", s.names)
	}
}

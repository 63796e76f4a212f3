package main

import (
	"math"
	"slices"
	"testing"
)

func TestRoundByRound(t *testing.T) {
	s := &section{}
	for _, v := range []float64{2, 6, 4} {
		s.add(once, doorFile, "s", v)
		s.add(once, protocolMS, "s", 12)
	}
	if got := faster(once, doorFile, protocolMS)(s); !slices.Equal(got, []float64{6, 2, 3}) {
		t.Errorf("ratios %v", got)
	}
	if got := median(s.values(once, doorFile)); got != 4 {
		t.Errorf("median %v", got)
	}
	if got := median([]float64{1, 4, 2, 3}); got != 2.5 {
		t.Errorf("median of an even number %v", got)
	}
	if got := middle(s.values(once, doorFile)); got != 2 {
		t.Errorf("round %d has the median", got)
	}
}

func TestNothingMeasured(t *testing.T) {
	for _, g := range goals {
		s := &section{Inputs: map[string]*input{half: {Rows: 1}, tenTimes: {Rows: 20}}}
		if got := g.measured(s); len(got) != 0 {
			t.Errorf("%s: %v", g.What, got)
		}
		if g.Bound.holds(math.NaN()) {
			t.Errorf("%s holds for nothing", g.What)
		}
	}
}

func TestBound(t *testing.T) {
	if b := atLeast(3); !b.holds(3) || b.holds(2.99) || b.String() != "≥ 3" {
		t.Errorf("%v", b)
	}
	if b := atMost(8, " MB"); !b.holds(8) || b.holds(8.01) || b.String() != "≤ 8 MB" {
		t.Errorf("%v", b)
	}
}

func TestDigits(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 0.0521274: "0.052", 0.9: "0.900", 1.23456: "1.23", 19: "19", 1234.5: "1234", -12.34: "-12.3",
	} {
		if got := digits(value); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
	for value, want := range map[float64]float64{0: 0, 1234567: 1234570, 0.00012345678: 0.000123457, -2: -2} {
		if got := rounded(value); got != want {
			t.Errorf("%v: %v, want %v", value, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{999: "999", 50_000: "50 000", 2_000_000: "2 million", 2_500_001: "2500001"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestHashpower(t *testing.T) {
	for items, want := range map[int]int{0: 16, 98_304: 16, 98_305: 17, 2_000_000: 21, 10_000_000: 23} {
		if got := hashpower(items); got != want {
			t.Errorf("%d: %d, want %d", items, got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	var at []float64
	for _, tick := range ticks(-0.9, 1.5) {
		at = append(at, tick.Value)
	}
	if want := []float64{-0.5, 0, 0.5, 1, 1.5}; !slices.Equal(at, want) {
		t.Errorf("ticks at %v, want %v", at, want)
	}
}

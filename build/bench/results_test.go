package main

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	if got, want := ticks(-0.9, 1.5), []float64{-0.5, 0, 0.5, 1, 1.5}; !slices.Equal(got, want) {
		t.Errorf("ticks at %v, want %v", got, want)
	}
	a := axis{logarithmic: true}
	a.include([]float64{120, 9000, 31})
	a.widen()
	if got, want := a.ticks(), []float64{10, 100, 1000, 10_000}; !slices.Equal(got, want) {
		t.Errorf("ticks at %v, want %v", got, want)
	}
}

var update = flag.Bool("update", false, "write the report and its plots anew, of the results that are there")

// The report and its plots are what the program makes of the results that it has kept.
func TestPublished(t *testing.T) {
	kept, err := readResults(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if *update {
		dir = "."
	}
	if err := kept.publish(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.md", "results.json", "speed.svg", "load.svg", "presized.svg", "live.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		want, wantErr := os.ReadFile(name)
		if err != nil || wantErr != nil || string(got) != string(want) {
			t.Errorf("%s: %v, %v: go test ./build/bench -run %s -update", name, err, wantErr, t.Name())
		}
	}
}

// What was not measured is called so, and is no curve and no bar.
func TestPlotsOfNothing(t *testing.T) {
	dir := t.TempDir()
	one := &section{Inputs: map[string]*input{once: {Rows: 2_000_000}}}
	one.add(once, doorFile, "s", 1)
	if _, err := (results{"load": one, "presized": one, "live": {}}).plot(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"speed.svg": 2, "load.svg": 3, "presized.svg": 4, "live.svg": 2} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(text), notMeasured); got != want || strings.Contains(string(text), `class="curve" stroke`) {
			t.Errorf("%s: %d series are not measured, want %d: %s", name, got, want, text)
		}
	}
}

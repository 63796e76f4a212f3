package limits

import (
	"math"
	"testing"
	"time"
)

// run submits as a load that always has rows does, whose batches take a time each, and counts the rows until the end.
func run(p *Pace, took, end time.Duration) (rows int) {
	start := time.Unix(1_000_000, 0)
	for now := start; ; {
		now = now.Add(p.Until(now, 0))
		if now.Sub(start) >= end {
			return rows
		}
		n := min(p.Rows, 8192)
		p.Submitted(now, n)
		rows += n
		now = now.Add(took)
		p.Finished(now)
	}
}

// TestRate: not more than the rate, and not less unless batches are late.
func TestRate(t *testing.T) {
	for _, rate := range []uint64{1, 7, 99, 100, 12_345, 1_000_000, 3_000_000} {
		const seconds = 10
		p := NewPace(Options{Rate: rate})
		most := int(rate*seconds) + p.Rows
		if rows := run(&p, 0, seconds*time.Second); rows > most || rows < int(rate*seconds)*99/100 {
			t.Errorf("%d rows a second: %d in %d s", rate, rows, seconds)
		}
		p = NewPace(Options{Rate: rate})
		if rows := run(&p, time.Millisecond, seconds*time.Second); rate < 1_000_000 && rows < int(rate*seconds)*99/100 {
			t.Errorf("%d rows a second, 1 ms a batch: %d in %d s", rate, rows, seconds)
		}
	}
}

// TestRateIsNotSaved: a load that had no input for a while does not make up for it.
func TestRateIsNotSaved(t *testing.T) {
	const rate = 1000
	p := NewPace(Options{Rate: rate})
	now := time.Unix(1_000_000, 0)
	p.Submitted(now, p.Rows)
	now = now.Add(time.Hour)
	rows := 0
	for ; p.Until(now, 0) == 0; rows += p.Rows {
		p.Submitted(now, p.Rows)
	}
	if most := int(rate*lagMax.Seconds()) + p.Rows; rows > most {
		t.Errorf("%d rows at once after an hour, want %d at most", rows, most)
	}
}

// TestGentle: one batch at a time, and a tenth of the time at most, whatever a batch takes.
func TestGentle(t *testing.T) {
	for _, took := range []time.Duration{50 * time.Microsecond, time.Millisecond, 100 * time.Millisecond} {
		p := NewPace(Options{Gentle: true})
		p.Submitted(time.Unix(1_000_000, 0), p.Rows)
		if wait := p.Until(time.Unix(1_000_000, 0), 1); wait != math.MaxInt64 {
			t.Errorf("a second batch may follow in %v", wait)
		}
		p = NewPace(Options{Gentle: true})
		batches := run(&p, took, 10*time.Second) / p.Rows
		if share := float64(batches) * took.Seconds() / 10; share > 0.11 {
			t.Errorf("batches of %v: %.2f of the time", took, share)
		}
		if batches == 0 {
			t.Errorf("batches of %v: none", took)
		}
	}
}

// TestNoPace: without limits nothing waits.
func TestNoPace(t *testing.T) {
	p := NewPace(Options{})
	now := time.Unix(1_000_000, 0)
	for range 10 {
		p.Submitted(now, 8192)
		if wait := p.Until(now, 1); wait != 0 {
			t.Fatalf("a batch waits for %v", wait)
		}
		p.Finished(now)
	}
	if p.Rows < 8192 || p.Reads() < 1<<20 {
		t.Errorf("batches of %d rows, reads of %d bytes", p.Rows, p.Reads())
	}
}

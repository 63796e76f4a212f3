package load

import (
	"math"
	"time"

	"memcached-backdoor/preload/limits"
)

const (
	// beats is how many batches a second a load with a rate has at least, if they
	// have more than one row: so it goes evenly.
	beats = 100
	// debt is how much time a load may make up for when it is late.
	debt = 50 * time.Millisecond

	// gentleRows is how many rows a gentle load stores in one go: some 50 µs of
	// a worker's time.
	gentleRows = 64
	// gentleRest is how long it rests after that at least, and gentleShare how many
	// times as long as it took.  It takes the longer the more memcached has to do.
	gentleRest  = time.Millisecond
	gentleShare = 9

	// readPerRow is how many bytes are read at once for each row of a batch that is
	// smaller than it could be: what is read beyond the batch is copied to the next.
	readPerRow = 128
)

// A pace says how many rows a batch has, and when the next one may be submitted.
type pace struct {
	rows   int           // of a batch, at most
	perRow time.Duration // time for a row; 0: no rate
	gentle bool

	next   time.Time // when the next batch may be submitted
	handed time.Time // when the last one was
}

// newPace makes the pace of a load with these limits.
func newPace(o limits.Options) pace {
	p := pace{rows: math.MaxInt, gentle: o.Gentle}
	if o.Rate > 0 {
		rate := min(o.Rate, uint64(time.Second))
		p.perRow = (time.Second + time.Duration(rate) - 1) / time.Duration(rate)
		p.rows = int(max(rate/beats, 1))
	}
	if o.Gentle {
		p.rows = min(p.rows, gentleRows)
	}
	return p
}

// reads is how many bytes may be read at once.
func (p *pace) reads() int {
	if p.rows >= math.MaxInt/readPerRow {
		return math.MaxInt
	}
	return max(p.rows*readPerRow, 4096)
}

// until is how long no batch may be submitted from now on; flying is how many are under
// way.  For ever is until one has come back.
func (p *pace) until(now time.Time, flying int) time.Duration {
	if p.gentle && flying > 0 {
		return math.MaxInt64
	}
	return max(p.next.Sub(now), 0)
}

// submitted counts a batch of so many rows.
func (p *pace) submitted(now time.Time, rows int) {
	p.handed = now
	if p.next.IsZero() {
		p.next = now // nobody has been late yet
	}
	if p.perRow > 0 {
		p.next = later(p.next, now.Add(-debt)).Add(time.Duration(rows) * p.perRow)
	}
}

// finished counts the return of a batch.
func (p *pace) finished(now time.Time) {
	if p.gentle {
		p.next = later(p.next, now.Add(max(gentleRest, gentleShare*now.Sub(p.handed))))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

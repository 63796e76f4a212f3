package limits

import (
	"math"
	"time"
)

const (
	// batchesPerSecond is how many batches per second a load with a rate has at least, as long as they have more
	// than one row: it stores evenly.
	batchesPerSecond = 100
	// lagMax is how much time a load that is late may make up for.
	lagMax = 50 * time.Millisecond

	// gentleRows is how many rows a batch of a gentle load has: about 50 µs of a worker's time.
	gentleRows = 64
	// gentleRest is how long a gentle load rests after a batch at least, and gentleShare how many times as long as
	// the batch took. A batch takes longer the more memcached has to do.
	gentleRest  = time.Millisecond
	gentleShare = 9

	// readPerRow is how many bytes are read at once for each row of a batch that is smaller than it could be: what
	// is read behind the batch is copied to the next one.
	readPerRow = 128
)

// A Pace says how many rows a batch has, and when the next one may be submitted.
type Pace struct {
	Rows   int           // of a batch, at most
	perRow time.Duration // time for a row; 0: no rate
	gentle bool

	next        time.Time // when the next batch may be submitted
	submittedAt time.Time // when the last one was
}

// NewPace makes the pace of a load with these limits.
func NewPace(o Options) Pace {
	p := Pace{Rows: math.MaxInt, gentle: o.Gentle}
	if o.Rate > 0 {
		rate := min(o.Rate, uint64(time.Second))
		p.perRow = (time.Second + time.Duration(rate) - 1) / time.Duration(rate)
		p.Rows = int(max(rate/batchesPerSecond, 1))
	}
	if o.Gentle {
		p.Rows = min(p.Rows, gentleRows)
	}
	return p
}

// Reads is how many bytes may be read at once.
func (p *Pace) Reads() int {
	if p.Rows >= math.MaxInt/readPerRow {
		return math.MaxInt
	}
	return max(p.Rows*readPerRow, 4096)
}

// Until is how long from now no batch may be submitted; inFlight is how many batches are. For ever means: until one of
// these has finished.
func (p *Pace) Until(now time.Time, inFlight int) time.Duration {
	if p.gentle && inFlight > 0 {
		return math.MaxInt64
	}
	return max(p.next.Sub(now), 0)
}

// Submitted notes that a batch was submitted.
func (p *Pace) Submitted(now time.Time, rows int) {
	p.submittedAt = now
	if p.next.IsZero() {
		p.next = now // the first batch is not late
	}
	if p.perRow > 0 {
		p.next = laterOf(p.next, now.Add(-lagMax)).Add(time.Duration(rows) * p.perRow)
	}
}

// Finished notes that a batch has finished.
func (p *Pace) Finished(now time.Time) {
	if p.gentle {
		p.next = laterOf(p.next, now.Add(max(gentleRest, gentleShare*now.Sub(p.submittedAt))))
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

package hot

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Result is what was found.
type Result struct {
	Keys     []Key
	Requests uint64  // that memcached has served, by its statistics
	Lines    uint64  // of the log that were read: Lines = Seen + Others
	Seen     uint64  // requests
	Others   uint64  // lines of something else
	Dropped  uint64  // lines for which memcached had no room
	Seconds  float64 // how long it took
	Paused   float64 // seconds of it in which no line was read: a job ran
	Unsized  bool    // the log does not state the sizes of values
}

// A Key is one of the first, or a prefix, with its figures per second.
type Key struct {
	Key                     []byte
	Requests, Bytes, Misses float64
	// Error is by how much the figure that is ranked may be wrong, with a probability of 5 % by more.
	Error float64
}

// result is what is known of the search so far.
type result struct {
	counters    Served    // as memcached has them
	reset       Served    // what they had when they were set to 0
	first, last Served    // their sums
	ended       time.Time // when last was asked for
	measured    time.Time // when the rate was measured
	served      uint64    // last.Requests then
	rate        float64   // requests in a second
	lines       uint64    // of the log that were read
	skipped     uint64    // lines that memcached has not sent
	paused      time.Duration

	folded uint64  // requests that memcached has served until the last fold
	scaled float64 // the sum of all estimates; folded if each fold had requests
	square float64 // the sum of (1 - 1/weight) * requests served, squared, of each fold
	folds  int
}

func (s *search) summary() Result {
	return Result{
		Requests: s.last.Requests - s.first.Requests,
		Lines:    s.lines, Seen: s.pending.seen, Others: s.pending.others,
		Dropped: s.skipped + s.last.Dropped - s.first.Dropped,
		Seconds: time.Since(s.began).Seconds(), Paused: s.paused.Seconds(), Unsized: s.pending.unsized,
	}
}

// report makes the result. The keys' sums are those of the folds; what was served in others is spread over all.
func (s *search) report() *Result {
	r := s.summary()
	first := slices.Clone(s.sketch.heap)
	// What a counter has counted itself is certain.
	slices.SortFunc(first, func(a, b *counter) int {
		return cmp.Or(cmp.Compare(b.of(s.options.By), a.of(s.options.By)), cmp.Compare(a.name, b.name))
	})
	seconds := s.ended.Sub(s.began).Seconds()
	if s.scaled == 0 || seconds <= 0 {
		return &r
	}
	rate := max(float64(r.Requests)/s.scaled, 1) / seconds
	for _, c := range first[:min(len(first), s.options.Count)] {
		key := []byte(c.name)
		if s.options.Parts == 0 {
			key = decode(c.name)
		}
		r.Keys = append(r.Keys, Key{
			Key: key, Requests: rate * c.requests, Bytes: rate * c.bytes, Misses: rate * c.misses,
			Error: rate * (c.over + 1.96*math.Sqrt(s.variance(c))),
		})
	}
	return &r
}

// variance is that of a counter's sum, as that of a ratio: in each fold one burst stands for all that was served, and the key's part of
// it may differ from the key's part of all (Cochran: Sampling Techniques, 1977, 6.3). It is at least that of requests that come at
// random, since few folds say little. What was logged without a gap has none.
func (s *search) variance(c *counter) float64 {
	part := c.of(s.options.By) / s.scaled
	spread := c.square - 2*part*c.cross + part*part*s.square
	if s.folds > 1 {
		spread *= float64(s.folds) / float64(s.folds-1)
	}
	return max(spread, c.poisson, 0)
}

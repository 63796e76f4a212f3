// Package hot finds the keys with the most requests, bytes or misses in memcached's log of requests, which it reads in bursts: to log a request
// costs memcached about as much as to serve one. What it has seen is scaled up to what memcached has served, by memcached's statistics.
package hot

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

const (
	// counters are how many keys, or prefixes, are counted at once: one that has more than 1/counters of all is among them. With the
	// longest keys they take 3 MB, since a byte of a key may have three in the log; more would be slower.
	counters = 4096
	// burstMost is how many lines a burst has at most, burstLeast if fewer are to be read: bursts are many rather than long, since what
	// clients ask for changes from moment to moment. Each costs memcached a connection.
	burstMost, burstLeast = 5000, 200
	// burstsPerSecond is about how many bursts there are if they are not as long as burstMost.
	burstsPerSecond = 5
	// foldAfter is how many requests are scaled up at least with the number that memcached has served meanwhile.
	foldAfter = 100
	// foldEvery is the time after which a burst that is not over is scaled up so far: often enough for the connection that asks for the
	// counters not to be idle (package protocol: idleLimit).
	foldEvery = 400 * time.Millisecond
	// rateAfter is the least time over which a rate is measured.
	rateAfter = 50 * time.Millisecond
	// tickLeast and tickMost are the time between two reads of the log, and tickLines about how many lines it is to have: memcached
	// keeps 256 KB, some 2500 lines, and to wake up for each of them would cost more than to read them.
	tickLeast, tickMost = time.Millisecond, 20 * time.Millisecond
	tickLines           = 1000
)

// search is a search at work.
type search struct {
	options Options
	hooks   Hooks
	log     Log
	turns   *Turns
	began   time.Time
	until   time.Time
	tick    time.Duration // until the next read of the log

	result
	sketch  *sketch
	pending pending
}

// Find reads the log for a time and returns what was found, also with an error. An [*option.Error] or [ErrSearching] is found before it
// begins.
func Find(log Log, turns *Turns, o Options, hooks Hooks) (*Result, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := turns.search(); err != nil {
		return nil, err
	}
	defer turns.searched()
	s := &search{
		options: o, hooks: hooks, log: log, turns: turns, tick: tickLeast, sketch: newSketch(counters, o.By), pending: newPending(),
	}
	s.began = time.Now()
	err := s.begin()
	if err != nil {
		return s.report(), err
	}
	for err == nil && time.Now().Before(s.until) {
		if err = s.keepsUp(); err == nil {
			err = s.burst()
		}
	}
	if folded := s.fold(true); err == nil {
		err = folded
	}
	return s.report(), err
}

// begin measures the rate of requests before the first burst.
func (s *search) begin() error {
	if err := s.ask(); err != nil {
		return err
	}
	s.first, s.began = s.last, s.ended
	if err := s.hooks.Pause(rateAfter); err != nil {
		return err
	}
	if err := s.ask(); err != nil {
		return err
	}
	s.first, s.began = s.last, s.ended
	s.until = s.began.Add(time.Duration(s.options.Duration * float64(time.Second)))
	return nil
}

// ask asks for the counters, and measures the rate of requests since the last time that it did so, if that is long enough ago to say
// something: what the clients of one tick ask for can be much more or less.
func (s *search) ask() error {
	served, err := s.log.Served()
	if err != nil {
		return err
	}
	// "stats reset" sets the counters to 0.
	if served.Requests < s.counters.Requests {
		s.reset.Requests += s.counters.Requests
	}
	if served.Dropped < s.counters.Dropped {
		s.reset.Dropped += s.counters.Dropped
	}
	s.counters = served
	s.last = Served{Requests: s.reset.Requests + served.Requests, Dropped: s.reset.Dropped + served.Dropped}
	s.ended = time.Now()
	if took := s.ended.Sub(s.measured); took >= rateAfter {
		s.rate = float64(s.last.Requests-s.served) / took.Seconds()
		s.measured, s.served = s.ended, s.last.Requests
	}
	return nil
}

// A TooBusy says that memcached serves more requests in a second than its log can keep up with.
type TooBusy struct{ Rate, Most float64 }

func (b *TooBusy) Error() string {
	return fmt.Sprintf("memcached serves %.0f requests/s, more than %.0f: its log could not keep up with them", b.Rate, b.Most)
}

// keepsUp returns an error if memcached serves too many requests for its log.
func (s *search) keepsUp() error {
	if time.Since(s.ended) > foldEvery { // there was a long pause
		if err := s.ask(); err != nil {
			return err
		}
	}
	if most := float64(s.log.RateMax()); most > 0 && s.rate > most {
		return &TooBusy{s.rate, most}
	}
	return nil
}

var errUnsized = option.Errorf("rank by requests or misses", "memcached's log states the sizes of values from 1.6.11 on")

// burst reads some lines of the log, and waits until the next ones are due. While there is a job, it only waits.
func (s *search) burst() error {
	if !s.turns.watch() {
		began := time.Now()
		err := s.pause(time.Second / burstsPerSecond)
		s.paused += time.Since(began)
		return err
	}
	paced, over, err := s.watch()
	if err != nil || !over {
		return err
	}
	if err := s.fold(false); err != nil {
		return err
	}
	// The pauses differ, so that they do not keep step with a client.
	return s.pause(time.Duration(2 * rand.Float64() * float64(s.early(paced))))
}

// watch reads the lines of a burst that is paced from a moment on. It is over if its watch has ended before the search.
func (s *search) watch() (paced moment, over bool, err error) {
	var w Watch
	closed := false
	defer func() { s.leave(w, closed) }()
	if w, err = s.log.Watch(); err != nil {
		return paced, false, err
	}
	quota := min(max(s.options.Sample/burstsPerSecond, burstLeast), burstMost)
	paced = s.now()
	folded := paced
	ended := false
	for {
		lines, err := w.Read()
		if err != nil {
			closed = true
			if err == io.EOF {
				err = nil
			}
			return paced, true, err
		}
		job, mixed := s.turns.now()
		if mixed {
			s.adapt(s.pass(lines))
		} else {
			s.adapt(s.count(lines))
		}
		// While fewer lines come than are to be read, a burst does not end.
		if !ended && (job || s.made()-paced.lines >= quota && s.early(paced) > 0) {
			if err := w.End(); err != nil {
				return paced, false, err
			}
			ended = true
		}
		if s.made()-folded.lines >= burstMost || time.Since(folded.at) >= foldEvery {
			if err := s.fold(false); err != nil {
				return paced, false, err
			}
			if folded = s.now(); !ended {
				paced = folded
			}
		}
		if err := s.hooks.Pause(s.tick); err != nil || time.Now().After(s.until) {
			return paced, false, err
		}
	}
}

// adapt makes the ticks longer or shorter after one with n lines.
func (s *search) adapt(n uint64) {
	if n > 3*tickLines/2 {
		s.tick = max(s.tick/2, tickLeast)
	} else if n < tickLines/2 {
		s.tick = min(2*s.tick, tickMost)
	}
}

// moment is a time, and how many lines memcached had made until then.
type moment struct {
	at    time.Time
	lines uint64
}

func (s *search) now() moment { return moment{time.Now(), s.made()} }

// made is how many lines memcached has made: those that it could not send have cost it as much.
func (s *search) made() uint64 { return s.lines + s.skipped }

// early is how much more time the lines that were made since a moment are to take; below 0: they have taken more.
func (s *search) early(since moment) time.Duration {
	due := time.Duration(float64(s.made()-since.lines) / float64(s.options.Sample) * float64(time.Second))
	return due - time.Since(since.at)
}

// pause waits, and shows the progress meanwhile.
func (s *search) pause(d time.Duration) error {
	until := time.Now().Add(min(d, time.Until(s.until)))
	for {
		rest := time.Until(until)
		if rest <= 0 {
			return nil
		}
		if err := s.hooks.Pause(min(rest, foldEvery)); err != nil {
			return err
		}
		s.progress()
	}
}

// leave ends what the burst has of its watch: nil if it has not begun. It does not wait for memcached to end it.
func (s *search) leave(w Watch, closed bool) {
	switch {
	case w == nil:
		s.turns.unwatch()
	case closed:
		w.Close()
		s.turns.unwatch()
	default:
		_ = w.End() // once more, if it was ended
		go drain(w, s.turns)
	}
}

// drain reads a watch until its end.
func drain(w Watch, turns *Turns) {
	defer func() { _ = recover() }() // a fault here must not end memcached
	defer turns.unwatch()
	defer w.Close()
	for tick := tickLeast; ; time.Sleep(tick) {
		lines, err := w.Read()
		if err != nil {
			return
		}
		if tick = min(2*tick, tickMost); len(lines) > 0 {
			tick = tickLeast
		}
	}
}

// pass passes over lines of the log that may be those of a job, and returns how many there were.
func (s *search) pass(lines []byte) uint64 {
	n := uint64(bytes.Count(lines, []byte("\n")))
	s.lines += n
	s.pending.others += n
	return n
}

// count counts lines of the log, and returns how many there were.
func (s *search) count(lines []byte) uint64 {
	before := s.lines
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		l := parse(lines[:end])
		lines = lines[end+1:]
		if l.kind == skipped {
			s.skipped += l.count
			continue
		}
		s.lines++
		s.pending.add(&l)
	}
	return s.lines - before
}

// fold adds the pending requests to the sums, scaled up to what memcached has served since the last time, if there are enough, or at
// the end.
func (s *search) fold(end bool) error {
	if err := s.ask(); err != nil {
		return err
	}
	if n := s.pending.requests; n > 0 && (end || n >= foldAfter) {
		s.scale(s.last.Requests - s.first.Requests - s.folded)
		s.pending.clear()
	}
	s.progress()
	if s.options.By == ByBytes && s.pending.unsized {
		return errUnsized
	}
	return nil
}

// scale adds the pending requests as what they stand for: all requests that were served meanwhile.
func (s *search) scale(served uint64) {
	weight := max(float64(served)/float64(s.pending.requests), 1)
	unseen := 1 - 1/weight
	s.folded += served
	s.scaled += weight * float64(s.pending.requests)
	s.square += unseen * float64(served) * float64(served)
	s.folds++
	if s.options.Parts == 0 {
		for key, place := range s.pending.places {
			s.scaleOne(key, &s.pending.tallies[place], weight, float64(served))
		}
		return
	}
	groups := make(map[string]*tally)
	for key, place := range s.pending.places {
		prefix := walk.Prefix(decode(key), s.options.Split, s.options.Parts)
		g := groups[string(prefix)]
		if g == nil {
			g = &tally{}
			groups[string(prefix)] = g
		}
		g.add(&s.pending.tallies[place])
	}
	for prefix, g := range groups {
		s.scaleOne(prefix, g, weight, float64(served))
	}
}

// scaleOne adds the requests of a key or a prefix, each of which stands for weight requests.
func (s *search) scaleOne(name string, t *tally, weight, served float64) {
	more := sums{requests: weight * float64(t.requests), bytes: weight * float64(t.bytes), misses: weight * float64(t.misses)}
	unseen, amount := 1-1/weight, more.of(s.options.By)
	more.square = unseen * amount * amount
	more.cross = unseen * amount * served
	if t.requests > 0 {
		more.poisson = unseen * amount * amount / float64(t.requests)
	}
	if s.options.By == ByMisses {
		more.poisson = unseen * weight * amount
	}
	s.sketch.add(name, &more)
}

// decode decodes a key of the log.
func decode(encoded string) []byte {
	key, err := walk.Decode([]byte(encoded))
	if err != nil {
		return []byte(encoded)
	}
	return key
}

func (s *search) progress() {
	if s.hooks.Progress != nil {
		r := s.summary()
		s.hooks.Progress(&r)
	}
}

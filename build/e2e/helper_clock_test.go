package e2e

import (
	"testing"
	"time"
)

// A clock is memcached's clock and the machine's at one moment, in seconds since 1970. memcached's is set from whole seconds when
// it starts, which makes a second between them, and then ticks once a second, later where it has no processor
// (memcached.c: clock_handler). The library counts as memcached would that ticks in time (cache/clock.c: clock_now).
type clock struct{ memcached, machine int64 }

func (s *server) clock() clock {
	s.t.Helper()
	return clock{int64(s.stat("", "time")), time.Now().Unix()}
}

// observe measures how far memcached's clock is from the machine's until done is called: lag has the most, and 1 at least, for
// the whole seconds.
func (s *server) observe() (done func()) {
	s.t.Helper()
	began := s.clock()
	return func() {
		s.t.Helper()
		now := s.clock()
		s.lag = max(1, s.lag, now.machine-began.memcached, now.memcached-began.machine)
	}
}

// inOneSecond asks again until memcached's clock has not ticked meanwhile, and says what that clock was.
func (s *server) inOneSecond(ask func()) (now int64) {
	s.t.Helper()
	for {
		began := s.clock().memcached
		ask()
		if now = s.clock().memcached; now == began {
			return now
		}
	}
}

// date is when an item expires by memcached's clock, in seconds since 1970; 0: never.
func (s *server) date(key string) int64 {
	s.t.Helper()
	var ttl int
	if now := s.inOneSecond(func() { ttl = s.metaTTL(key) }); ttl >= 0 {
		return now + int64(ttl)
	}
	return 0
}

// lasts holds the life of an item to a number of seconds, below 0 for ever, that it had when it was stored: after began,
// with this as its time to live, or with the date that this made at began.
func (s *server) lasts(key string, seconds int64, began clock) {
	s.t.Helper()
	date := s.date(key)
	if seconds < 0 {
		if date != 0 {
			s.t.Errorf("%s expires at %d, want never", key, date)
		}
		return
	}
	now := s.clock()
	earliest := min(began.memcached, began.machine-1) + seconds - (now.machine - began.machine)
	latest := max(now.memcached, now.machine+1) + seconds
	if date < earliest || date > latest {
		s.t.Errorf("%s expires at %d, want %d to %d: %d s after it was stored", key, date, earliest, latest, seconds)
	}
}

// same compares items. Their dates may differ by what the clocks do of the servers that they went through: each is named once
// for each store, dump and restore on the way.
func same(t testing.TB, what string, got, want map[string]entry, through ...*server) {
	t.Helper()
	var lag int64
	for _, s := range through {
		lag += s.lag
	}
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			t.Errorf("%s: %s is not there", what, key)
			continue
		}
		if g.value != w.value || g.flags != w.flags || (g.date == 0) != (w.date == 0) || max(g.date-w.date, w.date-g.date) > lag {
			t.Errorf("%s: %s is %d bytes %.30q, flags %d, date %d; want %d bytes %.30q, flags %d, date %d (%d s more or less)",
				what, key, len(g.value), g.value, g.flags, g.date, len(w.value), w.value, w.flags, w.date, lag)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d items, want %d", what, len(got), len(want))
	}
}

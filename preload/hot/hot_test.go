package hot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"memcached-backdoor/preload/option"
)

// A traffic is a memcached whose clients ask for keys: rate requests in a second, until some time after its beginning.
type traffic []struct {
	until time.Duration
	rate  float64
	key   func() string // of a request
}

// A cache is a memcached with traffic, in the time of a bubble.
type cache struct {
	traffic
	room  int // for lines of the log; more are dropped
	began time.Time
	err   error // of Watch

	turns  Turns
	beside func() // runs beside the search
	fault  bool   // the next read panics
	stuck  bool   // a watch does not end

	mu              sync.Mutex // a watch is drained while the rest is asked for
	served, dropped uint64
	watches, open   int
	watched         time.Duration
	log             []byte
	until           time.Time // the requests so far are made
	ending          bool
	job             bool // logs 1 M lookups in a second, which are not counted
}

func (c *cache) RateMax() uint64 { return 500_000 }

// serve makes the requests since the last time. The caller holds mu.
func (c *cache) serve() {
	now := time.Now()
	for step := c.until; step.Before(now); {
		next := step.Add(min(time.Millisecond, now.Sub(step)))
		for _, phase := range c.traffic {
			if step.Sub(c.began) >= phase.until {
				continue
			}
			n := int(phase.rate*next.Sub(c.began).Seconds()) - int(phase.rate*step.Sub(c.began).Seconds())
			c.served += uint64(n)
			key := phase.key
			if c.job {
				key, n = func() string { return "job" }, n+int(next.Sub(step).Seconds()*1e6)
			}
			for range n * c.open {
				if c.room > 0 && len(c.log) >= c.room*100 {
					c.dropped++
					continue
				}
				c.log = fmt.Appendf(c.log, "ts=1732740000.123456 gid=1234567 type=item_get key=%s status=not_found clsid=5 cfd=31 size=100\n", key())
			}
			break
		}
		step = next
	}
	c.watched += now.Sub(c.until) * time.Duration(c.open)
	c.until = now
}

func (c *cache) Served() (Served, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serve()
	return Served{Requests: c.served, Dropped: c.dropped}, nil
}

func (c *cache) Watch() (Watch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serve()
	if c.err != nil {
		return nil, c.err
	}
	c.watches++
	c.open++
	c.ending = false
	return c, nil
}

func (c *cache) Read() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serve()
	if c.fault {
		c.fault = false
		panic("fault")
	}
	lines := c.log
	c.log = nil
	if c.ending && !c.stuck {
		if len(lines) == 0 {
			return nil, io.EOF
		}
		c.open = 0
	}
	return lines, nil
}

func (c *cache) End() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	return nil
}

func (c *cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = 0
}

// find runs Find in a bubble.
func find(t *testing.T, c *cache, o Options, hooks Hooks) (r *Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.began = time.Now()
		c.until = c.began
		if hooks.Pause == nil {
			hooks.Pause = func(d time.Duration) error { time.Sleep(d); return nil }
		}
		var beside sync.WaitGroup
		if c.beside != nil {
			beside.Go(c.beside)
		}
		r, err = Find(c, &c.turns, o, hooks)
		beside.Wait()
		time.Sleep(time.Second) // a watch is drained meanwhile
		synctest.Wait()
		if c.open != 0 {
			t.Error("a watch is not closed")
		}
	})
	if r != nil && r.Lines != r.Seen+r.Others {
		t.Errorf("%+v", r)
	}
	return r, err
}

// zipf draws keys by Zipf's law of 1 M, and parts are their parts of all requests.
func zipf(seed uint64) (key func() string, part func(key string) float64) {
	const keys = 1_000_000
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), 1.01, 1, keys-1)
	all := 0.0
	for k := range keys {
		all += math.Pow(1+float64(k), -1.01)
	}
	return func() string { return fmt.Sprintf("key%%3A%d", z.Uint64()) }, func(key string) float64 {
		var k int
		fmt.Sscanf(key, "key:%d", &k)
		return math.Pow(1+float64(k), -1.01) / all
	}
}

// Of 200 000 requests a second, a tenth is looked at: the first keys are found, and their rates are as far from the true ones as is said,
// also when memcached drops half of its log.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 400} {
		key, part := zipf(uint64(room))
		c := &cache{traffic: traffic{{time.Hour, 200_000, key}}, room: room}
		r, err := find(t, c, Options{Count: 100, Sample: 20_000, Duration: 20}, Hooks{})
		if err != nil || len(r.Keys) != 100 || r.Requests < 4_000_000 || r.Requests > 4_040_000 || (r.Dropped > 0) != (room > 0) {
			t.Fatalf("%+v, %v", r, err)
		}
		if seen := float64(r.Seen) / float64(r.Requests); seen < 0.06 || seen > 0.14 {
			t.Errorf("%.3f of all requests were seen", seen)
		}
		off := 0
		for i, k := range r.Keys {
			truth := 200_000 * part(string(k.Key))
			if i < 10 && math.Abs(k.Requests-truth) > truth/10 {
				t.Errorf("%s: %.0f requests/s, and %.0f in truth", k.Key, k.Requests, truth)
			}
			if math.Abs(k.Requests-truth) > k.Error {
				off++
			}
			if k.Error > truth/2 || k.Bytes < 99*k.Requests || k.Misses != k.Requests {
				t.Errorf("%s of %.0f: %+v", k.Key, truth, k)
			}
		}
		// Where the last of the hundred are chosen by their figures, these are too large rather than too small.
		if off > 15 {
			t.Errorf("%d of 100 errors are larger than is said", off)
		}
		for i := range 10 {
			want := fmt.Sprintf("key:%d", i)
			if !slices.ContainsFunc(r.Keys[:14], func(k Key) bool { return string(k.Key) == want }) {
				t.Errorf("%s is not among the first", want)
			}
		}
	}
}

// What was served while more was asked for counts for more: the lines that are read are as many at all times. Only for the burst and the
// pause in which that changes it is not known what was served: at most 0.4 s of a pause, twice the 0.2 s that 2000 lines are to take, 0.1 s of
// the calm burst, and some ticks.
func TestFindPhases(t *testing.T) {
	t.Parallel()
	c := &cache{traffic: traffic{
		{10 * time.Second, 200_000, func() string { return "busy" }},
		{20 * time.Second, 20_000, func() string { return "calm" }},
	}}
	r, err := find(t, c, Options{Sample: 10_000, Duration: 20}, Hooks{})
	if err != nil || len(r.Keys) != 2 || string(r.Keys[0].Key) != "busy" {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, want := range []float64{100_000, 10_000} {
		if k := r.Keys[i]; math.Abs(k.Requests-want) > 0.6*200_000/20 {
			t.Errorf("%s: %.0f requests/s, and %.0f in truth", k.Key, k.Requests, want)
		}
	}
}

// Counters that are set to 0 meanwhile ("stats reset") do not make the figures wrong.
func TestFindReset(t *testing.T) {
	t.Parallel()
	c := &cache{traffic: traffic{{time.Hour, 50_000, func() string { return "a" }}}}
	c.beside = func() {
		for range 5 {
			time.Sleep(time.Second)
			c.mu.Lock()
			c.serve()
			c.served, c.dropped = 0, 0
			c.mu.Unlock()
		}
	}
	r, err := find(t, c, Options{Sample: 10_000, Duration: 10}, Hooks{})
	if err != nil || len(r.Keys) != 1 || r.Requests < r.Seen {
		t.Fatalf("%+v, %v", r, err)
	}
	// After each it is not known what was served since the counters were asked for: 0.4 s at most.
	if k := r.Keys[0]; k.Requests > 50_500 || k.Requests < 50_000*(10-5*0.4)/10 {
		t.Errorf("%.0f requests/s, and 50000 in truth", k.Requests)
	}
}

// A cache with few requests is looked at without a gap: the figures are exact.
func TestFindAll(t *testing.T) {
	t.Parallel()
	n := 0
	c := &cache{traffic: traffic{{time.Hour, 300, func() string { n++; return fmt.Sprint("key%3A", n%3, "%3A", n) }}}}
	r, err := find(t, c, Options{Duration: 30, Parts: 2, Split: ":", By: ByBytes}, Hooks{})
	if err != nil || len(r.Keys) != 3 || r.Seen < r.Requests-10 || c.watches > 2 {
		t.Fatalf("%+v, %v, %d watches", r, err, c.watches)
	}
	slices.SortFunc(r.Keys, func(a, b Key) int { return bytes.Compare(a.Key, b.Key) })
	for i, k := range r.Keys {
		if want := fmt.Sprint("key:", i, ":"); string(k.Key) != want {
			t.Errorf("%s, want %s", k.Key, want)
		}
		if math.Abs(k.Bytes-10_000) > 100 || k.Error > 100 {
			t.Errorf("%+v", k)
		}
	}
}

// What was found is returned when the client goes, and watches end with the search.
func TestFindEnds(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	shown := 0
	for _, after := range []int{2, 30, 1000} {
		pauses := 0
		c := &cache{traffic: traffic{{time.Hour, 50_000, func() string { return "a" }}}}
		r, err := find(t, c, Options{Duration: 3600}, Hooks{
			Pause: func(d time.Duration) error {
				time.Sleep(d)
				if pauses++; pauses > after {
					return gone
				}
				return nil
			},
			Progress: func(r *Result) { shown++ },
		})
		if err != gone || r == nil || len(r.Keys) != 1 || r.Keys[0].Requests < 45_000 || r.Keys[0].Requests > 55_000 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if shown == 0 {
		t.Error("there was no progress")
	}
	c := &cache{err: gone}
	if r, err := find(t, c, Options{}, Hooks{}); err != gone || r == nil || len(r.Keys) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := find(t, &cache{}, Options{Duration: 5}, Hooks{}); err != nil || len(r.Keys) != 0 || r.Requests != 0 || r.Seconds < 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A memcached whose log could not keep up is not watched.
func TestFindTooBusy(t *testing.T) {
	t.Parallel()
	key := func() string { return "a" }
	c := &cache{traffic: traffic{{time.Second, 400_000, key}, {time.Hour, 600_000, key}}}
	r, err := find(t, c, Options{Duration: 60, Sample: 10_000}, Hooks{})
	if e, ok := errors.AsType[*TooBusy](err); !ok || !near(e.Rate, 600_000) || r.Seconds > 3 || c.watches == 0 || c.watched > 500*time.Millisecond {
		t.Errorf("%+v, %v, %d watches", r, err, c.watches)
	}
	c = &cache{traffic: traffic{{time.Hour, 600_000, key}}}
	if _, err := find(t, c, Options{}, Hooks{}); !errors.As(err, new(*TooBusy)) || c.watches != 0 {
		t.Errorf("%v, %d watches", err, c.watches)
	}
}

// Requests that come in spikes are not too many if the log can keep up with them as a whole.
func TestFindSpikes(t *testing.T) {
	t.Parallel()
	c := &cache{}
	for i := range 3000 {
		rate := 380_000.0
		if i%12 < 3 {
			rate = 700_000
		}
		c.traffic = append(c.traffic, traffic{{time.Duration(i+1) * time.Millisecond, rate, func() string { return "a" }}}...)
	}
	if r, err := find(t, c, Options{Duration: 2.9, Sample: 25_000}, Hooks{}); err != nil || len(r.Keys) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// After a long pause the rate is that of the pause, not of the burst before.
func TestFindTooBusyAfterPause(t *testing.T) {
	t.Parallel()
	key := func() string { return "a" }
	c := &cache{traffic: traffic{{10 * time.Second, 100_000, key}, {time.Hour, 900_000, key}}}
	c.beside = c.jobs(t, 8*time.Second, 12*time.Second, 1)
	if _, err := find(t, c, Options{Duration: 60, Sample: 10_000}, Hooks{}); !errors.As(err, new(*TooBusy)) || c.watched > 8*time.Second {
		t.Errorf("%v, watched for %v", err, c.watched)
	}
}

func near(got, want float64) bool { return math.Abs(got-want) < want/4 }

// An option without a meaning is an error before memcached is asked anything.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{By: "x"}, {Count: 101}, {Count: -1}, {Duration: -1}, {Duration: math.NaN()}, {Duration: math.Inf(1)}, {Parts: 1}, {Split: ":"}, {Parts: -1, Split: ":"},
	} {
		if r, err := Find(nil, new(Turns), o, Hooks{}); r != nil || !errors.As(err, new(*option.Error)) {
			t.Errorf("%+v: %+v, %v", o, r, err)
		}
	}
}

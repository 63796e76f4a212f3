package hot

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// jobs makes native jobs of the library, each of which begins after a time and logs for a time.
func (c *cache) jobs(t *testing.T, after, during time.Duration, times int) func() {
	logging := func(on bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.serve()
		if c.job = on; on && c.open > 0 && !c.stuck {
			t.Error("a job begins to log while a watch is open")
		}
	}
	return func() {
		for range times {
			time.Sleep(after)
			done := c.turns.Job()
			logging(true)
			time.Sleep(during)
			logging(false)
			done()
		}
	}
}

// While a job of the library logs, nothing is looked at: the figures are those of clients.
func TestFindBesideJobs(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{200, 50_000} {
		c := &cache{traffic: traffic{{time.Hour, rate, func() string { return "client" }}}}
		c.beside = c.jobs(t, 1*time.Second, 2*time.Second, 3)
		r, err := find(t, c, Options{Sample: 10_000, Duration: 10}, Hooks{})
		if err != nil || len(r.Keys) != 1 || math.Abs(r.Keys[0].Requests-rate) > rate/10 || r.Others != 0 || r.Paused < 4.8 || r.Paused > 6.7 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	// A job that runs all the time leaves nothing to look at, and the search ends.
	c := &cache{traffic: traffic{{time.Hour, 200, func() string { return "client" }}}}
	c.beside = c.jobs(t, 0, 15*time.Second, 1)
	if r, err := find(t, c, Options{Duration: 10}, Hooks{}); err != nil || len(r.Keys) != 0 || r.Requests != 2000 || r.Paused < 9.9 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A job does not wait for ever for a watch that memcached does not end. What it logs is not counted.
func TestFindBesideJobWithWatch(t *testing.T) {
	t.Parallel()
	c := &cache{traffic: traffic{{time.Hour, 200, func() string { return "client" }}}}
	set := func(on bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.serve()
		c.job, c.stuck = on, on
	}
	var waited time.Duration
	c.beside = func() {
		time.Sleep(time.Second)
		c.mu.Lock()
		c.stuck = true
		c.mu.Unlock()
		began := time.Now()
		done := c.turns.Job()
		waited = time.Since(began)
		set(true)
		time.Sleep(time.Second)
		set(false)
		done()
	}
	r, err := find(t, c, Options{Duration: 10}, Hooks{})
	if err != nil || waited != watchPatience || len(r.Keys) != 1 || !near(r.Keys[0].Requests, 200) || r.Others < 900_000 {
		t.Errorf("%v, %+v, %v", waited, r, err)
	}
}

// There is one search at a time, until its watch has ended; also after a panic.
func TestFindOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cache{traffic: traffic{{time.Hour, 200, func() string { return "a" }}}, began: time.Now(), until: time.Now()}
		search := func(duration float64) error {
			_, err := Find(c, &c.turns, Options{Duration: duration}, Hooks{Pause: func(d time.Duration) error { time.Sleep(d); return nil }})
			return err
		}
		stuck := func(on bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.stuck = on
		}
		var first sync.WaitGroup
		first.Go(func() {
			if err := search(10); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		if err := search(1); err != ErrSearching {
			t.Errorf("%v beside another search", err)
		}
		stuck(true)
		first.Wait()
		if err := search(1); err != ErrSearching {
			t.Errorf("%v before the watch has ended", err)
		}
		time.AfterFunc(time.Second, func() { stuck(false) })
		if err := search(1); err != nil {
			t.Errorf("%v after the watch has ended", err)
		}
		time.Sleep(time.Second)
		c.mu.Lock()
		c.fault = true
		c.mu.Unlock()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("there was no panic")
				}
			}()
			_ = search(1)
		}()
		if err := search(1); err != nil {
			t.Errorf("%v after a panic", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.open != 0 {
			t.Error("a watch is not closed")
		}
	})
}

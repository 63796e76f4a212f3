package main

import (
	"fmt"
	"math"
	"os/exec"
	"time"
)

// The loads by the door beside which there is traffic.
const (
	doorPlain  = "door"
	doorGentle = "door, --gentle"
	doorAtRate = "door, --rate"
)

// busy is no load at all: what any process that wants a processor does to the traffic.
const busy = "a busy process, nothing loaded"

// What is measured of the traffic, and of the load.
const (
	baseP99  = "p99 before the load"
	loadP99  = "p99 during the load"
	loadTime = "load"
	loadRate = "rows"
)

// A load is watched so long at most: --gentle and --rate take as long as they are told to.
const (
	baseLasts = 3 * time.Second
	loadLasts = 5 * time.Second
)

// measureLive measures what other clients see of a load. Their latencies without a load differ from one memcached to
// the next, so that each has a phase before its load to be compared with, and there are twice as many rounds.
func measureLive(b *bench, s *section) error {
	in, err := b.input(s, fiveTimes)
	if err != nil {
		return err
	}
	rate, err := b.halfRate()
	if err != nil {
		return err
	}
	s.add("traffic", "requests", "/s", rate)
	alone, err := contenders[doorFile](b, in, nil)
	if err != nil {
		return err
	}
	tenth := fmt.Sprintf("%.0f", float64(in.Rows)/alone/10)
	loads := []struct {
		name  string
		start starter
		load  func(*server) *exec.Cmd
	}{
		{protocolMS, (*bench).startStock, func(m *server) *exec.Cmd { return m.protocol("ms", in) }},
		{busy, (*bench).startStock, func(*server) *exec.Cmd {
			return exec.CommandContext(b.ctx, "sh", "-c", "while :; do :; done")
		}},
		{doorPlain, loadLibrary, func(m *server) *exec.Cmd { return m.client("--json", "load", in.path) }},
		{doorGentle, loadLibrary, func(m *server) *exec.Cmd { return m.client("--json", "load", "--gentle", in.path) }},
		{doorAtRate, loadLibrary, func(m *server) *exec.Cmd { return m.client("--json", "load", "--rate", tenth, in.path) }},
	}
	windows := map[string][]*curve{}
	for range 2 * *rounds {
		for _, l := range loads {
			m, err := l.start(b)
			if err != nil {
				return err
			}
			c, err := m.disturb(s, l.name, rate, l.load(m))
			m.stop()
			if err != nil {
				return fmt.Errorf("traffic beside %s: %w", l.name, err)
			}
			windows[l.name] = append(windows[l.name], c)
		}
	}
	for _, name := range []string{protocolMS, doorPlain} {
		s.Curves = append(s.Curves, windows[name][middle(s.values(name, loadP99))])
	}
	return nil
}

// disturb measures the traffic before a load and during it, and returns the traffic's p99 over time; the load begins
// at 0.
func (s *server) disturb(to *section, name string, rate float64, load *exec.Cmd) (*curve, error) {
	t, err := s.traffic(rate)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	base, err := s.bench.run(t, baseLasts)
	if err != nil {
		return nil, err
	}
	before, err := s.stat("curr_items")
	if err != nil {
		return nil, err
	}
	j, err := begin(load)
	if err != nil {
		return nil, err
	}
	defer j.end()
	if err := j.wait(lasting(loadLasts)); err != nil {
		return nil, err
	}
	loaded, err := t.endPhase()
	if err != nil {
		return nil, err
	}
	after, err := s.stat("curr_items")
	if err != nil {
		return nil, err
	}
	took := loaded.end - loaded.start
	to.add(name, baseP99, "µs", base.p99)
	to.add(name, loadP99, "µs", loaded.p99)
	to.add(name, loadRate, "/s", float64(after-before)/took)
	to.add(name, loadTime, "s", took)
	c := &curve{Name: name}
	for _, w := range t.windows {
		// Where memcached has not answered at all there is no percentile.
		if w.p99 > 0 {
			c.add(w.end-loaded.start, w.p99)
		}
	}
	return c, nil
}

// middle is the round whose value is the median, or next to it.
func middle(values []float64) int {
	at := 0
	wanted := median(values)
	for i, v := range values {
		if math.Abs(v-wanted) < math.Abs(values[at]-wanted) {
			at = i
		}
	}
	return at
}

package main

import (
	"fmt"
	"slices"
	"time"
)

// The two that are compared while nothing is loaded.
const (
	without = "without the library"
	with    = "with the library"
)

// What is measured of both.
const (
	served    = "requests served"
	servedP99 = "p99 at half of that"
	wakeUps   = "wake-ups while idle"
	resident  = "resident memory"
	startTime = "start"
)

const (
	// starts is how often memcached is started in each round: a start takes some milliseconds.
	starts = 10
	// servings is how often the two serve requests for each round of the rest: that differs most.
	servings = 8
)

// A host is one of the two.
type host struct {
	name    string
	library string // what it preloads
	start   starter
}

// measureIdle compares a memcached that has the library, and its door, with a stock one.
func measureIdle(b *bench, s *section) error {
	rate, err := b.halfRate()
	if err != nil {
		return err
	}
	s.add("traffic", "requests", "/s", rate)
	hosts := []host{{without, "", (*bench).startStock}, {with, b.in("backdoor.so"), loadLibrary}}
	for range *rounds {
		for _, h := range hosts {
			if err := b.idle(s, h); err != nil {
				return fmt.Errorf("%s: %w", h.name, err)
			}
			took, err := b.startTime(h.library)
			if err != nil {
				return fmt.Errorf("%s: %w", h.name, err)
			}
			s.add(h.name, startTime, "ms", took)
		}
	}
	for range servings * *rounds {
		for _, h := range hosts {
			if err := b.serving(s, h, rate); err != nil {
				return fmt.Errorf("%s: %w", h.name, err)
			}
		}
		// Neither is always the one that comes after the other.
		slices.Reverse(hosts)
	}
	return nil
}

// idle measures a memcached that nobody uses.
func (b *bench) idle(s *section, h host) error {
	m, err := h.start(b)
	if err != nil {
		return err
	}
	defer m.stop()
	// What a start leaves to be done is not idling.
	if err := b.sleep(lasting(2 * time.Second)); err != nil {
		return err
	}
	rss, err := memory(m.pid(), "VmRSS")
	if err != nil {
		return err
	}
	before, err := switches(m.pid())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.sleep(lasting(5 * time.Second)); err != nil {
		return err
	}
	after, err := switches(m.pid())
	if err != nil {
		return err
	}
	s.add(h.name, resident, "MB", rss)
	s.add(h.name, wakeUps, "/s", (after-before)/time.Since(began).Seconds())
	return nil
}

// serving measures how a memcached serves the traffic.
func (b *bench) serving(s *section, h host, rate float64) error {
	m, err := h.start(b)
	if err != nil {
		return err
	}
	defer m.stop()
	closed, err := m.serve(0, time.Second)
	if err != nil {
		return err
	}
	open, err := m.serve(rate, time.Second)
	if err != nil {
		return err
	}
	s.add(h.name, served, "/s", closed.perSecond())
	s.add(h.name, servedP99, "µs", open.p99)
	return nil
}

// startTime is the median of the milliseconds from a memcached's exec to its first answer.
func (b *bench) startTime(library string) (float64, error) {
	var all []float64
	for range starts {
		s, err := b.launch(library, nil)
		if s, err = s.ready(err, (*server).waitServing); err != nil {
			return 0, err
		}
		all = append(all, float64(s.served.Sub(s.began))/float64(time.Millisecond))
		s.stop()
	}
	return median(all), nil
}

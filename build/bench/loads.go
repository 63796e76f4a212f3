package main

import (
	"fmt"
	"os/exec"
	"time"
)

// A turn is one load of each round.
type turn struct{ input, contender string }

// measureLoad compares the ways to load into a memcached as it is started by default.
func measureLoad(b *bench, s *section) error {
	turns := []turn{
		{half, doorFile},
		{once, protocolMS}, {once, protocolSet}, {once, doorFile}, {once, doorPipe},
		{fiveTimes, protocolMS}, {fiveTimes, doorFile},
		{tenTimes, protocolMS}, {tenTimes, doorFile},
	}
	if err := b.alternate(s, turns, nil); err != nil {
		return err
	}
	return b.watchLoads(s)
}

// measurePresized compares them where memcached's hash table need not grow, with the loop in C as well.
func measurePresized(b *bench, s *section) error {
	return b.alternate(s, []turn{
		{once, loopC}, {once, protocolMS}, {once, doorFile},
		{once, doorUnlocated}, {once, doorPipe}, {once, doorDefault},
	}, (*input).presized)
}

// measureValues does so for values that are large enough for copying them to matter.
func measureValues(b *bench, s *section) error {
	return b.alternate(s, []turn{
		{large, loopC}, {large, doorFile}, {large, doorPipe},
		{larger, loopC}, {larger, doorFile}, {larger, doorPipe},
	}, (*input).presized)
}

// measureFormats compares the formats in which the same rows can be written.
func measureFormats(b *bench, s *section) error {
	return b.alternate(s, []turn{
		{marked, asRaw}, {marked, asMySQL}, {marked, asPSQL}, {marked, asCSV}, {marked, asTSV}, {marked, asJSONL}, {marked, asMemcached},
		{marked, asCSVObject},
	}, (*input).presized)
}

// alternate lets the turns follow each other in each round, each with a memcached of its own with these arguments.
func (b *bench) alternate(s *section, turns []turn, args func(*input) []string) error {
	for range *rounds {
		for _, t := range turns {
			in, err := b.input(s, t.input)
			if err != nil {
				return err
			}
			var with []string
			if args != nil {
				with = args(in)
			}
			took, err := contenders[t.contender](b, in, with)
			if err != nil {
				return fmt.Errorf("%s rows, %s: %w", t.input, t.contender, err)
			}
			s.add(t.input, t.contender, "s", took)
		}
	}
	return nil
}

// watchLoads records the rows over time of two further loads; looking on might slow down the ones that are timed.
func (b *bench) watchLoads(s *section) error {
	in, err := b.input(s, fiveTimes)
	if err != nil {
		return err
	}
	for _, watched := range []struct {
		name  string
		start starter
		load  func(*server) *exec.Cmd
	}{
		{protocolMS, (*bench).startStock, func(m *server) *exec.Cmd { return m.protocol("ms", in) }},
		{doorFile, loadLibrary, func(m *server) *exec.Cmd { return m.client("--json", "load", in.path) }},
	} {
		m, err := watched.start(b)
		if err != nil {
			return err
		}
		c, err := m.watch(watched.load(m))
		m.stop()
		if err != nil {
			return fmt.Errorf("watched load by %s: %w", watched.name, err)
		}
		c.Name = watched.name
		s.Curves = append(s.Curves, c)
	}
	return nil
}

// watch runs a load and asks memcached for its number of items meanwhile, on one connection.
func (s *server) watch(load *exec.Cmd) (*curve, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	began := time.Now()
	j, err := begin(load)
	if err != nil {
		return nil, err
	}
	c := &curve{}
	return c, j.watch(100*time.Millisecond, func() error {
		items, err := stat(conn, "curr_items")
		c.add(time.Since(began).Seconds(), float64(items))
		return err
	})
}

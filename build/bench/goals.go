package main

import (
	"fmt"
	"math"
	"slices"
)

// A goal is a bound for the median of what the rounds say.
type goal struct {
	Section  string
	What     string
	input    string // whose number of rows is told, or ""
	Bound    bound
	measured func(*section) []float64 // for each round
}

// A bound is the least or the most that is wanted.
type bound struct {
	atMost bool
	limit  float64
	unit   string
}

func atLeast(limit float64) bound             { return bound{limit: limit} }
func atMost(limit float64, unit string) bound { return bound{atMost: true, limit: limit, unit: unit} }

func (b bound) String() string {
	if b.atMost {
		return fmt.Sprintf("≤ %g%s", b.limit, b.unit)
	}
	return fmt.Sprintf("≥ %g%s", b.limit, b.unit)
}

func (b bound) holds(value float64) bool {
	if math.IsNaN(value) {
		return false
	}
	return b.atMost && value <= b.limit || !b.atMost && value >= b.limit
}

// goals are what the library is to reach. A load's speed is compared as rows, or bytes, in the same time.
var goals = []goal{
	{"load", "door against ms q", once, atLeast(3), faster(once, doorFile, protocolMS)},
	{"load", "door against ms q", fiveTimes, atLeast(3), faster(fiveTimes, doorFile, protocolMS)},
	{"load", "door against ms q", tenTimes, atLeast(3), faster(tenTimes, doorFile, protocolMS)},
	{"load", "door, time per row, against that of a twentieth", tenTimes, atMost(1.3, ""), slowdown},
	{"presized", "door against ms q", once, atLeast(2), faster(once, doorFile, protocolMS)},
	{"presized", "time into a default table against this one", once, atMost(1.2, ""), faster(once, doorFile, doorDefault)},
	{"presized", "door without prefetching against the loop", once, atLeast(0.95), faster(once, doorUnlocated, loopC)},
	{"presized", "door against the loop", once, atLeast(1.25), faster(once, doorFile, loopC)},
	{"values", "values of 4 KB: door by file against the loop", "", atLeast(0.9), faster(large, doorFile, loopC)},
	{"values", "values of 4 KB: door by pipe against the loop", "", atLeast(0.9), faster(large, doorPipe, loopC)},
	{"values", "values of 4 KB: door, pipe against file", "", atLeast(0.9), faster(large, doorPipe, doorFile)},
	{"values", "values of 100 KB: door by file against the loop", "", atLeast(0.9), faster(larger, doorFile, loopC)},
	{"values", "values of 100 KB: door by pipe against the loop", "", atLeast(0.9), faster(larger, doorPipe, loopC)},
	{"values", "values of 100 KB: door, pipe against file", "", atLeast(0.9), faster(larger, doorPipe, doorFile)},
	{"formats", "mysql, time against raw's", marked, atMost(3, ""), slower(asMySQL)},
	{"formats", "psql, time against raw's", marked, atMost(3, ""), slower(asPSQL)},
	{"formats", "csv, time against raw's", marked, atMost(3, ""), slower(asCSV)},
	{"formats", "tsv, time against raw's", marked, atMost(3, ""), slower(asTSV)},
	{"formats", "jsonl, time against raw's", marked, atMost(3, ""), slower(asJSONL)},
	{"formats", "memcached, time against raw's", marked, atMost(3, ""), slower(asMemcached)},
	{"formats", "csv to objects, time against raw's", marked, atMost(3, ""), slower(asCSVObject)},
	{"dump", "dump to a file against memcached-tool", twentieth, atLeast(20), faster(twentieth, dumpFile, dumpTool)},
	{"dump", "dump to a file against list and mg by the protocol", once, atLeast(2), faster(once, dumpFile, dumpProtocol)},
	{"dump", "values of 100 KB: dump to a file against the same", "", atLeast(2), faster(larger, dumpFile, dumpProtocol)},
	{"dump", "restore, time against a load's of the same rows as raw", once, atMost(1.5, ""), faster(once, doorFile, restoreFile)},
	{"dump", "p99 during dumps against before them", "", atMost(2, ""), againstBase(besideDump)},
	{"dump", "p99 during deletes against during dumps", "", atMost(1, ""), func(s *section) []float64 {
		return ratios(s.values(besideDelete, loadP99), s.values(besideDump, loadP99))
	}},
	{"live", "p99 during a load by the door against before it", "", atMost(2, ""), againstBase(doorPlain)},
	{"live", "the same with --gentle", "", atMost(2, ""), againstBase(doorGentle)},
	{"live", "the same with --rate", "", atMost(2, ""), againstBase(doorAtRate)},
	{"live", "p99 during a load by the door against by ms q", "", atMost(1, ""), againstProtocol(doorPlain)},
	{"live", "the same with --gentle", "", atMost(1, ""), againstProtocol(doorGentle)},
	{"live", "the same with --rate", "", atMost(1, ""), againstProtocol(doorAtRate)},
	{"idle", "requests served, with the library against without", "", atLeast(0.99), func(s *section) []float64 {
		return ratios(s.values(with, served), s.values(without, served))
	}},
	{"idle", "p99 without the library against with it", "", atLeast(0.99), func(s *section) []float64 {
		return ratios(s.values(without, servedP99), s.values(with, servedP99))
	}},
	{"idle", "resident memory more than without", "", atMost(8, " MB"), more(resident)},
	{"idle", "start later than without", "", atMost(15, " ms"), more(startTime)},
	{"memory", "peak during a load beyond the items", "", atMost(32, " MB"), func(s *section) []float64 {
		return differences(s.values(doorFile, peakMemory), s.values(protocolMS, afterMemory))
	}},
}

// faster compares how much of an input two contenders load in the same time.
func faster(input, one, other string) func(*section) []float64 {
	return func(s *section) []float64 { return ratios(s.values(input, other), s.values(input, one)) }
}

// slower compares the time of a format with that of raw, the same rows as they are stored.
func slower(format string) func(*section) []float64 { return faster(marked, asRaw, format) }

// slowdown compares the door's time per row of the most rows and of the fewest.
func slowdown(s *section) []float64 {
	most, fewest := s.Inputs[tenTimes], s.Inputs[half]
	perRow := ratios(s.values(tenTimes, doorFile), s.values(half, doorFile))
	for i := range perRow {
		perRow[i] *= float64(fewest.Rows) / float64(most.Rows)
	}
	return perRow
}

// againstBase compares the traffic's latency beside a load with that before it, of the same memcached.
func againstBase(load string) func(*section) []float64 {
	return func(s *section) []float64 { return ratios(s.values(load, loadP99), s.values(load, baseP99)) }
}

// againstProtocol compares the traffic's latency beside two loads.
func againstProtocol(load string) func(*section) []float64 {
	return func(s *section) []float64 { return ratios(s.values(load, loadP99), s.values(protocolMS, loadP99)) }
}

// more is what something is beyond a memcached without the library.
func more(what string) func(*section) []float64 {
	return func(s *section) []float64 { return differences(s.values(with, what), s.values(without, what)) }
}

// A verdict is a goal and what was measured of it.
type verdict struct {
	goal
	Median, Least, Most float64
}

// Reached says whether the median is what is wanted.
func (v verdict) Reached() string {
	if v.Bound.holds(v.Median) {
		return "yes"
	}
	return "**no**"
}

// Spread is the least and the most of a round.
func (v verdict) Spread() string { return spread(v.Least, v.Most) }

// judge looks at the goals of the sections that have been measured.
func (r results) judge() []verdict {
	var all []verdict
	for _, g := range goals {
		s := r[g.Section]
		if s == nil {
			continue
		}
		if in := s.Inputs[g.input]; in != nil {
			g.What += ", " + count(in.Rows) + " rows"
		}
		if values := g.measured(s); len(values) > 0 {
			all = append(all, verdict{g, median(values), slices.Min(values), slices.Max(values)})
		}
	}
	return all
}

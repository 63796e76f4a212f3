package main

import (
	"fmt"
	"sort"
)

// A histogram counts items by a time in seconds, with bounds that a person would name.
type histogram struct {
	bins  [len(histogramBounds) + 1]bin // the last: times from the last bound on
	never bin                           // items without such a time
}

// bin are the items between two bounds.
type bin struct{ keys, bytes, memory uint64 }

const (
	minuteSeconds = 60
	hourSeconds   = 60 * minuteSeconds
	daySeconds    = 24 * hourSeconds
)

// histogramBounds are the ends of the bins, in seconds: the next bin begins there.
var histogramBounds = [...]int64{
	10, 30, minuteSeconds, 2 * minuteSeconds, 5 * minuteSeconds, 10 * minuteSeconds, 20 * minuteSeconds, 30 * minuteSeconds,
	hourSeconds, 2 * hourSeconds, 4 * hourSeconds, 8 * hourSeconds, 12 * hourSeconds,
	daySeconds, 2 * daySeconds, 4 * daySeconds, 7 * daySeconds, 14 * daySeconds, 30 * daySeconds, 90 * daySeconds, 365 * daySeconds,
}

func (b *bin) add(o bin) {
	b.keys += o.keys
	b.bytes += o.bytes
	b.memory += o.memory
}

// add adds items with a time.
func (h *histogram) add(seconds int64, items bin) {
	h.bins[sort.Search(len(histogramBounds), func(i int) bool { return seconds < histogramBounds[i] })].add(items)
}

// all are the sums of all items.
func (h *histogram) all() (sum bin) {
	for _, b := range h.bins {
		sum.add(b)
	}
	sum.add(h.never)
	return sum
}

// timeBin is a bin with its bounds.
type timeBin struct {
	from, to int64 // in seconds; to is 0 if there is no bound
	bin
	left bin // those of later bins, and those without a time
}

// name is what its times are.
func (b *timeBin) name() string {
	switch {
	case b.from == 0:
		return "under " + span(b.to)
	case b.to == 0:
		return span(b.from) + " or more"
	}
	return fmt.Sprintf("%s to %s", span(b.from), span(b.to))
}

// shown are the bins from the first to the last that has items.
func (h *histogram) shown() []timeBin {
	left := h.all()
	var all []timeBin
	last := 0
	for i, b := range h.bins {
		t := timeBin{bin: b}
		if i > 0 {
			t.from = histogramBounds[i-1]
		}
		if i < len(histogramBounds) {
			t.to = histogramBounds[i]
		}
		left.keys -= b.keys
		left.bytes -= b.bytes
		left.memory -= b.memory
		t.left = left
		if b.keys == 0 && len(all) == 0 {
			continue
		}
		all = append(all, t)
		if b.keys > 0 {
			last = len(all)
		}
	}
	return all[:last]
}

// within is the bound within which a part of the memory, up to 1, has passed; 0: none is that.
func (h *histogram) within(part float64) int64 {
	all := h.all().memory
	passed := uint64(0)
	for i := range histogramBounds {
		passed += h.bins[i].memory
		if all > 0 && float64(passed) >= part*float64(all) {
			return histogramBounds[i]
		}
	}
	return 0
}

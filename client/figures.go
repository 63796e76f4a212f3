package main

import (
	"fmt"
	"strings"

	"memcached-backdoor/preload/door"
)

// figures are the lines of memcached's own statistics, with "" for what is not known.
func figures(s *door.Status) [][2]string {
	f := s.Stats
	if f == nil {
		if s.StatsReason == "" {
			return nil // they were not asked for
		}
		return [][2]string{{"statistics", "not known: " + s.StatsReason}}
	}
	return [][2]string{
		{"items", text(f.Items)},
		{"memory", memoryLine(f)},
		{"hit rate", hitsLine(f)},
		{"evictions", text(f.Evictions)},
		{"oldest item", oldestLine(f)},
		{"connections", connectionsLine(f)},
		{"hash table", tableLine(f)},
	}
}

// text is a number, "" if it is not known.
func text(n *uint64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

// memoryLine is the memory of the items. Pages are full earlier than items are: a chunk has room for the largest item of
// its class.
func memoryLine(f *door.Stats) string {
	if f.Bytes == nil {
		return ""
	}
	s := size(*f.Bytes)
	if f.Limit != nil && *f.Limit > 0 {
		s += fmt.Sprintf(" of %s (%s)", size(*f.Limit), percent(*f.Bytes, *f.Limit))
	}
	if f.Pages != nil {
		s += fmt.Sprintf(", %s in pages", size(*f.Pages))
	}
	return s
}

func hitsLine(f *door.Stats) string {
	switch {
	case f.Hits == nil || f.Misses == nil:
		return ""
	case *f.Hits+*f.Misses == 0:
		return "nothing was asked for yet"
	}
	gets := *f.Hits + *f.Misses
	return fmt.Sprintf("%s of %s", percent(*f.Hits, gets), door.Count(gets, "get"))
}

func oldestLine(f *door.Stats) string {
	if f.Oldest == nil {
		return ""
	}
	return span(int64(min(*f.Oldest, 1<<32)))
}

func connectionsLine(f *door.Stats) string {
	s := text(f.Connections)
	if s != "" && f.MaxConnections != nil {
		s += fmt.Sprintf(" of %d", *f.MaxConnections)
	}
	return s
}

func tableLine(f *door.Stats) string {
	if f.Items == nil || f.Buckets == nil {
		return ""
	}
	s := fmt.Sprintf("%s in %s (%s)", door.Count(*f.Items, "item"), door.Count(*f.Buckets, "bucket"), percent(*f.Items, *f.Buckets))
	if f.Growing != nil && *f.Growing {
		s += ", growing"
	}
	return s
}

// rates is what has happened between two statuses, each second. What is not known is nil.
type rates struct {
	Seconds   float64  `json:"seconds"` // between them
	Gets      *float64 `json:"gets,omitempty"`
	HitRate   *float64 `json:"hit_rate,omitempty"` // from 0 to 1; absent also if there was no get
	Sets      *float64 `json:"sets,omitempty"`
	Evictions *float64 `json:"evictions,omitempty"`
}

// ratesOf compares two statuses of the same memcached; nil: they cannot be compared.
func ratesOf(before, now *door.Status) *rates {
	if before == nil || before.Stats == nil || now.Stats == nil || before.PID != now.PID || now.Uptime <= before.Uptime {
		return nil
	}
	r := &rates{Seconds: now.Uptime - before.Uptime}
	a, b := before.Stats, now.Stats
	r.Gets = r.rate(a.Gets, b.Gets)
	r.Sets = r.rate(a.Sets, b.Sets)
	r.Evictions = r.rate(a.Evictions, b.Evictions)
	hits, misses := r.rate(a.Hits, b.Hits), r.rate(a.Misses, b.Misses)
	if hits != nil && misses != nil && *hits+*misses > 0 {
		part := *hits / (*hits + *misses)
		r.HitRate = &part
	}
	return r
}

// rate is how much a counter has grown each second; nil: it is not known, or was reset meanwhile ("stats reset").
func (r *rates) rate(before, now *uint64) *float64 {
	if before == nil || now == nil || *now < *before {
		return nil
	}
	each := float64(*now-*before) / r.Seconds
	return &each
}

// text is the line of the rates.
func (r *rates) text() string {
	if r == nil {
		return ""
	}
	var fields []string
	add := func(rate *float64, what string) {
		if rate != nil {
			fields = append(fields, fmt.Sprintf("%.0f %s", *rate, what))
		}
	}
	add(r.Gets, "gets/s")
	if r.HitRate != nil {
		fields = append(fields, percentOf(*r.HitRate)+" hits")
	}
	add(r.Sets, "sets/s")
	add(r.Evictions, "evictions/s")
	return strings.Join(fields, ", ")
}

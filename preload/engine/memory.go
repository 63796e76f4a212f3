package engine

import (
	"math"
	"strconv"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/slabs"
)

// Memory asks memcached by protocol how its memory is divided.
func (e *Engine) Memory() (*slabs.Memory, error) {
	m, _, err := e.memory()
	return m, err
}

func (e *Engine) memory() (*slabs.Memory, slabs.Stats, error) {
	answers, err := protocol.Ask(e.listening)
	if err != nil {
		return nil, slabs.Stats{}, err
	}
	stats := slabs.Stats{General: answers[0], Settings: answers[1], Slabs: answers[2]}
	m, err := slabs.New(stats)
	return m, stats, err
}

// Gone are rows that were stored and are no longer in the cache.
type Gone struct {
	Rows      uint64
	Exact     bool   // else Rows is estimated from a sample
	Megabytes uint64 // the -m that would have held all rows; 0: not known
	Unknown   string // the reason for that
}

// Gone returns how many of the rows that were stored are gone; nil if none is, or if they cannot be looked for, which
// does not make the load fail: memcached may be stopping.
func (e *Engine) Gone(store batch.Store, sample *load.Sample, stored uint64) *Gone {
	g, err := sample.Look(store)
	if err != nil || g == nil || g.Missing == 0 {
		return nil
	}
	return e.Needed(store, g, stored)
}

// margin is the factor by which -m is larger than what was counted: for the sample's error, and for pages that are
// divided differently.
const margin = 1.03

// Needed returns how many of stored rows are gone, and the -m that would have held them.
func (e *Engine) Needed(store batch.Store, g *load.Gone, stored uint64) *Gone {
	part := float64(g.Missing) / float64(g.Looked)
	gone := &Gone{Rows: uint64(math.Round(float64(stored) * part)), Exact: g.All && g.Looked == stored}
	m, stats, err := e.memory()
	if err != nil {
		gone.Unknown = err.Error()
		return gone
	}
	if stats.General["evictions"] == "0" {
		gone.Unknown = "memcached has evicted nothing: they were deleted or flushed, or have expired"
		return gone
	}
	// Each row that was looked for represents several.
	m.Clear()
	each := float64(stored) / float64(len(g.Rows))
	left := 0.0 // bytes of the load's items
	for _, row := range g.Rows {
		size := store.ItemSize(row.NKey, row.Flags, row.NValue)
		m.Add(size, 1)
		left += float64(size) * each * (1 - part)
	}
	m.Multiply(each)
	bytes, _ := strconv.ParseFloat(stats.General["bytes"], 64)
	others := max(bytes-left, 0)
	gone.Megabytes = uint64(math.Ceil((float64(m.Needed()) + others) * margin / (1 << 20)))
	return gone
}

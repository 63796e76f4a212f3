package main

import (
	"math"
	"strconv"
	"strings"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/slabs"
)

// memory asks memcached, as any client can, how its memory is divided.
func (e *engine) memory() (*slabs.Memory, slabs.Stats, error) {
	answers, err := protocol.Ask(e.listening)
	if err != nil {
		return nil, slabs.Stats{}, err
	}
	stats := slabs.Stats{General: answers[0], Settings: answers[1], Slabs: answers[2]}
	m, err := slabs.New(stats)
	return m, stats, err
}

// unknown is what a reply says where the memory is not known.
func unknown(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// trialMemory gives what a trial has counted the form in which it travels.
func trialMemory(m *slabs.Memory, err error) *door.Memory {
	if err != nil {
		return &door.Memory{Unknown: unknown(err)}
	}
	d := &door.Memory{Fits: m.Fits(), Limit: m.Limit, Free: m.Free, Needed: m.Needed()}
	if !d.Fits {
		d.Megabytes = m.Megabytes()
	}
	for i := range m.Classes {
		if c := &m.Classes[i]; c.Items > 0 {
			d.Classes = append(d.Classes, door.SlabClass{ID: c.ID, ChunkSize: c.Size, Chunks: c.Items, Free: c.Free, Pages: c.Pages()})
		}
	}
	return d
}

// margin is what -m is more than was counted: the sample's error, and a page that is
// divided otherwise.
const margin = 1.03

// gone says how many of the rows that were stored are no longer there, and what would have
// held them; nil if they all are, or cannot be looked for: the load is done, also if memcached
// stops before that.
func (e *engine) gone(store batch.Store, sample *load.Sample, stored uint64) *door.Gone {
	g, err := sample.Look(store)
	if err != nil || g == nil || g.Missing == 0 {
		return nil
	}
	return e.needed(store, g, stored)
}

// needed says what would have held rows that are gone.
func (e *engine) needed(store batch.Store, g *load.Gone, stored uint64) *door.Gone {
	part := float64(g.Missing) / float64(g.Looked)
	d := &door.Gone{Rows: uint64(math.Round(float64(stored) * part)), Exact: g.All && g.Looked == stored}
	m, stats, err := e.memory()
	if err != nil {
		d.Unknown = unknown(err)
		return d
	}
	if stats.General["evictions"] == "0" {
		d.Unknown = "memcached has evicted nothing: they were deleted or flushed, or have expired"
		return d
	}
	// Each row that was looked for stands for several.
	m.Clear()
	each := float64(stored) / float64(len(g.Rows))
	ours := 0.0
	for _, row := range g.Rows {
		size := store.ItemSize(row.NKey, row.Flags, row.NValue)
		m.Add(size, 1)
		ours += float64(size) * each * (1 - part)
	}
	m.Multiply(each)
	bytes, _ := strconv.ParseFloat(stats.General["bytes"], 64)
	others := max(bytes-ours, 0)
	d.Megabytes = uint64(math.Ceil((float64(m.Needed()) + others) * margin / (1 << 20)))
	return d
}

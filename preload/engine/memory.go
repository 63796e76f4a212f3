package engine

import (
	"math"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/stats"
)

// Memory asks memcached by protocol how its memory is divided, and adds the rows that a sample's dry run would have
// stored.
func (e *Engine) Memory(store batch.Store, sample *load.Sample) (*slabs.Memory, error) {
	m, _, err := e.memory()
	if err != nil {
		return nil, err
	}
	g, err := sample.Look(store)
	if err != nil {
		return nil, err
	}
	addRows(m, store, sample, g)
	return m, nil
}

// Ask asks memcached for its statistics by protocol; it may take limit for them. gone, if it is not nil, is called while
// it waits; its error ends that. The error may have several lines.
func (e *Engine) Ask(limit time.Duration, gone func() error) (*stats.Answers, error) {
	return protocol.Ask(e.listening, limit, gone)
}

func (e *Engine) memory() (*slabs.Memory, *stats.Answers, error) {
	answers, err := e.Ask(protocol.AnswerLimit, nil)
	if err != nil {
		return nil, nil, err
	}
	m, err := slabs.New(answers)
	return m, answers, err
}

// addRows adds all rows that a sample's loads have stored, or would have. Those that are in the cache have their chunks
// already: so the same rows need the same memory, whether they are to be stored, are stored, or have been in part. g
// says which are there; nil: none is.
func addRows(m *slabs.Memory, store batch.Store, sample *load.Sample, g *load.Gone) {
	for length, rows := range sample.Lengths.All() {
		add(m, store, length, rows)
	}
	if g == nil {
		return
	}
	looked, there := m.Empty(), m.Empty()
	for _, row := range g.Rows {
		add(looked, store, row.Length(), 1)
		if !row.Missing {
			add(there, store, row.Length(), 1)
		}
	}
	m.Release(looked, there, g.All)
}

// add adds rows of a length.
func add(m *slabs.Memory, store batch.Store, l load.Length, rows uint64) {
	var flags uint32
	if l.Flags {
		flags = 1
	}
	m.Add(store.ItemSize(l.Key, flags, l.Bytes-l.Key), store.ItemSize(l.Key, flags, 0), rows)
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
	return e.Needed(store, sample, g, stored)
}

// Needed returns how many of stored rows are gone, and the -m that would have held them.
func (e *Engine) Needed(store batch.Store, sample *load.Sample, g *load.Gone, stored uint64) *Gone {
	part := float64(g.Missing) / float64(g.Looked)
	gone := &Gone{Rows: uint64(math.Round(float64(stored) * part)), Exact: g.All && g.Looked == stored}
	m, answers, err := e.memory()
	if err != nil {
		gone.Unknown = err.Error()
		return gone
	}
	if answers.General["evictions"] == "0" {
		gone.Unknown = "memcached has evicted nothing: they were deleted or flushed, or have expired"
		return gone
	}
	addRows(m, store, sample, g)
	gone.Megabytes = max(m.Megabytes(), m.Limit>>20+1) // the present limit has not
	return gone
}

package main

import (
	"cmp"
	"sync"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/record"
)

// brokenMax is how many loads are kept in mind that were broken off.
const brokenMax = 64

// broken are the loads of files that were broken off. They are kept here, beside the cache,
// because they live as long: what they have stored is gone when memcached is.
type broken struct {
	mu    sync.Mutex
	loads []brokenLoad // the oldest first
}

type brokenLoad struct {
	file    door.FileID
	options record.Options
	at      load.Position
}

// take returns where a load of the same file with the same options broke off, and
// forgets it.
func (b *broken) take(file door.FileID, options record.Options) load.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, l := range b.loads {
		if l.file == file && l.options == options {
			b.loads = append(b.loads[:i], b.loads[i+1:]...)
			return l.at
		}
	}
	return load.Position{}
}

// put keeps in mind that a load broke off.
func (b *broken) put(file door.FileID, options record.Options, at load.Position) {
	b.take(file, options)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.loads) == brokenMax {
		b.loads = b.loads[1:]
	}
	b.loads = append(b.loads, brokenLoad{file, options, at})
}

// keep keeps in mind where a load of a file broke off, if it did.
func (b *broken) keep(file door.FileID, options load.Options, counts *load.Counts, err error) {
	at := cmp.Or(counts.Position, options.From) // that, if it did not come to begin
	if done := err == nil && !counts.Canceled && !counts.Limited; done {
		b.take(file, options.Record)
	} else if at != (load.Position{}) {
		b.put(file, options.Record, at)
	}
}

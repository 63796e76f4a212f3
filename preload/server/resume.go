package server

import (
	"cmp"
	"fmt"
	"sync"

	"memcached-backdoor/preload/batch"
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
	file      door.FileID
	options   record.Options
	at        load.Position
	witnesses load.Witnesses
}

// take returns a load of the same file with the same options that broke off, and
// forgets it; or why there is none.
func (b *broken) take(file door.FileID, options record.Options) (l brokenLoad, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, l := range b.loads {
		if l.file.Dev != file.Dev || l.file.Ino != file.Ino || l.options != options {
			continue
		}
		b.loads = append(b.loads[:i], b.loads[i+1:]...)
		if l.file != file {
			return brokenLoad{}, "the file has changed since its load broke off"
		}
		return l, ""
	}
	return brokenLoad{}, "no load of this file with these options was broken off in this memcached"
}

// put keeps in mind that a load broke off.
func (b *broken) put(l brokenLoad) {
	b.take(l.file, l.options)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.loads) == brokenMax {
		b.loads = b.loads[1:]
	}
	b.loads = append(b.loads, l)
}

// resume returns where to go on with a file; or why that is at the beginning. What a load has stored must still be
// there: rows that were flushed, evicted or deleted meanwhile would be missing in the end, and nothing would say so.
func (b *broken) resume(file door.FileID, options record.Options, store batch.Store) (l brokenLoad, why string) {
	if l, why = b.take(file, options); why != "" {
		return brokenLoad{}, why
	}
	looked, missing, err := l.witnesses.Missing(store)
	switch {
	case err != nil:
		return brokenLoad{}, "the rows that were stored cannot be looked for: " + err.Error()
	case missing > 0:
		return brokenLoad{}, fmt.Sprintf("of %d rows of the load that broke off %d are no longer in the cache", looked, missing)
	}
	return l, ""
}

// keep keeps in mind where a load of a file broke off, if it did; earlier is the one that it went on with.
func (b *broken) keep(file door.FileID, earlier brokenLoad, options load.Options, counts *load.Counts, err error) {
	at := cmp.Or(counts.Position, options.From) // that, if it did not come to begin
	if done := err == nil && !counts.Canceled && !counts.Limited; done {
		b.take(file, options.Record)
	} else if at != (load.Position{}) {
		b.put(brokenLoad{file, options.Record, at, options.Sample.Witnesses(earlier.witnesses)})
	}
}

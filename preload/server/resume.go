package server

import (
	"cmp"
	"fmt"
	"sync"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/record"
)

// interruptedMax is how many interrupted loads are remembered.
const interruptedMax = 64

// interruptedLoads are the loads of files that were interrupted. They are not saved anywhere: what they have stored is
// gone when this memcached ends.
type interruptedLoads struct {
	mu    sync.Mutex
	loads []interruptedLoad // the oldest first
}

// rowOptions decide what a load stores of a file.
type rowOptions struct {
	rows   record.Options
	wanted filter.Options
}

type interruptedLoad struct {
	file      door.FileID
	options   rowOptions
	position  load.Position // where it is to be resumed
	witnesses load.Witnesses
}

// remove removes and returns the load of a file with options; or returns the reason for which there is none.
func (i *interruptedLoads) remove(file door.FileID, options rowOptions) (l interruptedLoad, reason string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for at, l := range i.loads {
		if l.file.Dev != file.Dev || l.file.Ino != file.Ino || l.options != options {
			continue
		}
		i.loads = append(i.loads[:at], i.loads[at+1:]...)
		if l.file != file {
			return interruptedLoad{}, "the file has changed since its load was interrupted"
		}
		return l, ""
	}
	return interruptedLoad{}, "no load of this file with these options was interrupted in this memcached"
}

// add adds a load, in the place of one of the same file with the same options.
func (i *interruptedLoads) add(l interruptedLoad) {
	i.remove(l.file, l.options)
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.loads) == interruptedMax {
		i.loads = i.loads[1:]
	}
	i.loads = append(i.loads, l)
}

// resume returns the load of a file that is to be resumed; or the reason for which the file is to be loaded from its
// beginning. What the load has stored must still be in the cache: if rows were flushed, evicted or deleted meanwhile,
// they would be missing in the end, and no count would show it.
func (i *interruptedLoads) resume(file door.FileID, options rowOptions, store batch.Store) (l interruptedLoad, reason string) {
	if l, reason = i.remove(file, options); reason != "" {
		return interruptedLoad{}, reason
	}
	looked, missing, err := l.witnesses.Missing(store)
	switch {
	case err != nil:
		return interruptedLoad{}, "the rows that were stored cannot be looked for: " + err.Error()
	case missing > 0:
		return interruptedLoad{}, fmt.Sprintf("of %d rows of the interrupted load %d are no longer in the cache", looked, missing)
	}
	return l, ""
}

// update remembers a load of a file if it was interrupted, and else forgets it; resumed is the load that it has
// resumed.
func (i *interruptedLoads) update(file door.FileID, resumed interruptedLoad, chosen rowOptions, options load.Options, counts *load.Counts, err error) {
	position := cmp.Or(counts.Position, options.From) // the latter if no row was accounted for
	if done := err == nil && !counts.Canceled && !counts.Limited; done {
		i.remove(file, chosen)
	} else if position != (load.Position{}) {
		i.add(interruptedLoad{file, chosen, position, options.Sample.Witnesses(resumed.witnesses)})
	}
}

package hot

import (
	"errors"
	"sync"
	"time"
)

// Turns keep apart what must not be in memcached's log at once: the watches of two searches, which would cost memcached twice as much; and a
// watch and a native job of this library. What a job looks up is logged as if a client had asked for it, but is not counted (items.c:
// do_item_get); to store a row looks up its key. And a watch may not end while a job logs more than memcached can write (see
// [Log]: RateMax). The zero value is ready. Any goroutine may call a method.
type Turns struct {
	mu        sync.Mutex
	searching bool
	jobs      int           // that run, or wait for the end of a watch
	watched   chan struct{} // closed when the watch has ended; nil: there is none
	mixed     bool          // a job has begun before the watch has ended
}

// ErrSearching says that there is a search already, or that the watch of an earlier one has not ended.
var ErrSearching = errors.New("another client reads memcached's log of requests")

// watchPatience is how long the end of a watch is waited for at most. memcached looks for that after a second at the latest (logger.c:
// MAX_LOGGER_SLEEP).
const watchPatience = 3 * time.Second

// await waits for the end of a watch, if there is one, and reports whether it has ended.
func await(watched <-chan struct{}) bool {
	if watched == nil {
		return true
	}
	patience := time.NewTimer(watchPatience)
	defer patience.Stop()
	select {
	case <-watched:
		return true
	case <-patience.C:
		return false
	}
}

// Job begins a job, after the watch has ended, if there is one; done ends it. No watch begins meanwhile.
func (t *Turns) Job() (done func()) {
	t.mu.Lock()
	t.jobs++
	watched := t.watched
	t.mu.Unlock()
	if !await(watched) {
		t.mu.Lock()
		t.mixed = true
		t.mu.Unlock()
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.jobs--
	}
}

// search begins a search, if there is no other, after the watch of the one before has ended.
func (t *Turns) search() error {
	t.mu.Lock()
	if t.searching {
		t.mu.Unlock()
		return ErrSearching
	}
	t.searching = true
	watched := t.watched
	t.mu.Unlock()
	if !await(watched) {
		t.searched()
		return ErrSearching
	}
	return nil
}

// searched ends the search. Its watch may not have ended.
func (t *Turns) searched() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.searching = false
}

// watch begins a watch of the search, if there is no job.
func (t *Turns) watch() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.jobs > 0 {
		return false
	}
	t.watched, t.mixed = make(chan struct{}), false
	return true
}

// unwatch says that the watch has ended.
func (t *Turns) unwatch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.watched)
	t.watched = nil
}

// now says whether there is a job, for which the watch is to end, and whether the log is mixed.
func (t *Turns) now() (job, mixed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs > 0, t.mixed
}

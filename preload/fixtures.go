package main

/*
#include <stdbool.h>
#include <stdlib.h>

const char *fixtures_paths(void);
const char *fixtures_directory(void);
bool fixtures_strict(void);
void fixtures_complete(void);
void fixtures_incomplete(void);
void fixtures_not_held(const char *why);
bool connections_held(void);
bool connections_refused(void);
*/
import "C"

import (
	"runtime/debug"
	"time"
	"unsafe"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/fixtures"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/record"
)

// rejectsSaid is how many rejected rows of all fixtures are said one by one: few enough
// for a pipe that nobody reads while memcached starts (pipe(7): 64 KB).
const rejectsSaid = 100

// preloading is the loading of the fixtures.
type preloading struct {
	b        *backdoor
	began    time.Time
	files    []fixtures.File
	total    door.Preload
	complete bool // so far
	said     int  // rejected rows
	sample   *load.Sample
	gone     *load.Gone // nil: no row is
}

// fixturesWanted says that there are any.
func fixturesWanted() bool { return *C.fixtures_paths() != 0 }

// findFixtures looks for the fixtures. It returns nil if there is nothing to load, and nobody waits then,
// not even for the engine.
func (b *backdoor) findFixtures() *preloading {
	if !fixturesWanted() {
		close(b.preloaded)
		return nil
	}
	b.status.Preload = &door.Preload{}
	p := &preloading{b: b, began: time.Now(), complete: true, sample: load.NewSample()}
	p.find()
	if len(p.files) > 0 {
		return p
	}
	p.sayCounts()
	p.finish()
	return nil
}

// run loads the fixtures.
func (p *preloading) run() {
	defer releaseStderr()
	store := p.load()
	p.finish()
	if p.gone != nil && !C.connections_refused() {
		p.hint(store)
	}
}

// finish lets memcached accept connections, or, where the fixtures are strict and not complete,
// makes it end.
func (p *preloading) finish() {
	if p.complete {
		C.fixtures_complete()
	} else {
		C.fixtures_incomplete()
	}
	p.total.Done, p.total.Complete = true, p.complete
	p.publish(&load.Counts{})
	close(p.b.preloaded)
}

// problem says why a row or more is not there.
func (p *preloading) problem(format string, args ...any) {
	p.complete = false
	p.say(format, args...)
}

func (p *preloading) say(format string, args ...any) { say("fixtures: "+format, args...) }

// rescue makes a panic a problem: deferred.
func (p *preloading) rescue() {
	if r := recover(); r != nil {
		p.problem("panic: %v\n%s", r, debug.Stack())
	}
}

// find looks for the files.
func (p *preloading) find() {
	defer p.rescue()
	found := fixtures.Find(C.GoString(C.fixtures_paths()), C.GoString(C.fixtures_directory()), saveFile())
	if found.Unsaved {
		p.say("%s: nothing is saved there yet", saveFile())
	}
	for _, path := range found.Alone {
		p.say("%s: left alone, its name ends with no format's", path)
	}
	for _, err := range found.Problems {
		p.problem("%v", err)
	}
	p.files = found.Files
}

// load loads all that can be, and returns where; nil, it cannot at all.
func (p *preloading) load() (store batch.Store) {
	defer p.rescue()
	beforePreload()
	if bool(C.fixtures_strict()) && !p.b.engine.isSettled() {
		p.say("they wait until memcached's functions are proven, %v at most", strictPatience)
		p.b.engine.awaitSettled(strictPatience)
	}
	if _, why := p.b.engine.state(); why != nil && C.connections_held() {
		// Rows go over a connection, too.
		reason := C.CString(why.Message)
		C.fixtures_not_held(reason)
		C.free(unsafe.Pointer(reason))
	}
	if C.connections_refused() {
		p.complete = false
		return nil
	}
	store, refusal := p.b.engine.target()
	if refusal != nil {
		p.problem("they cannot be loaded: %s", refusal.Message)
		return nil
	}
	for _, file := range p.files {
		p.file(store, file)
	}
	p.lookForGone(store)
	p.sayCounts()
	return store
}

func (p *preloading) sayCounts() {
	t := &p.total
	p.say("%s: %s read: %d stored, %d rejected, %d skipped (%.2f s)",
		door.Count(t.Files, "file"), door.Count(t.Rows, "row"), t.Stored, t.Rejected, t.Skipped, time.Since(p.began).Seconds())
}

// file loads one file.
func (p *preloading) file(store batch.Store, file fixtures.File) {
	source, err := file.Open()
	if err != nil {
		p.problem("%v", err)
		return
	}
	defer source.Close()
	options := load.Options{
		Record:      record.Options{Format: file.Format},
		Sample:      p.sample,
		RejectsKept: rejectsSaid - p.said,
		Progress:    p.publish,
	}
	counts, err := p.b.counted(false, func() (load.Counts, error) { return load.Load(store, source, options) })
	p.total.Files++
	p.total = p.with(&counts)
	p.publish(&load.Counts{})
	for _, r := range report(&counts, 0).Rejects {
		p.problem("%s:%d: %s%s", file.Path, r.Line, r.Reason, r.KeyNote())
	}
	p.said += len(counts.Rejects)
	if more := counts.Rejected - uint64(len(counts.Rejects)); more > 0 {
		p.problem("%s: %s more rejected", file.Path, door.Count(more, "row"))
	}
	if err != nil {
		p.problem("%s: %v", file.Path, err)
	}
	if counts.Incomplete {
		p.problem("%s: the dump is not complete, its end is missing", file.Path)
	}
}

// with is the total with a file's counts.
func (p *preloading) with(c *load.Counts) door.Preload {
	t := p.total
	t.Rows += c.Rows
	t.Stored += c.Stored
	t.Rejected += c.Rejected
	t.Skipped += c.Skipped
	t.Seconds = time.Since(p.began).Seconds()
	return t
}

// publish makes the status what it is with the counts of the file that is being loaded.
func (p *preloading) publish(c *load.Counts) {
	t := p.with(c)
	p.b.count(func(s *door.Status) { s.Preload = &t })
}

// lookForGone looks whether rows had to go to make room for others.
func (p *preloading) lookForGone(store batch.Store) {
	if g, err := p.sample.Look(store); err == nil && g != nil && g.Missing > 0 {
		p.gone = g
		p.problem("of %d rows that were looked for %d are no longer in the cache", g.Looked, g.Missing)
	}
}

// hint says with which -m no row would be gone. memcached is asked for that, over a
// connection, which it accepts by now.
func (p *preloading) hint(store batch.Store) {
	defer rescue("fixtures: ")
	if needed := p.b.engine.needed(store, p.gone, p.total.Stored); needed.Megabytes > 0 {
		p.say("-m %d would have held them", needed.Megabytes)
	}
}

// awaitPreload waits until the fixtures are loaded, so that rows of a call come behind them. Its
// error is door.ErrGone, if the client goes.
func (b *backdoor) awaitPreload(call *door.Call, detach bool) error {
	for {
		select {
		case <-b.preloaded:
			return nil
		default:
		}
		ready, err := call.Wait(false, -1, preloadLook)
		if err != nil {
			return err
		}
		if ready.Gone && !detach {
			return door.ErrGone
		}
	}
}

// preloadLook is how often such a call looks.
const preloadLook = 20 * time.Millisecond

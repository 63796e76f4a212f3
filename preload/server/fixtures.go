package server

import (
	"errors"
	"runtime/debug"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/fault"
	"memcached-backdoor/preload/fixtures"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/startup"
)

// rejectsLogged is how many rejected rows of all fixtures are logged one by one: they fit into
// a pipe that is not read while memcached starts (pipe(7): 64 KB).
const rejectsLogged = 100

// strictLimit is how long strict fixtures wait for a proof, without which memcached would end.
const strictLimit = 5 * time.Minute

// A fixtureLoad is the loading of the fixtures.
type fixtureLoad struct {
	server   *Server
	began    time.Time
	files    []fixtures.File
	total    door.Fixtures
	complete bool // so far
	logged   int  // rejected rows
	sample   *load.Sample
	gone     *load.Gone // nil: no row is gone
}

// findFixtures finds the fixtures. It returns nil if there is nothing to load: connections are not held back then, not
// even until the engine is found.
func (s *Server) findFixtures() *fixtureLoad {
	if s.fixtures.Paths == "" {
		close(s.fixturesLoaded)
		return nil
	}
	s.status.Fixtures = &door.Fixtures{}
	p := &fixtureLoad{server: s, began: time.Now(), complete: true, sample: load.NewSample()}
	p.find()
	if len(p.files) > 0 {
		return p
	}
	p.finish(true)
	return nil
}

// run loads the fixtures.
func (p *fixtureLoad) run() {
	defer startup.ReleaseStderr()
	store := p.load()
	p.finish(store != nil)
	if p.gone != nil && !startup.ConnectionsRefused() {
		p.hint(store)
	}
}

// finish lets calls and a save continue, logs the counts, and lets memcached accept connections; or makes it end, if the
// fixtures are strict and not complete. In this order: a user may end memcached as soon as the counts are logged or a
// connection is accepted, and the cache must be saved then.
func (p *fixtureLoad) finish(counted bool) {
	p.total.Done, p.total.Complete = true, p.complete
	p.publish(&load.Counts{})
	close(p.server.fixturesLoaded)
	if counted {
		p.sayCounts()
	}
	if p.complete {
		p.server.fixtures.Complete()
	} else {
		p.server.fixtures.Incomplete()
	}
}

// problem logs the reason for which rows are not in the cache.
func (p *fixtureLoad) problem(format string, args ...any) {
	p.complete = false
	p.say(format, args...)
}

func (p *fixtureLoad) say(format string, args ...any) { startup.Say("fixtures: "+format, args...) }

// rescue makes a panic a problem. It is deferred.
func (p *fixtureLoad) rescue() {
	if r := recover(); r != nil {
		p.problem("panic: %v\n%s", r, debug.Stack())
	}
}

// find finds the files.
func (p *fixtureLoad) find() {
	defer p.rescue()
	found := fixtures.Find(p.server.fixtures.Paths, p.server.fixtures.Directory, startup.SaveFile())
	if found.Unsaved {
		p.say("%s: nothing is saved there yet", startup.SaveFile())
	}
	for _, path := range found.Skipped {
		p.say("%s: skipped, its extension is not that of a format", path)
	}
	for _, err := range found.Problems {
		p.problem("%v", err)
	}
	p.files = found.Files
}

// load loads the files, and returns the store; nil: there is none.
func (p *fixtureLoad) load() (store batch.Store) {
	defer p.rescue()
	fault.BeforeFixtures()
	if p.server.fixtures.Strict && !p.server.engine.IsSettled() {
		p.say("they wait until memcached's functions are proven, %v at most", strictLimit)
		p.server.engine.AwaitSettled(strictLimit)
	}
	if reason := p.server.engine.Reason(); reason != nil && startup.ConnectionsHeld() {
		p.server.fixtures.NotHeld(reason.Reason) // rows are stored over a connection, too
	}
	if startup.ConnectionsRefused() {
		p.complete = false
		return nil
	}
	target, err := p.server.engine.Target()
	if err != nil {
		p.problem("they cannot be loaded: %v", err)
		return nil
	}
	store = target
	for _, file := range p.files {
		p.file(store, file)
	}
	p.lookForGone(store)
	return store
}

func (p *fixtureLoad) sayCounts() {
	t := &p.total
	p.say("%s: %s read: %d stored, %d rejected, %d skipped (%.2f s)",
		door.Count(t.Files, "file"), door.Count(t.Rows, "row"), t.Stored, t.Rejected, t.Skipped, time.Since(p.began).Seconds())
}

// file loads one file.
func (p *fixtureLoad) file(store batch.Store, file fixtures.File) {
	source, err := file.Open()
	if err != nil {
		p.problem("%v", err)
		return
	}
	defer source.Close()
	options := load.Options{
		Record:      record.Options{Format: file.Format},
		Sample:      p.sample,
		RejectsKept: rejectsLogged - p.logged,
		Progress:    p.publish,
	}
	counts, err := p.server.counted(false, func() (load.Counts, error) { return load.Load(store, source, options) })
	p.total.Files++
	p.total = p.with(&counts)
	p.publish(&load.Counts{})
	for _, r := range report(&counts, 0).Rejects {
		p.problem("%s:%d: %s", file.Path, r.Line, r.Text())
	}
	for _, note := range counts.Notes {
		p.say("%s: %s", file.Path, note)
	}
	p.logged += len(counts.Rejects)
	if more := counts.Rejected - uint64(len(counts.Rejects)); more > 0 {
		p.problem("%s: %s more rejected", file.Path, door.Count(more, "row"))
	}
	if wrong, ok := errors.AsType[*option.Error](err); ok && wrong.Hint != "" {
		p.problem("%s: %v; %s", file.Path, err, wrong.Hint)
	} else if err != nil {
		p.problem("%s: %v", file.Path, err)
	}
	if counts.Incomplete {
		p.problem("%s: it is not complete, its end is missing", file.Path)
	}
}

// with is the total and a file's counts.
func (p *fixtureLoad) with(c *load.Counts) door.Fixtures {
	t := p.total
	t.Rows += c.Rows
	t.Stored += c.Stored
	t.Rejected += c.Rejected
	t.Skipped += c.Skipped
	t.Seconds = time.Since(p.began).Seconds()
	return t
}

// publish sets the fixtures' counts in the status: the total and those of the file that is being loaded.
func (p *fixtureLoad) publish(c *load.Counts) {
	t := p.with(c)
	p.server.count(func(status *door.Status) { status.Fixtures = &t })
}

// lookForGone looks for rows that are gone, such as evicted ones.
func (p *fixtureLoad) lookForGone(store batch.Store) {
	if g, err := p.sample.Look(store); err == nil && g != nil && g.Missing > 0 {
		p.gone = g
		p.problem("of %d rows that were looked for %d are no longer in the cache", g.Looked, g.Missing)
	}
}

// hint logs the -m with which no row would be gone. It asks memcached over a connection, which
// is accepted now.
func (p *fixtureLoad) hint(store batch.Store) {
	defer rescue("fixtures: ")
	if needed := p.server.engine.Needed(store, p.sample, p.gone, p.total.Stored); needed.Megabytes > 0 {
		p.say("-m %d would have held them", needed.Megabytes)
	}
}

// awaitFixtures waits until the fixtures are loaded: rows of a call come after them. Its
// error is door.ErrGone if the client has gone.
func (s *Server) awaitFixtures(call *door.Call, detach bool) error {
	for {
		select {
		case <-s.fixturesLoaded:
			return nil
		default:
		}
		ready, err := call.Wait(false, -1, fixturesPoll)
		if err != nil {
			return err
		}
		if ready.Gone && !detach {
			return door.ErrGone
		}
	}
}

// fixturesPoll is the time between two looks of such a call.
const fixturesPoll = 20 * time.Millisecond

// Package engine decides how items are stored and read in this memcached: with memcached's own functions,
// or, where these cannot be used, or are not proven yet, with commands of its protocol.
package engine

import (
	"cmp"
	"errors"
	"strings"
	"sync"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/walk"
)

// A Kind is a kind of engine.
type Kind int

const (
	None     Kind = iota // neither of the two
	Native               // memcached's own functions
	Protocol             // commands of its protocol
)

// Unavailable is the reason for which there is no native engine, or no engine.
type Unavailable struct {
	Reason, Hint string
	Panic        bool // the library has panicked: the reason is not in memcached
}

func (u *Unavailable) Error() string { return u.Reason }

// An Engine is the engine of this memcached. When it changes, a call keeps the one that it began with: both store the
// same items.
type Engine struct {
	facts     *host.Facts        // nil if the program could not be read
	listening []protocol.Address // of memcached
	options   Options

	settled chan struct{} // closed when native and reason no longer change

	mu     sync.Mutex   // guards native and reason
	native *cache.Cache // nil: there is none, or not yet
	reason *Unavailable // for that

	opening  sync.Mutex      // guards protocol; held while it is opened, which may take long
	protocol *protocol.Store // nil: it is not opened
}

// set sets the native engine, or the reason for which there is none.
func (e *Engine) set(native *cache.Cache, reason *Unavailable) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.native, e.reason = native, reason
}

// state returns the native engine, or the reason for which there is none.
func (e *Engine) state() (*cache.Cache, *Unavailable) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.native, e.reason
}

// Facts are what was found in memcached's program; nil if it could not be read.
func (e *Engine) Facts() *host.Facts { return e.facts }

// Reason is the reason for which the engine is not the native one now, or nil.
func (e *Engine) Reason() *Unavailable {
	_, reason := e.state()
	return reason
}

// A Target is what stores rows.
type Target struct {
	batch.Store // nil if Kind is None
	Kind        Kind
	Reason      string // if it is not the native engine
}

// Target returns what stores rows now. The error is an [*Unavailable]; Kind and Reason are set then, too.
func (e *Engine) Target() (Target, error) {
	native, reason := e.state()
	if reason == nil {
		return Target{native, Native, ""}, nil
	}
	store, none := e.byProtocol(reason.Reason)
	if none != nil {
		none.Panic, none.Hint = reason.Panic, reason.Hint
		return Target{nil, None, none.Reason}, none
	}
	return Target{store, Protocol, reason.Reason}, nil
}

// byProtocol returns the protocol engine, or the reason for which there is no engine: that against the native one, and
// that against this one.
func (e *Engine) byProtocol(reason string) (*protocol.Store, *Unavailable) {
	e.opening.Lock()
	defer e.opening.Unlock()
	if e.protocol != nil {
		return e.protocol, nil
	}
	noProtocol := e.facts.NoMeta()
	if noProtocol == "" {
		var err error
		if e.protocol, err = protocol.Open(e.listening); err == nil {
			return e.protocol, nil
		}
		noProtocol = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return nil, &Unavailable{Reason: reason + norByProtocol + noProtocol}
}

const norByProtocol = "; nor by protocol: "

// listHint is for a memcached that is loaded natively and whose items cannot be read.
const listHint = "loads are served; what reads items, such as dump, keys and a save at the end, needs memcached 1.6.10 or later"

// A Source is what items are read from.
type Source struct {
	walk.Source
	Fetch  dump.Fetch // of items in extstore
	Kind   Kind
	Reason string // if it is not the native engine
}

// Uncounted reports whether memcached logs what is read here as if a client had asked for it, and does not count it (items.c: do_item_get).
func (s Source) Uncounted() bool {
	_, native := s.Source.(*cache.Cache)
	return native
}

// Source returns what items are read from: memcached's hash table, or, if that cannot be walked, memcached's
// protocol. The error is an [*Unavailable].
func (e *Engine) Source() (Source, error) {
	s := Source{Kind: Native}
	native, reason := e.state()
	if reason == nil {
		s.Source, s.Fetch = native, e.fetch
		if native.CanWalk() {
			return s, nil
		}
		s.Reason = e.noWalk()
	} else {
		s.Reason = reason.Reason
	}
	store, none := e.byProtocol(s.Reason)
	if none != nil {
		none.Reason = "the items cannot be read: " + none.Reason
		none.Hint = listHint
		if reason != nil {
			none.Panic, none.Hint = reason.Panic, reason.Hint
		}
		return s, none
	}
	s.Source, s.Fetch, s.Kind = byCommands{store, s.Reason}, store.Fetch, Protocol
	return s, nil
}

// A Changer is what items are read from, and what changes them.
type Changer struct {
	Source
	walk.Changes
}

// Changer returns what changes items. The caller closes the Changes. The error is an [*Unavailable].
func (e *Engine) Changer(kind walk.Change, same walk.Conditions) (Changer, error) {
	source, err := e.Source()
	if err != nil {
		return Changer{}, err
	}
	g := Changer{Source: source}
	if native, ok := source.Source.(*cache.Cache); ok && kind != walk.Invalidate {
		g.Changes, err = native.Changes(kind, same)
		return g, err
	}
	if g.Kind == Native {
		g.Kind, g.Reason = Protocol, marksItself
	}
	store, none := e.byProtocol(g.Reason)
	if none != nil {
		return g, none
	}
	if g.Changes, err = store.Changes(kind, same); err != nil {
		return g, &Unavailable{Reason: g.Reason + norByProtocol + err.Error()}
	}
	return g, nil
}

// marksItself is the reason for which items are not invalidated natively.
const marksItself = "memcached itself marks items as stale, by its command md"

// byCommands is the protocol engine as a source: it says why the items are not read natively, if they cannot be read by
// protocol either.
type byCommands struct {
	*protocol.Store
	reason string // if the items cannot be read natively
}

func (b byCommands) Walk(o walk.Options) (walk.Walker, error) {
	defer cache.HoldGrowth()() // a native load may begin, when memcached's functions are proven, and ask for it
	w, err := b.Store.Walk(o)
	if none, ok := errors.AsType[*protocol.Unlisted](err); ok {
		return nil, &Unavailable{Reason: b.reason + norByProtocol + none.Message, Hint: none.Hint}
	}
	return w, err
}

// fetch gets the values of items in extstore by protocol.
func (e *Engine) fetch(items []*walk.Item) error {
	store, none := e.byProtocol("some items are in extstore")
	if none != nil {
		return none
	}
	return store.Fetch(items)
}

// Announcement is the line for memcached's log at the start, "" for the native engine.
// It does not connect to memcached.
func (e *Engine) Announcement() string {
	_, reason := e.state()
	if reason == nil {
		return ""
	}
	if noProtocol := e.facts.NoMeta(); noProtocol != "" {
		return "no load can be served: " + reason.Reason + norByProtocol + noProtocol
	}
	return "loads go by memcached's protocol: " + reason.Reason
}

// Dumps returns the kind of engine that reads items if t stores rows, and the reason if that is not the native one.
func (e *Engine) Dumps(t Target) (kind Kind, reason string) {
	native, ok := t.Store.(*cache.Cache)
	if !ok || native.CanWalk() {
		return t.Kind, t.Reason
	}
	reason = e.noWalk()
	if noProtocol := e.facts.NoMeta(); noProtocol != "" {
		return None, reason + norByProtocol + noProtocol
	}
	return Protocol, reason
}

// noWalk is the reason for which the native engine cannot read items.
func (e *Engine) noWalk() string { return cmp.Or(e.facts.NoWalk(), cache.ErrNoWalk.Error()) }

// NeverDumps is the reason for which items can never be read here, or "". It does not connect to memcached.
func (e *Engine) NeverDumps() string {
	native, reason := e.state()
	noProtocol := e.facts.NoMeta()
	switch {
	case noProtocol == "", !e.IsSettled(), native != nil && native.CanWalk():
		return ""
	case native != nil:
		return e.noWalk() + norByProtocol + noProtocol
	}
	return reason.Reason + norByProtocol + noProtocol
}

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

// A Kind is one of the ways.
type Kind int

const (
	None     Kind = iota // no way at all
	Native               // memcached's own functions
	Protocol             // commands of its protocol
)

// Unavailable is the reason why there is no native engine, or none at all.
type Unavailable struct {
	Reason, Hint string
	Panic        bool // of the library: it is not memcached's fault
}

func (u *Unavailable) Error() string { return u.Reason }

// An Engine is the engine of this memcached. A call keeps what it began with: both store the same items.
type Engine struct {
	facts     *host.Facts        // nil if the program could not be read
	listening []protocol.Address // memcached's
	options   Options

	settled chan struct{} // closed when native and reason stay as they are

	mu     sync.Mutex   // guards native and reason
	native *cache.Cache // nil if there is none, or not yet;
	reason *Unavailable // then this says why

	opening  sync.Mutex      // guards protocol; held while memcached is asked, which may take long
	protocol *protocol.Store // nil until it was asked for, and while it cannot be had
}

// become makes the engine the native one, or keeps the reason why it is not.
func (e *Engine) become(native *cache.Cache, reason *Unavailable) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.native, e.reason = native, reason
}

// state returns the native engine or the reason why there is none.
func (e *Engine) state() (*cache.Cache, *Unavailable) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.native, e.reason
}

// Facts are what was found in memcached's program; nil if it could not be read.
func (e *Engine) Facts() *host.Facts { return e.facts }

// Reason is the reason why the engine is not the native one now, or nil.
func (e *Engine) Reason() *Unavailable {
	_, reason := e.state()
	return reason
}

// A Target is what stores rows.
type Target struct {
	batch.Store // nil if Kind is None
	Kind        Kind
	Reason      string // why it is not the native engine
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

// byProtocol returns memcached by its protocol, or the reason why it cannot be had: reason, which rules out
// every other way, and what rules out this one.
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
const listHint = "loads are served; dump, keys, top, diff and a save at the end take memcached 1.6.10 or later"

// A Source is what items are read from.
type Source struct {
	walk.Store
	Fetch  dump.Fetch // of items in extstore
	Kind   Kind
	Reason string // why it is not the native engine
}

// Source returns what items are read from: memcached's hash table, or, where that cannot be used, what
// memcached itself lists and answers. The error is an [*Unavailable].
func (e *Engine) Source() (Source, error) {
	s := Source{Kind: Native}
	native, reason := e.state()
	if reason == nil {
		s.Store, s.Fetch = native, e.fetch
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
	s.Store, s.Fetch, s.Kind = listed{store, s.Reason}, store.Fetch, Protocol
	return s, nil
}

// listed is a cache whose items are read by memcached's list of keys.
type listed struct {
	*protocol.Store
	reason string // why there is no other way
}

func (l listed) Walk(o walk.Options) (walk.Walker, error) {
	defer cache.HoldGrowth()() // of a native load: its functions may be proven meanwhile
	w, err := l.Store.Walk(o)
	if none, ok := errors.AsType[*protocol.Unlisted](err); ok {
		return nil, &Unavailable{Reason: l.reason + norByProtocol + none.Message, Hint: none.Hint}
	}
	return w, err
}

// fetch asks memcached for the values of items.
func (e *Engine) fetch(items []*walk.Item) error {
	store, none := e.byProtocol("some items are in extstore")
	if none != nil {
		return none
	}
	return store.Fetch(items)
}

// Announcement is the line for memcached's log at the start, "" for the native engine.
// It connects to nothing.
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

// Dumps says how items are read where t stores rows, and why that is not the native engine.
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

// noWalk is the reason why the native engine cannot read items.
func (e *Engine) noWalk() string { return cmp.Or(e.facts.NoWalk(), cache.ErrNoWalk.Error()) }

// NeverDumps is the reason why items can never be read here, or "". It connects to nothing.
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

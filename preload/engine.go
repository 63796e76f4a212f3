package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/walk"
)

// An engine is how rows are stored in this memcached: with its own functions, or,
// where these cannot be used, with commands of its protocol.
type engine struct {
	facts  *host.Facts
	native *cache.Cache // nil where there is none; then
	why    *door.Error  // says why not

	listening []protocol.Address // memcached's

	mu       sync.Mutex
	protocol *protocol.Store // nil until it was asked for, and while it cannot be had
}

// find makes the native engine, if it can.  program, the file at path, is closed.
func (e *engine) find(program int, path string, bias uintptr) {
	defer func() {
		if r := recover(); r != nil {
			e.why = &door.Error{Code: door.CodeInternal, Message: fmt.Sprintf("panic while looking at memcached: %v", r)}
		}
	}()
	e.listening = protocol.Listening()
	e.why = e.open(program, path, bias)
}

func (e *engine) open(program int, path string, bias uintptr) *door.Error {
	if program < 0 {
		return unsupported("memcached's program file cannot be read: "+syscall.Errno(-program).Error(),
			"start memcached from a file that its user may read, and restart it after an upgrade")
	}
	file := os.NewFile(uintptr(program), path)
	defer file.Close()
	facts, err := host.Find(file, host.DebugFilesOf(path))
	e.facts = facts
	if refused, ok := errors.AsType[*host.Unsupported](err); ok {
		return unsupported(refused.Reason, refused.Hint)
	}
	if err != nil {
		return unsupported("memcached's program file: "+err.Error(), "")
	}
	if objection := workersObjection(); objection != "" {
		return unsupported(objection, "")
	}
	beforeProof(facts)
	e.native, err = cache.Prove(facts, bias)
	if err != nil {
		return unsupported(fmt.Sprintf("memcached %v, functions found by route %s: %v", facts.Version, facts.Route, err),
			"report it with this memcached's package and version")
	}
	return nil
}

func unsupported(message, hint string) *door.Error {
	return &door.Error{Code: door.CodeHost, Message: message, Hint: hint}
}

// store returns what takes rows, or why nothing does.
func (e *engine) store() (batch.Store, *door.Error) {
	if e.why == nil {
		return e.native, nil
	}
	store, refusal := e.byProtocol(e.why.Message)
	if refusal != nil {
		refusal.Code, refusal.Hint = e.why.Code, e.why.Hint
		return nil, refusal
	}
	return store, nil
}

// byProtocol returns memcached by its protocol, or, why being what stands against anything else,
// why that cannot be had either.
func (e *engine) byProtocol(why string) (*protocol.Store, *door.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.protocol != nil {
		return e.protocol, nil
	}
	because := e.facts.NoMeta()
	if because == "" {
		var err error
		if e.protocol, err = protocol.Open(e.listening); err == nil {
			return e.protocol, nil
		}
		because = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return nil, &door.Error{Code: door.CodeHost, Message: why + norByProtocol + because}
}

const norByProtocol = "; nor by protocol: "

// listHint is for a memcached that is loaded natively and whose items cannot be read.
const listHint = "loads are served; dump, keys, top, diff and a save at the end take memcached 1.6.10 or later"

// A walkable cache is one whose items can be met.
type walkable struct {
	walk.Store
	fetch  dump.Fetch // of items in extstore
	engine door.Engine
	reason string // why that is not the native one
}

// walkable returns what can be walked through, or why nothing can: memcached's hash table, or, where
// that is not to be had, what memcached itself lists and answers.
func (e *engine) walkable() (walkable, *door.Error) {
	w := walkable{engine: door.EngineNative}
	if e.why == nil {
		w.Store, w.fetch = e.native, e.fetch
		if e.native.CanWalk() {
			return w, nil
		}
		w.reason = e.noWalk()
	} else {
		w.reason = e.why.Message
	}
	store, refusal := e.byProtocol(w.reason)
	if refusal != nil {
		refusal.Message = "the items cannot be read: " + refusal.Message
		if refusal.Hint = listHint; e.why != nil {
			refusal.Code, refusal.Hint = e.why.Code, e.why.Hint
		}
		return w, refusal
	}
	w.Store, w.fetch, w.engine = store, store.Fetch, door.EngineProtocol
	return w, nil
}

// fetch asks memcached for the values of items.
func (e *engine) fetch(items []*walk.Item) error {
	store, refusal := e.byProtocol("some items are in extstore")
	if refusal != nil {
		return refusal
	}
	return store.Fetch(items)
}

// announcement is what memcached's log is told at the start, "" of the native engine.
// Nothing is connected to for it.
func (e *engine) announcement() string {
	if e.why == nil {
		return ""
	}
	if because := e.facts.NoMeta(); because != "" {
		return "no load can be served: " + e.why.Message + norByProtocol + because
	}
	return "loads go by memcached's protocol: " + e.why.Message
}

// descriptors is how many a load takes: the call, its input, an eventfd and two files for
// rejects, and by protocol both ends of a connection.
func (e *engine) descriptors() uint64 {
	if e.why == nil {
		return 5
	}
	return 7
}

// dumps says how items are read, without asking memcached for anything, and why that is not the
// native engine.
func (e *engine) dumps() (name door.Engine, reason string) {
	name, reason = e.names()
	if name != door.EngineNative || e.native.CanWalk() {
		return name, reason
	}
	reason = e.noWalk()
	if because := e.facts.NoMeta(); because != "" {
		return door.EngineNone, reason + norByProtocol + because
	}
	return door.EngineProtocol, reason
}

// noWalk says why the native engine cannot walk through the items.
func (e *engine) noWalk() string { return cmp.Or(e.facts.NoWalk(), cache.ErrNoWalk.Error()) }

// names says which engine it is, and why it is not the native one.
func (e *engine) names() (name door.Engine, reason string) {
	if e.why == nil {
		return door.EngineNative, ""
	}
	if _, err := e.store(); err != nil {
		return door.EngineNone, err.Message
	}
	return door.EngineProtocol, e.why.Message
}

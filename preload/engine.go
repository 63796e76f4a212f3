package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/walk"
)

const (
	// proofPatience is how long calls and fixtures wait for a proof that is hindered before
	// they go by protocol.
	proofPatience = 3 * time.Second
	// strictPatience is how long strict fixtures wait, which would end memcached instead.
	strictPatience = 5 * time.Minute
	// proofPause is the time between two tries, doubled each time up to proofPauseMost.
	proofPause     = 10 * time.Millisecond
	proofPauseMost = time.Minute
	// proofMemory is up to which resident memory, in bytes, memcached is forked again later:
	// a fork of so much takes some 10 ms.
	proofMemory = 128 << 20
)

// An engine is how rows are stored in this memcached: with its own functions, or,
// where these cannot be used, or as long as they are not proven, with commands of its
// protocol.  A call keeps what it began with: both store the same items.
type engine struct {
	facts   *host.Facts
	settled chan struct{} // closed when native and why are what they stay

	listening []protocol.Address // memcached's

	mu     sync.Mutex   // of the next two
	native *cache.Cache // nil where there is none, or not yet; then
	why    *door.Error  // says why not

	opening  sync.Mutex      // of protocol; held while memcached is asked, which may take it long
	protocol *protocol.Store // nil until it was asked for, and while it cannot be had
}

// find makes the native engine, if it can.  program, the file at path, is closed.  Where the
// proof is hindered it is tried again in the background.
func (e *engine) find(program int, path string, bias uintptr) {
	defer e.rescue()
	e.settled = make(chan struct{})
	e.listening = protocol.Listening()
	proof, why := e.open(program, path, bias)
	if why != nil {
		e.become(nil, why)
		close(e.settled)
		return
	}
	if pause := e.prove(proof, proofPause, time.Now().Add(proofPatience)); pause > 0 {
		go e.proveLater(proof, pause)
	}
}

// rescue makes a panic the reason that there is no native engine.
func (e *engine) rescue() {
	if r := recover(); r != nil {
		e.become(nil, &door.Error{Code: door.CodeInternal, Message: fmt.Sprintf("panic while looking at memcached: %v", r)})
		close(e.settled)
	}
}

// prove tries the proof until it is settled, which 0 says, or until a time; then it returns
// after what pause it is to be tried again.
func (e *engine) prove(proof *cache.Proof, pause time.Duration, until time.Time) time.Duration {
	for {
		native, err := try(proof)
		if err == nil {
			e.become(native, nil)
		} else {
			e.become(nil, e.unproven(err))
		}
		if !errors.Is(err, cache.ErrHindered) {
			close(e.settled)
			return 0
		}
		if time.Now().Add(pause).After(until) {
			return pause
		}
		time.Sleep(pause)
		pause = min(2*pause, proofPauseMost)
	}
}

// proveLater goes on with prove while memcached serves, and says what comes of it.
func (e *engine) proveLater(proof *cache.Proof, pause time.Duration) {
	defer rescue("")
	e.proveAgain(proof, pause)
	if line := e.announcement(); line != "" {
		say("%s", line)
	} else {
		say("loads go by memcached's own functions from now on: they are proven")
	}
}

func (e *engine) proveAgain(proof *cache.Proof, pause time.Duration) {
	defer e.rescue()
	for pause > 0 {
		time.Sleep(pause)
		resident, err := residentMemory()
		if err != nil { // no descriptor is left
			pause = min(2*pause, proofPauseMost)
			continue
		}
		if resident > proofMemory {
			_, why := e.state()
			e.become(nil, unsupported(fmt.Sprintf("%s, but no more: memcached has %d MB by now, and a fork would hold it up", why.Message, resident>>20), why.Hint))
			close(e.settled)
			return
		}
		pause = e.prove(proof, min(2*pause, proofPauseMost), time.Now())
	}
}

// residentMemory is memcached's, in bytes (proc(5): statm).
func residentMemory() (uint64, error) {
	var size, resident uint64
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &resident)
	}
	return resident * uint64(os.Getpagesize()), err
}

// become makes the engine the native one, or says why it is not.
func (e *engine) become(native *cache.Cache, why *door.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.native, e.why = native, why
}

// state returns the native engine or why there is none.
func (e *engine) state() (*cache.Cache, *door.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.native, e.why
}

// isSettled says whether native and why are what they stay.
func (e *engine) isSettled() bool {
	select {
	case <-e.settled:
		return true
	default:
		return false
	}
}

// awaitSettled waits until it is settled whether there is a native engine.
func (e *engine) awaitSettled(limit time.Duration) {
	select {
	case <-e.settled:
	case <-time.After(limit):
	}
}

// unproven makes an error of the proof's why there is no native engine.
func (e *engine) unproven(err error) *door.Error {
	message := fmt.Sprintf("memcached %v, functions found by route %s: %v", e.facts.Version, e.facts.Route, err)
	if errors.Is(err, cache.ErrHindered) {
		return unsupported(message+"; it is tried again", "wait, or see what memcached is short of: processor time, memory, processes")
	}
	return unsupported(message, "report it with this memcached's package and version")
}

// open looks what memcached's functions are, and what proves them.
func (e *engine) open(program int, path string, bias uintptr) (*cache.Proof, *door.Error) {
	if program < 0 {
		return nil, unsupported("memcached's program file cannot be read: "+syscall.Errno(-program).Error(),
			"start memcached from a file that its user may read, and restart it after an upgrade")
	}
	file := os.NewFile(uintptr(program), path)
	defer file.Close()
	facts, err := host.Find(file, host.DebugFilesOf(path))
	e.facts = facts
	if refused, ok := errors.AsType[*host.Unsupported](err); ok {
		return nil, unsupported(refused.Reason, refused.Hint)
	}
	if err != nil {
		return nil, unsupported("memcached's program file: "+err.Error(), "")
	}
	if objection := workersObjection(); objection != "" {
		return nil, unsupported(objection, "")
	}
	beforeProof(facts)
	return cache.NewProof(facts, bias), nil
}

func unsupported(message, hint string) *door.Error {
	return &door.Error{Code: door.CodeHost, Message: message, Hint: hint}
}

// A target is what takes rows.
type target struct {
	batch.Store // nil with door.EngineNone
	engine      door.Engine
	reason      string // why that is not the native one
}

// target returns what takes rows now, or why nothing does.
func (e *engine) target() (target, *door.Error) {
	native, why := e.state()
	if why == nil {
		return target{native, door.EngineNative, ""}, nil
	}
	store, refusal := e.byProtocol(why.Message)
	if refusal != nil {
		refusal.Code, refusal.Hint = why.Code, why.Hint
		return target{nil, door.EngineNone, refusal.Message}, refusal
	}
	return target{store, door.EngineProtocol, why.Message}, nil
}

// byProtocol returns memcached by its protocol, or, why being what stands against anything else,
// why that cannot be had either.
func (e *engine) byProtocol(why string) (*protocol.Store, *door.Error) {
	e.opening.Lock()
	defer e.opening.Unlock()
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
	native, why := e.state()
	if why == nil {
		w.Store, w.fetch = native, e.fetch
		if native.CanWalk() {
			return w, nil
		}
		w.reason = e.noWalk()
	} else {
		w.reason = why.Message
	}
	store, refusal := e.byProtocol(w.reason)
	if refusal != nil {
		refusal.Message = "the items cannot be read: " + refusal.Message
		refusal.Hint = listHint
		if why != nil {
			refusal.Code, refusal.Hint = why.Code, why.Hint
		}
		return w, refusal
	}
	w.Store, w.fetch, w.engine = listed{store, w.reason}, store.Fetch, door.EngineProtocol
	return w, nil
}

// listed is a cache whose items are met by memcached's list of keys.
type listed struct {
	*protocol.Store
	why string // there is no other way to meet them
}

func (l listed) Walk(o walk.Options) (walk.Walker, error) {
	defer cache.HoldGrowth()() // of a native load: its functions may be proven meanwhile
	w, err := l.Store.Walk(o)
	if none, ok := errors.AsType[*protocol.Unlisted](err); ok {
		return nil, &door.Error{Code: door.CodeHost, Message: l.why + norByProtocol + none.Message, Hint: none.Hint}
	}
	return w, err
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
	_, why := e.state()
	if why == nil {
		return ""
	}
	if because := e.facts.NoMeta(); because != "" {
		return "no load can be served: " + why.Message + norByProtocol + because
	}
	return "loads go by memcached's protocol: " + why.Message
}

// descriptors is how many a load takes: the call, its input, an eventfd and two files for
// rejects, and by protocol both ends of a connection.
func (e *engine) descriptors() uint64 {
	if _, why := e.state(); why == nil {
		return 5
	}
	return 7
}

// dumps says how items are read where t takes rows, and why that is not the native engine.
func (e *engine) dumps(t target) (name door.Engine, reason string) {
	native, ok := t.Store.(*cache.Cache)
	if !ok || native.CanWalk() {
		return t.engine, t.reason
	}
	reason = e.noWalk()
	if because := e.facts.NoMeta(); because != "" {
		return door.EngineNone, reason + norByProtocol + because
	}
	return door.EngineProtocol, reason
}

// noWalk says why the native engine cannot walk through the items.
func (e *engine) noWalk() string { return cmp.Or(e.facts.NoWalk(), cache.ErrNoWalk.Error()) }

// neverDumps says why no item can ever be read here; "" if one may be. Nothing is connected to for it.
func (e *engine) neverDumps() string {
	native, why := e.state()
	because := e.facts.NoMeta()
	switch {
	case because == "", !e.isSettled(), native != nil && native.CanWalk():
		return ""
	case native != nil:
		return e.noWalk() + norByProtocol + because
	}
	return why.Message + norByProtocol + because
}

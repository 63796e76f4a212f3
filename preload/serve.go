package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/host"
)

// A backdoor is the library at work in one memcached.
type backdoor struct {
	facts   *host.Facts
	cache   *cache.Cache // nil where this memcached cannot be used; then
	refusal *door.Error  // says why, to every call
	opened  time.Time
	most    int // calls at once

	mu     sync.Mutex
	status door.Status // the counters of it
	active int         // calls under way
}

// serve finds out about the host and answers calls until the process ends.
func serve(socket, program int, path string, bias uintptr) {
	defer rescue("no door: ")
	b := &backdoor{opened: time.Now(), most: callsAtOnce()}
	b.refusal = b.open(program, path, bias)
	if b.refusal != nil {
		say("no load can be served: %s", b.refusal.Message)
	}
	releaseStderr()
	debug.FreeOSMemory() // the analysis of the program leaves some MB behind

	listener, err := door.NewListener(socket)
	if err != nil {
		say("no door: %v", err)
		return
	}
	for {
		call, err := listener.Accept()
		if err != nil {
			say("the door is closed: %v", err)
			return
		}
		go b.answer(call)
	}
}

// callsAtOnce keeps a quarter of memcached's descriptors for us at most: a load
// has three.  memcached has set the limit itself, to -c.
func callsAtOnce() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 16
	}
	return int(min(max(limit.Cur/12, 4), 128))
}

// open finds memcached's functions and proves them; it returns nil or why the
// cache cannot be used.  program, the file at path, is closed.
func (b *backdoor) open(program int, path string, bias uintptr) (refusal *door.Error) {
	defer func() {
		if r := recover(); r != nil {
			refusal = &door.Error{Code: door.CodeInternal, Message: fmt.Sprintf("panic while looking at memcached: %v", r)}
		}
	}()
	if program < 0 {
		return unsupported("memcached's program file cannot be read: "+syscall.Errno(-program).Error(),
			"start memcached from a file that its user may read, and restart it after an upgrade")
	}
	file := os.NewFile(uintptr(program), path)
	defer file.Close()
	facts, err := host.Find(file, host.DebugFilesOf(path))
	b.facts = facts
	if refused, ok := errors.AsType[*host.Unsupported](err); ok {
		return unsupported(refused.Reason, refused.Hint)
	}
	if err != nil {
		return unsupported("memcached's program file: "+err.Error(), "")
	}
	if objection := workersObjection(); objection != "" {
		return unsupported(objection, "")
	}
	b.cache, err = cache.Open(facts, bias)
	if err != nil {
		return unsupported(fmt.Sprintf("memcached %v, functions found by route %s: %v", facts.Version, facts.Route, err),
			"report it with this memcached's package and version")
	}
	return nil
}

func unsupported(message, hint string) *door.Error {
	return &door.Error{Code: door.CodeHost, Message: message, Hint: hint}
}

// rescue keeps a panic from memcached: deferred in every goroutine.
func rescue(what string) {
	if r := recover(); r != nil {
		say("%spanic: %v\n%s", what, r, debug.Stack())
	}
}

// answer serves one call and closes it.
func (b *backdoor) answer(call *door.Call) {
	defer rescue("")
	defer call.Close()
	if !b.enter() {
		_ = call.Fail(&door.Error{
			Code:    door.CodeBusy,
			Message: fmt.Sprintf("%d calls are under way, more would take descriptors from memcached's clients", b.most),
			Hint:    "try again when some are done, or start memcached with a larger -c",
		})
		return
	}
	defer b.leave()
	if err := b.dispatch(call); err != nil && !errors.Is(err, door.ErrGone) {
		say("a call of process %d (uid %d): %v", call.Peer.PID, call.Peer.UID, err)
	}
}

func (b *backdoor) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Calls++
	if b.active >= b.most {
		return false
	}
	b.active++
	return true
}

func (b *backdoor) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active--
}

// dispatch receives the request and carries it out; a panic on the way is the
// call's answer.  Its error is one that the client could not be told.
func (b *backdoor) dispatch(call *door.Call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			say("panic: %v\n%s", r, debug.Stack())
			err = call.Fail(&door.Error{
				Code:    door.CodeInternal,
				Message: fmt.Sprintf("panic: %v", r),
				Hint:    "memcached is unharmed; report this with the lines on its stderr",
			})
		}
	}()
	debug.SetPanicOnFault(true)
	request, err := call.Receive()
	if err != nil {
		if errors.Is(err, door.ErrGone) {
			return err
		}
		return call.Fail(err)
	}
	beforeAnswer()
	if request.Op == door.OpStatus {
		return call.Finish(door.Reply{Status: b.describe()})
	}
	if b.refusal != nil {
		return call.Fail(b.refusal)
	}
	return b.load(call, request)
}

// describe makes the answer to a status request.
func (b *backdoor) describe() *door.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Library = version
	s.PID = os.Getpid()
	s.Workers = cache.Workers()
	s.Uptime = time.Since(b.opened).Seconds()
	if b.facts != nil {
		s.Memcached = b.facts.Version.String()
		s.BuildID = b.facts.BuildID
		s.Route = string(b.facts.Route)
	}
	if b.cache != nil {
		s.ItemSizeMax = b.cache.ItemSizeMax
	}
	return &s
}

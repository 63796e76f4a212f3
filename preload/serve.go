package main

/*
int descriptors_from(void);
unsigned descriptors_for_calls(void);
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/poll"
)

// A backdoor is the library at work in one memcached.
type backdoor struct {
	engine engine
	opened time.Time
	places places
	broken broken

	preloaded chan struct{} // closed when the fixtures are loaded

	mu     sync.Mutex
	status door.Status // the counters of it

	ended chan struct{} // has one when a call has ended that tidy has not seen
}

// serve finds out about the host, loads the fixtures, and answers calls until the process
// ends; socket is -1 where there is no door.
func serve(socket, program int, path string, bias uintptr) {
	defer rescue("no door: ")
	// The Go runtime opens two descriptors at the first timer (runtime/netpoll.go): now,
	// before memcached's clients want them, and not at a moment of its own.
	time.Sleep(time.Nanosecond)
	from := int(C.descriptors_from())
	for poll.Open(from) != nil { // ours is one more; without it nobody can be waited for
		time.Sleep(openAgain)
	}
	b := &backdoor{opened: time.Now(), preloaded: make(chan struct{}), ended: make(chan struct{}, 1)}
	fixtures := b.findFixtures()
	b.engine.find(program, path, bias)
	b.places = newPlaces(callsAtOnce(b.engine.descriptors()))
	if line := b.engine.announcement(); line != "" {
		say("%s", line)
	}
	if saveFile() != "" {
		go b.saveOnExit()
	}
	debug.FreeOSMemory() // the analysis of the program leaves some MB behind
	if fixtures != nil {
		go fixtures.run()
	} else {
		releaseStderr()
	}
	if socket < 0 {
		return
	}

	listener, err := door.NewListener(socket)
	if err != nil {
		say("no door: %v", err)
		return
	}
	listener.From = from
	go b.tidy()
	for {
		call, err := listener.Accept()
		if err != nil {
			say("the door is closed: %v", err)
			return
		}
		b.count(func(s *door.Status) { s.Calls++ })
		b.places.arrive(call)
		go b.answer(call)
		b.places.awaitRoom()
	}
}

// openAgain is the time between two tries to open a descriptor.
const openAgain = 100 * time.Millisecond

// callsAtOnce is for how many calls there are descriptors, of which a load takes each.
func callsAtOnce(each uint64) int {
	return int(min(max(uint64(C.descriptors_for_calls())/each, 4), 128))
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
	placed := false
	call.Admit = func(request door.Request) (err error) {
		b.places.speak(call)
		if request.Op != door.OpStatus {
			err = b.places.enter()
			placed = err == nil
		}
		return err
	}
	defer func() {
		call.Close()
		b.places.speak(call) // where it has ended without a request
		if placed {
			b.places.leave()
		}
		select {
		case b.ended <- struct{}{}:
		default:
		}
	}()
	if err := b.dispatch(call); err != nil && !errors.Is(err, door.ErrGone) {
		say("a call of process %d (uid %d): %v", call.Peer.PID, call.Peer.UID, err)
	}
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
	if err := b.awaitPreload(call, request.Detach); err != nil {
		return err
	}
	if request.Op == door.OpDump {
		return b.dump(call, request)
	}
	store, refusal := b.engine.target()
	if refusal != nil {
		return call.Fail(refusal)
	}
	return b.load(call, request, store)
}

// describe makes the answer to a status request.
func (b *backdoor) describe() *door.Status {
	store, refusal := b.engine.target()
	dumps, dumpsReason := b.engine.dumps(store)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Library = version
	s.PID = os.Getpid()
	s.Workers = cache.Workers()
	s.Uptime = time.Since(b.opened).Seconds()
	s.Engine, s.Reason = store.engine, store.reason
	s.Dumps, s.DumpsReason = dumps, dumpsReason
	if facts := b.engine.facts; facts != nil {
		if facts.Version != (host.Version{}) {
			s.Memcached = facts.Version.String()
		}
		s.BuildID = facts.BuildID
		s.Route = string(facts.Route)
	}
	if refusal == nil {
		s.ItemSizeMax = store.ItemSizeMax()
	}
	return &s
}

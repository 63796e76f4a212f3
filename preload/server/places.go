package server

import (
	"fmt"
	"slices"
	"sync"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/startup"
)

// silentMax is how many calls without a request there may be.
const silentMax = 16

// places are the places of calls. A status is answered also when all are taken: it takes one only while it asks memcached.
type places struct {
	limit int // how many there are

	mu     sync.Mutex
	taken  int
	silent []*door.Call  // calls without a request, the oldest first
	spoke  chan struct{} // has a value after a call has left silent
}

// newPlaces makes places for limit calls at once.
func newPlaces(limit int) places { return places{limit: limit, spoke: make(chan struct{}, 1)} }

// arrive adds a call to the silent ones.
func (p *places) arrive(call *door.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = append(p.silent, call)
}

// awaitRoom waits until another call may be silent. The oldest silent one has to end, or to send its request, within
// a moment (door.Call.Hurry).
func (p *places) awaitRoom() {
	for {
		oldest := p.tooMany()
		if oldest == nil {
			return
		}
		oldest.Hurry()
		for p.isSilent(oldest) {
			<-p.spoke
		}
	}
}

// tooMany returns the oldest silent call, if there are too many, or nil.
func (p *places) tooMany() *door.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.silent) <= silentMax {
		return nil
	}
	return p.silent[0]
}

func (p *places) isSilent(call *door.Call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.silent, call)
}

// speak removes a call from the silent ones, if it is still one of them.
func (p *places) speak(call *door.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = slices.DeleteFunc(p.silent, func(c *door.Call) bool { return c == call })
	select {
	case p.spoke <- struct{}{}:
	default:
	}
}

// enter takes a place. Its error is an [*door.Error].
func (p *places) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit {
		return &door.Error{
			Code:    door.CodeBusy,
			Message: fmt.Sprintf("%d calls are running, and there are no descriptors for more", p.limit),
			Hint:    "try again when some are done, or start memcached with a larger -c",
		}
	}
	p.taken++
	return nil
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
}

// calls is how many calls have a place.
func (p *places) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// callsAtOnce is how many calls the reserved descriptors are enough for: at least 4 and at most 128 (startup/fd.c).
func callsAtOnce() int {
	return min(max(startup.DescriptorsForCalls()/descriptorsPerCall, 4), 128)
}

// descriptorsPerCall is how many descriptors a call has at most. A load by protocol has the call, its input, an eventfd, two
// files for rejects, and both ends of a connection; natively an invalidation of listed keys has as many: the call, the list,
// an eventfd, and two connections while one takes the place of another. A native dump of listed keys has 6, with a
// connection for values in extstore.
const descriptorsPerCall = 7

package server

import (
	"fmt"
	"slices"
	"sync"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/startup"
)

// silentMax is how many connections may be there that have sent no request yet.
const silentMax = 16

// places are those that calls take. A status takes none: it is answered also when all are taken.
type places struct {
	most int // at once

	mu     sync.Mutex
	taken  int
	silent []*door.Call  // the oldest first
	spoke  chan struct{} // has one when the silent ones may have become fewer
}

// newPlaces has places for so many calls at once.
func newPlaces(most int) places { return places{most: most, spoke: make(chan struct{}, 1)} }

// arrive takes in a call that has no request yet.
func (p *places) arrive(call *door.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = append(p.silent, call)
}

// awaitRoom waits until there is room for another call without a request: the one that has been silent for
// longest has to make it, for which it has a moment.
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

// tooMany returns the oldest call without a request, if there are too many.
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

// speak takes call out of the silent ones, if it is still one of them.
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
	if p.taken >= p.most {
		return &door.Error{
			Code:    door.CodeBusy,
			Message: fmt.Sprintf("%d calls are under way, and there are no descriptors for more", p.most),
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

// calls is how many have a place.
func (p *places) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// callsAtOnce is for how many calls the reserved descriptors suffice: at least 4 and at most 128 (startup/fd.c).
func callsAtOnce(e *engine.Engine) int {
	return min(max(startup.DescriptorsForCalls()/descriptorsPerCall(e), 4), 128)
}

// descriptorsPerCall is how many a load takes at most: the call, its input, an eventfd and two files for rejects,
// and by protocol both ends of a connection.
func descriptorsPerCall(e *engine.Engine) int {
	if e.Reason() == nil {
		return 5
	}
	return 7
}

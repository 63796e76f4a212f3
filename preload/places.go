package main

import (
	"fmt"
	"slices"
	"sync"

	"memcached-backdoor/preload/door"
)

// silentMax is how many connections may be there that have sent no request yet.
const silentMax = 16

// places are those that calls take. A status takes none: it is answered also when all are taken.
type places struct {
	most int // at once

	mu     sync.Mutex
	taken  int
	silent []*door.Call // the oldest first
}

// arrive takes in a call that has no request yet. The one that has been silent for longest makes room.
func (p *places) arrive(call *door.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent = append(p.silent, call); len(p.silent) > silentMax {
		p.silent[0].Hurry()
		p.silent = slices.Delete(p.silent, 0, 1)
	}
}

// speak takes call out of the silent ones, if it is still one of them.
func (p *places) speak(call *door.Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = slices.DeleteFunc(p.silent, func(c *door.Call) bool { return c == call })
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

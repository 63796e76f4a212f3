package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"memcached-backdoor/preload/door"
)

// idleThreads is how many idle threads Go may keep: one for each processor, its monitor, the one
// that makes others, those that accept calls, wait for descriptors and serve, and two more.
var idleThreads = runtime.GOMAXPROCS(0) + 7

// endIdleThreads ends threads of Go that are more than idleThreads and one for each of busy goroutines. Go itself never
// ends them. memcached's threads are not concerned.
func endIdleThreads(busy int) {
	sample := []metrics.Sample{{Name: "/sched/threads/total:threads"}}
	metrics.Read(sample)
	for range int(sample[0].Value.Uint64()) - idleThreads - busy {
		// A thread ends with a goroutine that is locked to it. Other goroutines then run on an idle thread, as long
		// as there is one.
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
		}()
		<-locked
	}
}

// tidyAfter is how long the memory and threads of a call are kept for the next one.
const tidyAfter = time.Second

// tidy gives back the memory and threads of calls after one has ended.
func (s *Server) tidy() {
	defer rescue("")
	for range s.ended {
		time.Sleep(tidyAfter)
		busy := s.places.calls() + door.Left()
		endIdleThreads(busy)
		if busy == 0 {
			debug.FreeOSMemory()
		}
	}
}

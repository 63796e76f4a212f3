package server

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"memcached-backdoor/preload/door"
)

// idleThreads is how many threads Go may keep for later: one for each processor, its monitor, the one
// that makes others, those that take calls, wait for descriptors and serve, and two to spare.
var idleThreads = runtime.GOMAXPROCS(0) + 7

// endIdleThreads ends threads of Go's beyond those that busy goroutines may need; Go itself keeps
// them for ever. None of memcached's is among them.
func endIdleThreads(busy int) {
	sample := []metrics.Sample{{Name: "/sched/threads/total:threads"}}
	metrics.Read(sample)
	for range int(sample[0].Value.Uint64()) - idleThreads - busy {
		// A thread ends with a goroutine that is locked to it. Go takes an idle one for what is left to do,
		// while there is any.
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
		}()
		<-locked
	}
}

// tidyAfter is how long what a call has taken is kept for the next one.
const tidyAfter = time.Second

// tidy gives back what calls have taken, whenever one has ended.
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

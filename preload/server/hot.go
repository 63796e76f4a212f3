package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/hot"
)

// hot finds the keys with the most requests for a call, and answers it.
func (s *Server) hot(call *door.Call, request door.Request) error {
	if !s.searching.TryLock() {
		return call.Fail(&door.Error{
			Code: door.CodeBusy, Message: "another client reads memcached's log of requests", Hint: "try again when it has ended: two would cost memcached twice as much",
		})
	}
	defer s.searching.Unlock()
	log, err := s.engine.Log()
	if err != nil {
		return call.Fail(asError(err))
	}
	defer log.Close()
	loads := s.loads()
	loaded := false
	report := func(r *hot.Result) *door.HotKeys {
		loaded = loaded || s.loads() != loads || loads.active > 0
		return &door.HotKeys{
			Requests: r.Requests, Lines: r.Lines, Seen: r.Seen, Own: r.Own, Others: r.Others, Dropped: r.Dropped,
			Stores: log.Stores(), Unsized: r.Unsized, Loaded: loaded, Seconds: r.Seconds,
		}
	}
	hooks := hot.Hooks{
		Pause: func(d time.Duration) error {
			ready, err := call.Wait(false, -1, d)
			if err == nil && ready.Gone {
				err = door.ErrGone
			}
			return err
		},
		Progress: func(r *hot.Result) { call.Progress(door.Reply{Hot: report(r)}) },
	}
	result, err := hot.Find(log, request.Hot, hooks)
	gone := errors.Is(err, door.ErrGone)
	if err != nil && !gone {
		return call.Fail(asError(engine.Unlogged(err)))
	}
	outcome := report(result)
	outcome.Canceled = gone
	outcome.Keys = make([]door.HotKey, len(result.Keys))
	for i, k := range result.Keys {
		outcome.Keys[i] = door.HotKey(k)
	}
	return call.Finish(door.Reply{Hot: outcome})
}

// loadsSoFar tells whether a load has run.
type loadsSoFar struct {
	active int
	rows   uint64 // stored
}

func (s *Server) loads() loadsSoFar {
	s.mu.Lock()
	defer s.mu.Unlock()
	return loadsSoFar{s.status.Active, s.status.Stored}
}

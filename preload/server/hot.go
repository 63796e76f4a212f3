package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/option"
)

// hot finds the keys with the most requests for a call, and answers it.
func (s *Server) hot(call *door.Call, request door.Request) error {
	log, err := s.engine.Log()
	if err != nil {
		return call.Fail(asError(err))
	}
	defer log.Close()
	report := func(r *hot.Result) *door.HotKeys {
		return &door.HotKeys{
			Requests: r.Requests, Lines: r.Lines, Seen: r.Seen, Others: r.Others, Dropped: r.Dropped,
			Unsized: r.Unsized, Seconds: r.Seconds, Paused: r.Paused,
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
	result, err := hot.Find(log, &s.turns, request.Hot, hooks)
	if err == hot.ErrSearching {
		return call.Fail(&door.Error{Code: door.CodeBusy, Message: err.Error(), Hint: "try again when it has ended: two would cost memcached twice as much"})
	}
	if errors.As(err, new(*option.Error)) {
		return call.Fail(asError(err))
	}
	outcome := report(result)
	outcome.Canceled = errors.Is(err, door.ErrGone)
	outcome.Keys = make([]door.HotKey, len(result.Keys))
	for i, k := range result.Keys {
		outcome.Keys[i] = door.HotKey(k)
	}
	if err != nil && !outcome.Canceled {
		failed := asError(engine.Unlogged(err))
		if outcome.Lines > 0 {
			failed.Hot = outcome
		}
		return call.Fail(failed)
	}
	return call.Finish(door.Reply{Hot: outcome})
}

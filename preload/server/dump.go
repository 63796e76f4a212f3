package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

// dump dumps the cache to the output of a call, and answers it.
func (s *Server) dump(call *door.Call, request door.Request) error {
	wanted, err := filter.New(request.Filter)
	if err != nil {
		return call.Fail(asError(err))
	}
	source, err := s.engine.Source()
	if err != nil {
		return call.Fail(asError(err))
	}
	if source.Uncounted() {
		defer s.turns.Job()()
	}
	began := time.Now()
	report := func(c *dump.Counts) *door.Dump {
		return &door.Dump{
			Items: c.Items, Written: c.Written, Filtered: c.Filtered, Lost: c.Lost, Gone: c.Gone, Unwritten: c.Unwritten(), Unmarked: c.Unmarked, Keys: quoted(c.Keys),
			Bytes: c.Bytes, Part: c.Part, Seconds: time.Since(began).Seconds(), Engine: kinds[source.Kind], EngineReason: source.Reason,
		}
	}
	hooks := dump.Hooks{Fetch: source.Fetch, ClientGone: call.Gone}
	if request.Progress {
		hooks.Progress = func(c *dump.Counts) { call.Progress(door.Reply{Dump: report(c)}) }
	}
	var items walk.Source = source
	if request.Keys {
		items = walk.Listed(source, call.KeyList())
	}
	counts, err := dump.Dump(items, wanted, call.Output, request.Items, hooks)
	outcome := report(&counts)
	if errors.Is(err, door.ErrGone) {
		outcome.Canceled, err = true, nil
	}
	if err != nil {
		return call.Fail(dumpFailure(err, outcome))
	}
	return call.Finish(door.Reply{Dump: outcome})
}

// dumpFailure makes a call's error of that of a dump, with what the dump had done, if it had met an item or its key.
func dumpFailure(err error, outcome *door.Dump) *door.Error {
	e := asError(err)
	if outcome.Items+outcome.Gone > 0 {
		e.Dump = outcome
	}
	if _, ok := errors.AsType[*dump.WriteError](err); ok {
		e.Code = door.CodeWrite
	}
	return e
}

// quoted quotes the beginnings of keys, so that a terminal can show them.
func quoted(keys []string) []string {
	var shown []string
	for _, key := range keys {
		shown = append(shown, clip.Quote(key))
	}
	return shown
}

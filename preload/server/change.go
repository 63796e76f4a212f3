package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/change"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

// kindOf is what a request makes of items.
func kindOf(request door.Request) walk.Change {
	switch {
	case request.Op == door.OpTouch:
		return walk.Touch
	case request.Invalidate:
		return walk.Invalidate
	}
	return walk.Delete
}

// change deletes, invalidates or touches items, and answers the call.
func (s *Server) change(call *door.Call, request door.Request) error {
	wanted, err := filter.New(request.Filter)
	if err != nil {
		return call.Fail(asError(err))
	}
	source, err := s.engine.Changer(kindOf(request), wanted.Conditions())
	if err != nil {
		return call.Fail(asError(err))
	}
	if source.Changes != nil {
		defer source.Changes.Close()
	}
	if source.Uncounted() {
		defer s.turns.Job()()
	}
	began := time.Now()
	report := func(c *change.Counts) *door.Changed {
		return &door.Changed{
			Items: c.Items, Changed: c.Changed, Spared: c.Spared, Replaced: c.Replaced, Gone: c.Gone, Left: c.Left(), Keys: quoted(c.Keys), DryRun: request.DryRun,
			Part: c.Part, Seconds: time.Since(began).Seconds(), Engine: kinds[source.Kind], EngineReason: source.Reason,
		}
	}
	hooks := change.Hooks{ClientGone: call.Gone}
	if request.Progress {
		hooks.Progress = func(c *change.Counts) { call.Progress(door.Reply{Changed: report(c)}) }
	}
	items, changes := walk.Source(source), source.Changes
	if request.Keys {
		items = walk.Listed(source, call.KeyList())
	}
	if request.DryRun {
		changes = nil
	}
	counts, err := change.Change(items, wanted, changes, request.Change, request.Limits, hooks)
	outcome := report(&counts)
	if errors.Is(err, door.ErrGone) {
		outcome.Canceled, err = true, nil
	}
	if err != nil {
		failed := asError(err)
		if counts.Items > 0 {
			failed.Changed = outcome
		}
		return call.Fail(failed)
	}
	return call.Finish(door.Reply{Changed: outcome})
}

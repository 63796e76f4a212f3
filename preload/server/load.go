package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/startup"
)

// optionsOf are a request's, for package load.
func optionsOf(call *door.Call, request door.Request) load.Options {
	options := load.Options{
		Record:      request.Rows,
		Limits:      request.Limits,
		Detach:      request.Detach,
		RejectsKept: door.MaxRejects,
		Sample:      load.NewSample(),
	}
	if request.DryRun {
		options.FirstKept = door.MaxFirst
	}
	if request.Rejects {
		options.Rejects, options.Reasons = call.Rejects, call.Reasons
	}
	return options
}

// load loads the rows of a call, and answers it.
func (s *Server) load(call *door.Call, request door.Request, target engine.Target) error {
	if target.Kind == engine.Native && !request.DryRun {
		defer s.turns.Job()()
	}
	var store batch.Store = target
	options := optionsOf(call, request)
	var err error
	if options.Wanted, err = filter.New(request.Filter); err != nil {
		return call.Fail(asError(err))
	}
	file, isFile := call.Input.FileID() // as it was when it was received: one that changes meanwhile is another one
	chosen := rowOptions{request.Rows, request.Filter}
	var resumed interruptedLoad
	restarted := ""
	if request.Resume {
		if !isFile {
			return call.Fail(&door.Error{Code: door.CodeRequest, Message: "only a load of a file can be resumed: the rows of a pipe are gone"})
		}
		resumed, restarted = s.interrupted.resume(file, chosen, store)
		options.From = resumed.position
	}
	if request.DryRun {
		store = slabs.Trial{Store: store}
	}
	began := time.Now()
	report := func(c *load.Counts) *door.Load {
		l := report(c, time.Since(began))
		l.Engine, l.EngineReason, l.DryRun = kinds[target.Kind], target.Reason, request.DryRun
		l.Resumed, l.ResumedBytes = options.From.Lines, uint64(options.From.Offset)
		l.Restarted, l.ValueBytes = restarted, options.Sample.Lengths.Values
		return l
	}
	if request.Progress {
		options.Progress = func(c *load.Counts) { call.Progress(door.Reply{Load: report(c)}) }
	}
	counts, err := s.counted(request.DryRun, func() (load.Counts, error) { return load.Load(store, source{call}, options) })
	outcome := report(&counts)
	if request.DryRun {
		outcome.First = firstOf(counts.First)
		outcome.Memory = memoryOf(s.engine.Memory(target, options.Sample))
	} else {
		if isFile {
			s.interrupted.update(file, resumed, chosen, options, &counts, err)
		}
		if err == nil && !counts.Canceled {
			outcome.Gone = goneOf(s.engine.Gone(store, options.Sample, counts.Stored))
		}
	}
	reply := door.Reply{Load: outcome}
	if err != nil {
		reply = door.Reply{Error: failure(err, outcome)}
	}
	err = call.Finish(reply)
	if errors.Is(err, door.ErrGone) {
		// The log gets the outcome instead.
		startup.Say("a load of process %d, whose client has gone: %d rows read, %d stored, %d rejected, %d skipped",
			call.Peer.PID, counts.Rows, counts.Stored, counts.Rejected, counts.Skipped)
	}
	return err
}

// counted counts a load in the status while it runs, and then what it has done, unless it is a dry run.
func (s *Server) counted(dryRun bool, run func() (load.Counts, error)) (counts load.Counts, err error) {
	s.count(func(status *door.Status) { status.Active++ })
	defer s.count(func(status *door.Status) {
		status.Active--
		if dryRun {
			return
		}
		status.Stored += counts.Stored
		status.Rejected += counts.Rejected
		status.Skipped += counts.Skipped
	})
	return run()
}

// source is the input of a call, as a load.Source.
type source struct{ call *door.Call }

func (s source) Wait(input bool, done int, limit time.Duration) (load.Ready, error) {
	ready, err := s.call.Wait(input, done, limit)
	return load.Ready(ready), err
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.call.Input.TryRead(p)
	if errors.Is(err, door.ErrNoInput) {
		return 0, nil
	}
	return n, err
}

func (s source) Left() int64 { return s.call.Input.Left() }

func (s source) SeekTo(offset int64) error { s.call.Input.SeekTo(offset); return nil }

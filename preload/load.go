package main

import (
	"errors"
	"strconv"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/slabs"
)

// keyShown is how many bytes of a rejected row's key a reply carries.
const keyShown = 64

var commands = map[door.Mode]record.Command{
	"":               record.Set,
	door.ModeSet:     record.Set,
	door.ModeAdd:     record.Add,
	door.ModeReplace: record.Replace,
}

// optionsOf are a request's, for package load. The error is an [*door.Error].
func (b *backdoor) optionsOf(call *door.Call, request door.Request) (load.Options, error) {
	limit, err := load.ParseMaxErrors(request.MaxErrors)
	if err != nil {
		return load.Options{}, &door.Error{Code: door.CodeRequest, Message: err.Error(), Hint: "a number of rows, or a part of them, such as 5%"}
	}
	options := load.Options{
		Record: record.Options{
			Format:        record.Format(request.From),
			Null:          record.Null(request.Null),
			Header:        request.Header,
			Key:           request.Key,
			Value:         request.Value,
			TTLColumn:     request.TTLColumn,
			ExpiresColumn: request.ExpiresColumn,
			FlagsColumn:   request.FlagsColumn,
			TTL:           request.TTL,
			Flags:         request.Flags,
			Command:       commands[request.Mode],
			Override:      request.Mode != "",
		},
		Detach:      request.Detach,
		Rate:        request.Rate,
		Gentle:      request.Gentle,
		MaxErrors:   limit,
		RejectsKept: door.MaxRejects,
		Sample:      load.NewSample(),
	}
	if request.Rejects {
		options.Rejects, options.Reasons = call.Rejects, call.Reasons
	}
	return options, nil
}

// load carries a load out and reports it.
func (b *backdoor) load(call *door.Call, request door.Request, target target) error {
	var store batch.Store = target
	options, err := b.optionsOf(call, request)
	if err != nil {
		return call.Fail(err)
	}
	file, isFile := call.Input.FileID() // as it was when it came: one that changes meanwhile is another
	var earlier brokenLoad
	restarted := ""
	if request.Resume {
		if !isFile {
			return call.Fail(&door.Error{Code: door.CodeRequest, Message: "only a load of a file can be resumed: the rows of a pipe are gone"})
		}
		earlier, restarted = b.broken.resume(file, options.Record, store)
		options.From = earlier.at
	}
	var memory *slabs.Memory
	var unknown error
	if request.DryRun {
		memory, _, unknown = b.engine.memory()
		store = slabs.Trial{Store: store, Memory: memory}
	}
	began := time.Now()
	report := func(c *load.Counts) *door.Load {
		l := report(c, time.Since(began))
		l.Engine, l.EngineReason, l.DryRun = target.engine, target.reason, request.DryRun
		l.Resumed, l.ResumedBytes = options.From.Lines, uint64(options.From.Offset)
		l.Restarted = restarted
		return l
	}
	if request.Progress {
		options.Progress = func(c *load.Counts) { call.Progress(door.Reply{Load: report(c)}) }
	}
	counts, err := b.counted(request.DryRun, func() (load.Counts, error) { return load.Load(store, source{call}, options) })
	outcome := report(&counts)
	if request.DryRun {
		outcome.Memory = trialMemory(memory, unknown)
	} else {
		if isFile {
			b.broken.keep(file, earlier, options, &counts, err)
		}
		if err == nil && !counts.Canceled {
			outcome.Gone = b.engine.gone(store, options.Sample, counts.Stored)
		}
	}
	reply := door.Reply{Load: outcome}
	if err != nil {
		reply = door.Reply{Error: failure(err, outcome)}
	}
	err = call.Finish(reply)
	if errors.Is(err, door.ErrGone) {
		// Nobody to tell: the log has it.
		say("a load of process %d, whose client has gone: %d rows read, %d stored, %d rejected, %d skipped",
			call.Peer.PID, counts.Rows, counts.Stored, counts.Rejected, counts.Skipped)
	}
	return err
}

// counted counts a load in the status while it runs, and what it has done, if it is no dry run.
func (b *backdoor) counted(dryRun bool, run func() (load.Counts, error)) (counts load.Counts, err error) {
	b.count(func(s *door.Status) { s.Active++ })
	defer b.count(func(s *door.Status) {
		s.Active--
		if dryRun {
			return
		}
		s.Stored += counts.Stored
		s.Rejected += counts.Rejected
		s.Skipped += counts.Skipped
	})
	return run()
}

// failure is the error that a load ended with, and what it had done before.
func failure(err error, outcome *door.Load) *door.Error {
	e := &door.Error{Code: door.CodeInternal, Message: err.Error(), Load: outcome}
	switch wrong, ok := errors.AsType[*record.OptionError](err); {
	case ok:
		e.Code, e.Hint = door.CodeRequest, wrong.Hint
		if outcome.Rows == 0 {
			e.Load = nil // no row was read at all
		}
	case errors.Is(err, load.ErrRead):
		e.Code = door.CodeRead
	case errors.Is(err, load.ErrWrite):
		e.Code, e.Hint = door.CodeWrite, "make room there, or name a file elsewhere"
	}
	return e
}

func (b *backdoor) count(change func(*door.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// report gives the counts the form in which they travel.
func report(c *load.Counts, took time.Duration) *door.Load {
	l := &door.Load{
		Rows:     c.Rows,
		Stored:   c.Stored,
		Rejected: c.Rejected,
		Skipped:  c.Skipped,
		Bytes:    c.Bytes,
		Canceled: c.Canceled,
		Limited:  c.Limited,

		Incomplete: c.Incomplete,
		Seconds:    took.Seconds(),
	}
	for reason, n := range c.Reasons {
		if l.Reasons == nil {
			l.Reasons = make(map[string]uint64)
		}
		l.Reasons[string(reason)] = n
	}
	for _, r := range c.Rejects {
		reject := door.Reject{Line: r.Line, Column: r.Column, Reason: string(r.Reason)}
		if len(r.Key) > 0 {
			reject.Key = strconv.Quote(string(r.Key[:min(len(r.Key), keyShown)]))
		}
		l.Rejects = append(l.Rejects, reject)
	}
	return l
}

// source is a call as a load sees it.
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

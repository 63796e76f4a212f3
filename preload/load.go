package main

import (
	"errors"
	"strconv"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/load"
)

// keyShown is how many bytes of a rejected row's key a reply carries.
const keyShown = 64

var commands = map[door.Mode]batch.Command{
	"":               batch.Set,
	door.ModeSet:     batch.Set,
	door.ModeAdd:     batch.Add,
	door.ModeReplace: batch.Replace,
}

// load carries a load out and reports it.
func (b *backdoor) load(call *door.Call, request door.Request, store batch.Store) error {
	b.count(func(s *door.Status) { s.Active++ })
	began := time.Now()
	name, reason := b.engine.names()
	report := func(c *load.Counts) *door.Load {
		l := report(c, time.Since(began))
		l.Engine, l.EngineReason = name, reason
		return l
	}
	options := load.Options{
		Options: batch.Options{Command: commands[request.Mode], Flags: request.Flags, TTL: request.TTL},
		Detach:  request.Detach,
		Rate:    request.Rate,
		Gentle:  request.Gentle,
	}
	if request.Progress {
		options.Progress = func(c *load.Counts) { call.Progress(report(c)) }
	}
	counts, err := load.Load(store, source{call}, options)
	b.count(func(s *door.Status) {
		s.Active--
		s.Stored += counts.Stored
		s.Rejected += counts.Rejected
		s.Skipped += counts.Skipped
	})

	reply := door.Reply{Load: report(&counts)}
	if err != nil {
		failure := &door.Error{Code: door.CodeInternal, Message: err.Error(), Load: reply.Load}
		if errors.Is(err, load.ErrRead) {
			failure.Code = door.CodeRead
		}
		reply = door.Reply{Error: failure}
	}
	err = call.Finish(reply)
	if errors.Is(err, door.ErrGone) {
		// Nobody to tell: the log has it.
		say("a load of process %d, whose client has gone: %d rows read, %d stored, %d rejected, %d skipped",
			call.Peer.PID, counts.Rows, counts.Stored, counts.Rejected, counts.Skipped)
	}
	return err
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
		Seconds:  took.Seconds(),
	}
	for reason, n := range c.Reasons {
		if l.Reasons == nil {
			l.Reasons = make(map[string]uint64)
		}
		l.Reasons[string(reason)] = n
	}
	for _, r := range c.Rejects {
		l.Rejects = append(l.Rejects, door.Reject{
			Line:   r.Line,
			Reason: string(r.Reason),
			Key:    strconv.Quote(string(r.Key[:min(len(r.Key), keyShown)])),
		})
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

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
)

// A sink is the target of a copy.
type sink interface {
	// take takes the items of a dump in format ms, and closes it. Its answer has what became of them: also with an
	// error, if that is known. Each item is added to v, unless that is nil.
	take(dump *os.File, v *verification) (<-chan answer[*door.Load], error)
	// stop makes take end before the end of the dump.
	stop()
	// verify compares the target with what was copied, and with the source as it is now.
	verify(v *verification, source *dumping) error
	// waits is what the target must do before the copy continues; "": it works, or has a limit.
	waits() string
	// is reports whether it is the memcached that is copied, which has a status.
	is(source *caller, status *door.Status) (bool, error)
	// name is what it is, for a person.
	name() string
	// close ends it, whatever it does.
	close()
}

// copying is a copy.
type copying struct {
	caller   // of the source
	command  *copyCommand
	to       sink
	verified *verification // nil: nothing is verified
}

// copy copies the items, and returns counts if it is known what was done, also with an error.
func (c *copying) copy() (*copyCounts, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	widen(w, pipeSize)
	taken, err := c.to.take(r, c.verified)
	if err != nil {
		return nil, err
	}
	request := c.command.request()
	request.Progress = c.shown != noProgress{}
	if err := conn.Call(request, w); err != nil {
		return nil, err
	}
	w.Close() // only memcached writes
	began := time.Now()
	ends := c.follow(conn, taken)
	counts := ends.counts()
	counts.To, counts.Seconds = c.to.name(), time.Since(began).Seconds()
	return counts, ends.verdict(counts)
}

// copyEnds is how both sides of a copy ended.
type copyEnds struct {
	dump                *door.Dump // nil: not known
	load                *door.Load // nil: not known
	dumpErr, loadErr    error
	interrupted, silent bool // silent: one of them has not ended
}

// follow follows both sides to their ends. A side that fails closes its end of the pipe, which ends the other.
func (c *copying) follow(conn *door.Conn, taken <-chan answer[*door.Load]) (ends copyEnds) {
	dumped := answersOf(conn)
	silence := time.NewTicker(silenceLimit)
	defer silence.Stop()
	defer c.shown.clear()
	var limit <-chan time.Time
	s := &source{name: "the cache"}
	for dumped != nil || taken != nil {
		select {
		case a := <-dumped:
			if a.err == nil && a.value.Type == door.TypeProgress {
				showDump(c.shown, s, a.value.Dump)
				continue
			}
			reply, err := judge(a, door.OpDump, errLostDump)
			ends.dump, ends.dumpErr, dumped = reply.Dump, err, nil
		case a := <-taken:
			ends.load, ends.loadErr, taken = a.value, a.err, nil
		case <-c.signals:
			if ends.interrupted {
				ends.silent = true
				return ends
			}
			ends.interrupted, limit = true, time.After(cancelLimit)
			_ = conn.Cancel()
			c.to.stop()
		case <-limit:
			ends.silent = true
			return ends
		case <-silence.C:
			what := ""
			if dumped != nil {
				what = awaited(conn)
			}
			if what == "" && taken != nil {
				what = c.to.waits()
			}
			if what != "" {
				c.warn(what)
			}
		}
	}
	return ends
}

// counts accounts for the items, as far as both sides have said.
func (e *copyEnds) counts() *copyCounts {
	c := &copyCounts{}
	if l := e.load; l != nil {
		c.Copied, c.Rejected, c.Skipped = l.Stored, l.Rejected, l.Skipped
		c.Reasons, c.Rejects, c.Gone = l.Reasons, l.Rejects, l.Gone
		c.TargetEngine, c.TargetReason = l.Engine, l.EngineReason
		c.Items = l.Rows // at least these
	}
	if d := e.dump; d != nil {
		c.Items = max(d.Items, c.Items+d.Filtered+d.Lost)
		c.Filtered, c.Lost, c.Bytes, c.LostKeys = d.Filtered, d.Lost, d.Bytes, d.Keys
		c.Engine, c.EngineReason = d.Engine, d.EngineReason
	}
	c.Left = c.Items - c.Copied - c.Rejected - c.Skipped - c.Filtered - c.Lost
	return c
}

// verdict is the error with which the copy ends. If one side has failed, the error of the other is that it has gone.
func (e *copyEnds) verdict(c *copyCounts) error {
	broken, _ := errors.AsType[*door.Error](e.dumpErr)
	switch {
	case e.interrupted && e.silent:
		return errCopyUnknown
	case e.interrupted:
		return errInterrupted
	case e.loadErr != nil && (e.dumpErr == nil || broken != nil && broken.Code == door.CodeWrite):
		return fmt.Errorf("the target: %w", e.loadErr)
	case e.dumpErr != nil:
		return fmt.Errorf("the source: %w", e.dumpErr)
	case e.dump.Canceled:
		return fmt.Errorf("the source: %w", errDumpCanceled)
	case e.load.Canceled:
		return fmt.Errorf("the target: %w", errCanceled)
	case c.Left > 0 || e.load.Incomplete && c.Lost == 0:
		return fmt.Errorf("the counts do not add up: both sides are done, and %s are not accounted for", door.Count(c.Left, "item"))
	}
	return nil
}

// doorSink is a memcached with a door.
type doorSink struct {
	caller
	conn    *door.Conn
	request door.Request
}

func (s *doorSink) name() string  { return "the door " + s.door }
func (s *doorSink) waits() string { return awaited(s.conn) }
func (s *doorSink) stop()         { _ = s.conn.Cancel() }
func (s *doorSink) close()        { s.conn.Close() }

// is compares the processes that have opened the doors.
func (s *doorSink) is(source *caller, _ *door.Status) (bool, error) {
	conn, err := source.dial()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	pid := conn.Peer()
	return pid > 0 && pid == s.conn.Peer(), nil
}

func (s *doorSink) take(dump *os.File, v *verification) (<-chan answer[*door.Load], error) {
	if v != nil {
		var err error
		if dump, err = v.watch(dump); err != nil {
			return nil, err
		}
	}
	defer dump.Close()
	if err := s.conn.Call(s.request, dump); err != nil {
		return nil, fmt.Errorf("the target: %w", err)
	}
	answers := answersOf(s.conn)
	return ask(func() (*door.Load, error) {
		reply, err := judge(<-answers, door.OpLoad, errLostLoad)
		return reply.Load, err
	}), nil
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
)

// cancelLimit is how long an interrupted client waits for the outcome.
const cancelLimit = 2 * time.Second

// Run loads the sources and accounts for them.
func (c *loadCommand) Run(line *commandLine) error {
	var all outcome
	err := c.loadAll(line.doorPath(), &all)
	return all.finish(line.JSON, err)
}

// loadAll loads each source with a call of its own, one after the other, and
// stops at the first that fails.
func (c *loadCommand) loadAll(path string, all *outcome) error {
	signals := interrupts()
	sources, err := orInterrupted(signals, func() ([]*source, error) { return openSources(c.Files) })
	if err != nil {
		return err
	}
	all.several = len(sources) > 1
	shown, err := newProgress(c.Progress, all.several)
	if err != nil {
		return err
	}
	rejects, err := createRejects(c.Rejects)
	if err != nil {
		return err
	}
	for _, s := range sources {
		var counts *door.Load
		counts, err = c.load(path, s, rejects, shown, signals)
		if counts != nil {
			err = cmp.Or(err, all.add(s.name, counts))
			shown.result(s, counts)
		}
		if err != nil {
			err = all.blame(s.name, err)
			break
		}
	}
	rejects.close(!errors.Is(err, errDetached) && !errors.Is(err, errNoOutcome))
	return err
}

// load makes one call. It returns the counts, if there are any, also with an
// error.
func (c *loadCommand) load(path string, s *source, rejects *rejectFiles, shown progress, signals <-chan os.Signal) (*door.Load, error) {
	conn, err := orInterrupted(signals, func() (*door.Conn, error) { return door.Dial(path) })
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := conn.Call(c.request(s, shown), append([]*os.File{s.file}, rejects.files()...)...); err != nil {
		return nil, err
	}
	s.sent()

	answers := answersOf(conn)
	a, came := await(answers, signals, nil, func(counts *door.Load) { shown.show(s, counts) })
	shown.clear()
	if came {
		counts, err := judge(a)
		if err == nil && counts.Canceled {
			err = errCanceled
		}
		if err == nil && counts.Limited {
			err = errLimited
		}
		return counts, cmp.Or(err, s.failed())
	}
	if c.Detach {
		return nil, errDetached
	}
	return c.cancel(conn, answers, signals)
}

// answersOf reads the replies to a call, until one is not of progress.
func answersOf(conn *door.Conn) <-chan answer[door.Reply] {
	answers := make(chan answer[door.Reply])
	go func() {
		for {
			reply, err := conn.Next()
			answers <- answer[door.Reply]{reply, err}
			if err != nil || reply.Type != door.TypeProgress {
				return
			}
		}
	}()
	return answers
}

// await waits for the answer that ends a call, and shows those before it. A signal and,
// if it is not nil, timeout end the waiting.
func await(answers <-chan answer[door.Reply], signals <-chan os.Signal, timeout <-chan time.Time, show func(*door.Load)) (a answer[door.Reply], came bool) {
	for {
		select {
		case a := <-answers:
			if a.err != nil || a.value.Type != door.TypeProgress {
				return a, true
			}
			show(a.value.Load)
		case <-signals:
			return a, false
		case <-timeout:
			return a, false
		}
	}
}

// request is what the door is asked for.
func (c *loadCommand) request(s *source, shown progress) door.Request {
	return door.Request{
		Version: door.Protocol,
		Op:      door.OpLoad,

		TTL:    int64(c.TTL),
		Flags:  c.Flags,
		Mode:   door.Mode(c.Mode),
		Rate:   uint64(c.Rate),
		Gentle: c.Gentle,
		Detach: c.Detach,

		From:          cmp.Or(c.From, s.format()),
		Null:          c.Null,
		Header:        c.Header,
		Key:           c.Key,
		Value:         c.Value,
		TTLColumn:     c.TTLColumn,
		ExpiresColumn: c.ExpiresColumn,
		FlagsColumn:   c.FlagsColumn,

		Rejects:   c.Rejects != "",
		MaxErrors: c.MaxErrors,

		DryRun: c.DryRun,
		Resume: c.Resume,

		Progress: shown != noProgress{},
	}
}

// cancel stops the call and waits for what had been done. A second signal ends
// the waiting.
func (c *loadCommand) cancel(conn *door.Conn, answers <-chan answer[door.Reply], signals <-chan os.Signal) (*door.Load, error) {
	if err := conn.Cancel(); err != nil {
		return nil, errNoOutcome
	}
	a, came := await(answers, signals, time.After(cancelLimit), func(*door.Load) {})
	if !came {
		return nil, errNoOutcome
	}
	if counts, _ := judge(a); counts != nil {
		return counts, errInterrupted
	}
	return nil, errNoOutcome
}

// judge takes the counts out of a reply. A failed call may have some as well.
func judge(a answer[door.Reply]) (*door.Load, error) {
	if errors.Is(a.err, door.ErrLost) {
		return nil, errLostLoad
	}
	if e, ok := errors.AsType[*door.Error](a.err); ok {
		return e.Load, e
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.value.Type != door.TypeResult {
		return nil, fmt.Errorf("memcached answered a load with %q", a.value.Type)
	}
	return a.value.Load, nil
}

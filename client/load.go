package main

import (
	"cmp"
	"errors"

	"memcached-backdoor/preload/door"
)

// Run loads the sources and accounts for them.
func (c *loadCommand) Run(line *commandLine) error {
	var all outcome
	err := c.loadAll(line.doorPath(), &all)
	return all.finish(line.JSON, err)
}

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
	l := loading{door: path, request: c.request, rejects: rejects, shown: shown, signals: signals}
	err = l.loadAll(sources, all)
	rejects.close(!errors.Is(err, errDetached) && !errors.Is(err, errNoOutcome))
	return err
}

// request is what the door is asked for.
func (c *loadCommand) request(s *source) door.Request {
	request := c.storing.request()
	request.From = cmp.Or(c.From, s.format())
	request.Null = c.Null
	request.Header = c.Header
	request.Key = c.Key
	request.Value = c.Value
	request.TTLColumn = c.TTLColumn
	request.ExpiresColumn = c.ExpiresColumn
	request.FlagsColumn = c.FlagsColumn
	request.Rejects = c.Rejects != ""
	request.MaxErrors = c.MaxErrors
	request.Resume = c.Resume
	return request
}

// request is what the options ask the door for.
func (s *storing) request() door.Request {
	return door.Request{
		Version: door.Protocol,
		Op:      door.OpLoad,

		TTL:    int64(s.TTL),
		Flags:  s.Flags,
		Mode:   door.Mode(s.Mode),
		Rate:   uint64(s.Rate),
		Gentle: s.Gentle,
		Detach: s.Detach,
		DryRun: s.DryRun,
	}
}

package main

import (
	"cmp"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// Run loads the sources and accounts for them.
func (c *loadCommand) Run(line *commandLine) error {
	all := outcome{unit: "row", expect: c.ExpectRows}
	l := loading{caller: newCaller(line, interrupts(), noProgress{}, 0), request: c.request}
	err := l.loadFiles(c.Files, c.Progress, c.Rejects, &all)
	return all.finish(line.JSON, err)
}

// request makes the request for a source.
func (c *loadCommand) request(s *source) door.Request {
	request := c.storing.request()
	request.Rows.Format = cmp.Or(record.Format(c.From), s.format())
	request.Null = record.Null(c.Null)
	request.Delimiter = string(c.Delimiter)
	request.Quote = string(c.Quote)
	request.Escape = string(c.Escape)
	request.Header = c.Header
	request.Key = c.Key
	request.Value = c.Value
	request.Decode = record.Encoding(c.Decode)
	request.TTLColumn = c.TTLColumn
	request.ExpiresColumn = c.ExpiresColumn
	request.FlagsColumn = c.FlagsColumn
	request.JSONColumns = c.JSONColumns
	request.AllowExtra = c.AllowExtra
	c.marking.add(&request)
	c.FlagsFor.add(&request)
	c.naming.add(&request)
	c.rejection.add(&request)
	request.Resume = c.Resume
	return request
}

// request makes a request with the options.
func (s *storing) request() door.Request {
	return door.Request{
		Version: door.Protocol,
		Op:      door.OpLoad,

		Rows:   door.Rows{Mode: record.Mode(s.Mode)},
		Limits: door.Limits{Rate: uint64(s.Rate), Gentle: s.Gentle},
		Detach: s.Detach,
		DryRun: s.DryRun,
	}
}

func (n *naming) add(request *door.Request) {
	request.KeyPrefix, request.HashLongKeys = n.KeyPrefix, n.HashLongKeys
}

func (m *marking) add(request *door.Request) {
	request.TTL, request.Flags, request.TTLJitter = int64(m.TTL), m.Flags, m.TTLJitter
}

func (r *rejection) add(request *door.Request) {
	request.Rejects, request.MaxErrors = r.Rejects != "", r.MaxErrors
}

package main

import (
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

type restoreCommand struct {
	Files []string `arg:"" optional:"" name:"FILE" complete:"FILE" help:"Dumps to read, one after the other, also compressed ones; - is standard input."`

	Resume bool `group:"Input:" help:"Continue an interrupted restore of the same file with the same options; from the beginning if there was none, if the file has changed, or if the stored items are no longer in the cache."`
	expecting

	selectingDumped
	storing
	naming
	rejection
}

// Run stores the items of dumps and accounts for them.
func (c *restoreCommand) Run(line *commandLine) error {
	all := outcome{unit: "item", expect: c.ExpectRows}
	l := loading{caller: newCaller(line, interrupts(), noProgress{}, 0), request: c.request}
	err := l.loadFiles(c.Files, c.Progress, c.Rejects, &all)
	return all.finish(line.JSON, err)
}

// request makes the request for a source.
func (c *restoreCommand) request(*source) door.Request {
	request := c.storing.request()
	request.Rows.Format = record.Dump
	request.Filter = c.filter()
	c.naming.add(&request)
	c.rejection.add(&request)
	request.Resume = c.Resume
	return request
}

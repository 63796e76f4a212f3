package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
)

type dumpCommand struct {
	File string `arg:"" optional:"" name:"FILE" complete:"FILE" help:"The file to write, which appears when it is complete. Otherwise, or if it is -, standard output."`

	Format   string     `group:"Items:" placeholder:"FORMAT" complete:"ms,jsonl,csv" help:"How the items are written: ms, memcached's own commands with a checksum each, which restore reads; jsonl, an object a line; csv, with a header. Otherwise ms."`
	Prefix   string     `group:"Items:" placeholder:"TEXT" help:"Only items whose keys begin with that."`
	Match    string     `group:"Items:" placeholder:"PATTERN" help:"Only items whose keys are like that: * stands for any bytes, ? for one."`
	MinTTL   timeToLive `group:"Items:" name:"min-ttl" placeholder:"TIME" help:"Only items that do not expire within that time: seconds, or a duration such as 10m or 24h."`
	KeysOnly bool       `group:"Items:" help:"No values: a key a line, or with the formats jsonl and csv also its value's size, flags and date."`

	Progress string `group:"Output:" enum:"auto,none,json" default:"auto" placeholder:"HOW" help:"Progress on standard error: auto, a line if it is a terminal; none; json, an event a line."`
}

// Run dumps the cache and accounts for the items.
func (c *dumpCommand) Run(line *commandLine) error {
	signals := interrupts()
	shown, err := newProgress(c.Progress, false)
	if err != nil {
		return err
	}
	to, err := orInterrupted(signals, func() (*target, error) { return openTarget(c.File) })
	if err != nil {
		return err
	}
	counts, err := c.dump(line.doorPath(), to, shown, signals)
	err = to.finish(err)
	if counts == nil {
		return err
	}
	err = cmp.Or(err, counts.Check())
	if err == nil && counts.Lost > 0 {
		err = errItemsLost
	}
	return printDump(counts, to, line.JSON, err)
}

// dump makes the call. It returns the counts, if there are any, also with an error.
func (c *dumpCommand) dump(path string, to *target, shown progress, signals <-chan os.Signal) (*door.Dump, error) {
	conn, err := orInterrupted(signals, func() (*door.Conn, error) { return door.Dial(path) })
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := door.Request{
		Version: door.Protocol, Op: door.OpDump,
		To: c.Format, Prefix: c.Prefix, Match: c.Match, MinTTL: int64(c.MinTTL), KeysOnly: c.KeysOnly,
		Progress: shown != noProgress{},
	}
	if err := conn.Call(request, to.passed()); err != nil {
		return nil, err
	}
	to.sent()
	// Of a dump it is not bytes that are known beforehand, but how much of the cache lies behind.
	s := &source{name: cmp.Or(c.File, "standard output")}
	show := func(r door.Reply) {
		if d := r.Dump; d != nil && d.Part > 0 {
			s.rows = uint64(float64(d.Items) / d.Part)
			shown.show(s, &door.Load{Rows: d.Items, Stored: d.Written, Skipped: d.Filtered, Rejected: d.Lost, Bytes: d.Bytes, Seconds: d.Seconds})
		}
	}
	answers := answersOf(conn)
	a, came := await(answers, signals, nil, show)
	shown.clear()
	if !came {
		if conn.Cancel() == nil {
			a, came = await(answers, signals, time.After(cancelLimit), func(door.Reply) {})
		}
		if !came || a.value.Dump == nil {
			return nil, errInterrupted
		}
		return a.value.Dump, errInterrupted
	}
	reply, err := judge(a, door.OpDump, errLostDump)
	if err == nil && reply.Dump.Canceled {
		err = errDumpCanceled
	}
	return reply.Dump, err
}

// dumpDocument is what --json prints of a dump.
type dumpDocument struct {
	*door.Dump
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`
}

// printDump prints the outcome of a dump that ended with err, where the dump is not, and returns
// the error that the client ends with.
func printDump(d *door.Dump, to *target, asJSON bool, err error) error {
	out := os.Stdout
	if to.standard {
		out = os.Stderr
	}
	var printed error
	if asJSON {
		document := dumpDocument{Dump: d, Interrupted: interrupted(err)}
		if err != nil && !errors.Is(err, errItemsLost) {
			document.Error = err.Error()
		}
		printed = printJSONTo(out, document)
	} else {
		for _, key := range d.Keys {
			fmt.Fprintf(os.Stderr, "lost: %s\n", key)
		}
		_, printed = fmt.Fprintln(out, dumpSummary(d, interrupted(err)))
	}
	if printed != nil && (err == nil || errors.Is(err, errItemsLost)) {
		return fileError(out.Name(), printed)
	}
	return err
}

// dumpSummary is the line that accounts for every item.
func dumpSummary(d *door.Dump, interrupted bool) string {
	s := fmt.Sprintf("%s met: %d written, %d filtered, %d lost (%s in %.2f s",
		door.Count(d.Items, "item"), d.Written, d.Filtered, d.Lost, size(d.Bytes), d.Seconds)
	if d.Seconds > 0 {
		s += fmt.Sprintf(", %.0f items/s", float64(d.Items)/d.Seconds)
	}
	s += ", " + string(d.Engine) + ")"
	if interrupted {
		s += ", interrupted"
	}
	if d.EngineReason != "" {
		s += "; not native: " + d.EngineReason
	}
	return s
}

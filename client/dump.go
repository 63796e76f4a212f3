package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

type dumpCommand struct {
	File string `arg:"" optional:"" name:"FILE" complete:"FILE" help:"The file to write, which appears when it is complete; - is standard output. Default: standard output."`

	Format string `group:"Items:" placeholder:"FORMAT" complete:"ms,jsonl,csv,list,details" help:"How the items are written: ms, memcached's own commands with a checksum each, which restore reads; jsonl, an object per line; csv, with a header; list, a line of the key, its value's size, flags, the dates when it expires and was used, and whether it is stale or won; details, that line with the slab class, the CAS unique, and the value behind it. Default: ms."`
	selecting
	KeysOnly bool `group:"Items:" help:"No values: a key per line, or with the formats jsonl and csv also its value's size, flags and date."`

	watching
}

// Run dumps the cache and accounts for the items.
func (c *dumpCommand) Run(line *commandLine) error {
	signals := interrupts()
	to, err := orInterrupted(signals, func() (*target, error) { return openTarget(c.File) })
	if err != nil {
		return err
	}
	shown, err := c.progress(to)
	if err != nil {
		_, err = to.finish(err)
		return err
	}
	d := dumping{caller: newCaller(line, signals, shown, 0), request: c.request()}
	counts, err := d.dump(to)
	if counts == nil {
		return err
	}
	if err == nil && counts.Lost > 0 {
		err = errItemsLost
	}
	return printDump(counts, to, line.JSON, err)
}

// request makes the request.
func (c *dumpCommand) request() door.Request {
	request := dumpRequest(dump.Format(c.Format), c.filter())
	request.KeysOnly = c.KeysOnly
	return request
}

// progress is how progress is shown. If the dump goes to the terminal, there is no progress line.
func (c *dumpCommand) progress(to *target) (progress, error) {
	if terminal, err := isTerminal(to.file); c.Progress == "auto" && err == nil && terminal {
		return newProgress("none", "item", false)
	}
	return newProgress(c.Progress, "item", false)
}

// dumping is a call that reads items of the cache.
type dumping struct {
	caller
	request door.Request
	keys    []*os.File // the file with the keys that the request lists, if it does
}

// dump makes the call and finishes the target. It may return counts with an error, too; then only
// items that are in the target count as written.
func (d *dumping) dump(to *target) (*door.Dump, error) {
	counts, err := d.call(to)
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite {
		err = fmt.Errorf("%s: %w", to.called(), err)
	}
	if counts != nil {
		err = cmp.Or(err, counts.Check()) // before the file gets its name
		if err == nil && counts.Unwritten > 0 {
			err = fmt.Errorf("the counts do not add up: the dump is complete, without %s that were met", door.Count(counts.Unwritten, "item"))
		}
	}
	kept, err := to.finish(err)
	if counts != nil && !kept {
		counts.Unwritten += counts.Written
		counts.Written, counts.Bytes = 0, 0
	}
	return counts, err
}

func (d *dumping) call(to *target) (*door.Dump, error) {
	conn, err := d.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	d.request.Progress = d.shown != noProgress{}
	if err := conn.Call(d.request, append([]*os.File{to.passed()}, d.keys...)...); err != nil {
		return nil, err
	}
	to.sent()
	s := &source{name: to.called()}
	reply, err := d.awaitOrCancel(conn, door.OpDump, errLostDump, func(r door.Reply) { showDump(d.shown, s, r.Dump) })
	if err == nil && reply.Dump.Canceled {
		err = errDumpCanceled
	}
	return reply.Dump, err
}

// showDump shows the progress of a dump, if the part of the cache that was walked through is known.
func showDump(shown progress, s *source, d *door.Dump) {
	if d != nil && d.Part > 0 {
		s.walked(d.Items, d.Part)
		shown.show(s, &door.Load{Rows: d.Items - d.Unwritten, Stored: d.Written, Skipped: d.Filtered, Rejected: d.Lost, Bytes: d.Bytes, Seconds: d.Seconds})
	}
}

// dumpDocument is what --json prints of a dump.
type dumpDocument struct {
	*door.Dump
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`
}

// printDump prints the outcome of a dump that ended with err and returns the error that the client
// ends with. If the dump is on standard output, the outcome is on standard error.
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
	s := fmt.Sprintf("%s met: %d written, %d filtered, %d lost", door.Count(d.Items, "item"), d.Written, d.Filtered, d.Lost)
	if d.Unwritten > 0 {
		s += fmt.Sprintf(", %d unwritten", d.Unwritten)
	}
	s += fmt.Sprintf(" (%s in %.2f s", size(d.Bytes), d.Seconds)
	if d.Seconds > 0 {
		s += fmt.Sprintf(", %.0f items/s", float64(d.Items)/d.Seconds)
	}
	s += ", " + string(d.Engine) + ")"
	if d.Unmarked > 0 {
		s += fmt.Sprintf("; %d of them stale or won, which the format cannot say", d.Unmarked)
	}
	if interrupted {
		s += ", interrupted"
	}
	if d.EngineReason != "" {
		s += "; not native: " + d.EngineReason
	}
	return s
}

package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/filter"
)

type deleteCommand struct {
	changing
	Invalidate bool `group:"Items:" help:"Mark the items as stale instead: clients get them until one has made the value anew (meta get, flags W and X). By memcached's own command md."`
}

type touchCommand struct {
	changing
	TTL       *timeToLive `group:"Items:" name:"ttl" placeholder:"TIME" required:"" help:"The time to live that the items get, from now on: seconds, or a duration such as 10m, 24h or 30d; 0 means for ever."`
	TTLJitter string      `group:"Items:" name:"ttl-jitter" placeholder:"PERCENT" help:"Shorten each time to live by up to this percentage, such as 10%, so that the items do not all expire at once. The key decides by how much."`
}

// changing is what delete and touch have in common: which items are changed, and how.
type changing struct {
	selecting
	Keys string `group:"Items:" placeholder:"FILE" complete:"FILE" help:"Only the items whose keys are in FILE: one a line, percent-encoded as dump --keys-only writes them; or a dump, or a list of items. Nothing is asked then. - is standard input."`

	Yes    bool `group:"Items:" help:"Do not ask, also if all items are meant."`
	DryRun bool `group:"Output:" help:"Change nothing: count the items, and show some of their keys."`

	Rate   rate `group:"Pace:" placeholder:"ITEMS" help:"The most items to change per second."`
	Gentle bool `group:"Pace:" help:"Take at most a tenth of the time of one of memcached's threads for the changes; reading the items comes in addition."`
	watching
}

// Run deletes items, or invalidates them, and accounts for them.
func (c *deleteCommand) Run(line *commandLine) error {
	what := changeWords{"delete", "deleted"}
	if c.Invalidate {
		what = changeWords{"invalidate", "invalidated"}
	}
	request := door.Request{Op: door.OpDelete, Change: door.Change{Invalidate: c.Invalidate}}
	return c.run(line, request, what)
}

// Run touches items, and accounts for them.
func (c *touchCommand) Run(line *commandLine) error {
	request := door.Request{Op: door.OpTouch, Change: door.Change{NewTTL: int64(*c.TTL), NewTTLJitter: c.TTLJitter}}
	return c.run(line, request, changeWords{"touch", "touched"})
}

// changeWords are the words for a change: what is to be done, and what was.
type changeWords struct{ do, done string }

func (c *changing) run(line *commandLine, request door.Request, what changeWords) error {
	if c.filter() == (filter.Options{}) && c.Keys == "" {
		return usageError{fmt.Errorf("no condition says which items to %s: --match '*' means all", what.do)}
	}
	request.Version, request.Filter, request.Keys = door.Protocol, c.filter(), c.Keys != ""
	request.Limits = door.Limits{Rate: uint64(c.Rate), Gentle: c.Gentle}
	signals := interrupts()
	shown, err := newProgress(c.Progress, "item", false)
	if err != nil {
		return err
	}
	call := changeCall{caller: newCaller(line, signals, shown, 0), request: request, keys: c.Keys}
	if c.DryRun {
		return call.account(line.JSON, what, true)
	}
	if !c.Yes && c.Keys == "" {
		if err := call.confirm(what); err != nil {
			return err
		}
	}
	return call.account(line.JSON, what, false)
}

// changeCall is a call that changes items.
type changeCall struct {
	caller
	request door.Request
	keys    string // the list of keys; "": none
}

// account makes the call, and prints its outcome.
func (c *changeCall) account(asJSON bool, what changeWords, dryRun bool) error {
	counts, err := c.call(dryRun)
	if counts == nil {
		return err
	}
	err = cmp.Or(err, counts.Check())
	if err == nil && counts.Left > 0 {
		err = fmt.Errorf("the counts do not add up: all is done, without %s that were met", door.Count(counts.Left, "item"))
	}
	var printed error
	if asJSON {
		document := changeDocument{Changed: counts, Interrupted: interrupted(err)}
		if err != nil {
			document.Error = err.Error()
		}
		printed = printJSON(document)
	} else {
		if dryRun {
			showKeys(os.Stdout, counts, what)
		}
		_, printed = fmt.Println(changeSummary(counts, what, interrupted(err)))
	}
	if printed != nil && err == nil {
		return fileError("standard output", printed)
	}
	return err
}

// changeDocument is what --json prints.
type changeDocument struct {
	*door.Changed
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`
}

// showKeys lists some of the items that a dry run has found.
func showKeys(f *os.File, counts *door.Changed, what changeWords) {
	for _, key := range counts.Keys {
		fmt.Fprintf(f, "would %s %s\n", what.do, key)
	}
	if more := counts.Changed - uint64(len(counts.Keys)); more > 0 && len(counts.Keys) > 0 {
		fmt.Fprintf(f, "and %s\n", door.Count(more, "more item"))
	}
}

// changeSummary is the line that accounts for every item.
func changeSummary(c *door.Changed, what changeWords, interrupted bool) string {
	done := what.done
	if c.DryRun {
		done = "to be " + done
	}
	s := fmt.Sprintf("%s met: %d %s, %d spared, %d gone", door.Count(c.Items, "item"), c.Changed, done, c.Spared, c.Gone)
	if c.Left > 0 {
		s += fmt.Sprintf(", %d left or unknown", c.Left)
	}
	s += fmt.Sprintf(" (%.2f s", c.Seconds)
	if c.Seconds > 0 {
		s += fmt.Sprintf(", %.0f items/s", float64(c.Items)/c.Seconds)
	}
	s += ", " + string(c.Engine) + ")"
	if c.Replaced > 0 {
		s += fmt.Sprintf("; of the spared ones %d were stored anew or touched meanwhile", c.Replaced)
	}
	if interrupted {
		s += ", interrupted"
	}
	if c.EngineReason != "" {
		s += "; not native: " + c.EngineReason
	}
	return s
}

// confirm counts the items, and asks at the terminal; elsewhere, it refuses to change all items that there are.
func (c *changeCall) confirm(what changeWords) error {
	counts, err := c.call(true)
	if err != nil || counts.Changed == 0 {
		return err
	}
	if !asks() {
		if counts.Spared+counts.Gone == 0 {
			return hintError{fmt.Errorf("the conditions hold for all %s: nothing was %s", door.Count(counts.Items, "item"), what.done), "--yes means it"}
		}
		return nil
	}
	showKeys(os.Stderr, counts, what)
	fmt.Fprintf(os.Stderr, "%s %d of %s? [y/N] ", what.do, counts.Changed, door.Count(counts.Items, "item"))
	said, err := orInterrupted(c.signals, func() (string, error) { return bufio.NewReader(os.Stdin).ReadString('\n') })
	if interrupted(err) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(said)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("nothing was %s", what.done)
}

// asks reports whether a person can be asked: standard input and error are a terminal.
func asks() bool {
	in, err := isTerminal(os.Stdin)
	out, err2 := isTerminal(os.Stderr)
	return err == nil && err2 == nil && in && out
}

// call makes the call. It may return counts with an error, too.
func (c *changeCall) call(dryRun bool) (*door.Changed, error) {
	var keys []*os.File
	var failed <-chan error
	if c.keys != "" {
		list, err := orInterrupted(c.signals, func() (*keyList, error) { return openKeys(c.keys) })
		if err != nil {
			return nil, err
		}
		defer list.file.Close()
		keys, failed = []*os.File{list.file}, list.failed
	}
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := c.request
	request.DryRun, request.Progress = dryRun, c.shown != noProgress{}
	if err := conn.Call(request, keys...); err != nil {
		return nil, err
	}
	s := &source{name: "the cache"}
	show := func(r door.Reply) {
		if g := r.Changed; g != nil {
			s.walked(g.Items, g.Part)
			c.shown.show(s, &door.Load{Rows: g.Items - g.Left, Stored: g.Changed, Skipped: g.Spared + g.Gone, Seconds: g.Seconds})
		}
	}
	reply, err := c.awaitOrCancel(conn, c.request.Op, errLostChange, show)
	if errors.Is(err, errInterrupted) && reply.Changed == nil {
		return nil, errNoOutcome
	}
	if err == nil && reply.Changed.Canceled {
		err = errChangeCanceled
	}
	if failed != nil && err == nil {
		err = <-failed
	}
	return reply.Changed, err
}

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/record"
)

type hotCommand struct {
	By       string      `group:"Table:" placeholder:"WHAT" default:"requests" enum:"requests,bytes,misses" help:"What the keys are ranked by: requests; bytes, of the values that are there when a key is asked for; misses, requests for a key that is not in the cache. Default: requests."`
	Limit    hotCount    `group:"Table:" placeholder:"NUMBER" default:"20" help:"The number of keys listed, up to 100. Default: 20."`
	Duration hotDuration `group:"Table:" placeholder:"TIME" default:"10s" help:"For how long memcached's requests are looked at: seconds, or a duration such as 500ms or 2m. Default: 10s."`
	Sample   hotSample   `group:"Table:" placeholder:"NUMBER" help:"About how many requests are looked at in a second: more make the figures more exact, and cost memcached more. Default: 5000 for each processor, which costs at most 2 % of its throughput."`

	Prefixes  bool      `group:"Table:" help:"List prefixes of keys, not keys."`
	Delimiter delimiter `group:"Table:" placeholder:"TEXT" help:"With --prefixes: the delimiter between the parts of a key. Default: a colon."`
	Depth     partCount `group:"Table:" placeholder:"NUMBER" help:"With --prefixes: the number of parts, with their delimiters, that make a prefix. Default: 1."`

	watching
}

// hotCount is the number of keys that are listed.
type hotCount int

// UnmarshalText reads a number from 1 to hot.CountMax.
func (n *hotCount) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil || count > hot.CountMax {
		return fmt.Errorf("%q is not a number of keys to list: 1 to %d", text, hot.CountMax)
	}
	*n = hotCount(count)
	return nil
}

// hotDuration is a time of at most a day.
type hotDuration time.Duration

// UnmarshalText reads a number of seconds, or a duration.
func (l *hotDuration) UnmarshalText(text []byte) error {
	d, ok := record.ParseDuration(string(text))
	if !ok || d <= 0 || d.Seconds() > hot.DurationMax {
		return fmt.Errorf("%q is not a time of at most a day: seconds, or a duration such as 500ms or 2m", text)
	}
	*l = hotDuration(d)
	return nil
}

// hotSample is a number of requests in a second.
type hotSample uint64

// UnmarshalText reads a number from 1.
func (n *hotSample) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of requests: 1 or more", text)
	}
	*n = hotSample(count)
	return nil
}

// request makes the request.
func (c *hotCommand) request() (door.Request, error) {
	o := door.Hot{By: hot.By(c.By), Count: int(c.Limit), Duration: time.Duration(c.Duration).Seconds(), Sample: uint64(c.Sample)}
	switch {
	case c.Prefixes:
		o.Parts, o.Split = int(cmp.Or(c.Depth, 1)), string(cmp.Or(c.Delimiter, ":"))
	case c.Depth != 0 || c.Delimiter != "":
		return door.Request{}, usageError{errors.New("--delimiter and --depth say what a prefix is: they need --prefixes")}
	}
	return door.Request{Version: door.Protocol, Op: door.OpHot, Hot: o}, nil
}

// Run lists the keys.
func (c *hotCommand) Run(line *commandLine) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	signals := interrupts()
	shown, err := newProgress(c.Progress, "request", false)
	if err != nil {
		return err
	}
	call := newCaller(line, signals, shown, 0)
	found, err := call.hot(request)
	if found == nil {
		return err
	}
	var printed error
	if line.JSON {
		printed = printJSON(c.document(found, err))
	} else {
		printed = c.print(os.Stdout, found, err)
	}
	if printed != nil {
		return fileError("standard output", printed)
	}
	for _, note := range c.notes(found) {
		fmt.Fprintln(os.Stderr, note)
	}
	return err
}

// hot makes the call. With an error it may return what was found until then, too.
func (c *caller) hot(request door.Request) (*door.HotKeys, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request.Progress = c.shown != noProgress{}
	if err := conn.Call(request); err != nil {
		return nil, err
	}
	answers := answersOf(conn)
	a, ended := c.await(conn, answers, func(r door.Reply) {
		if r.Hot != nil {
			showHot(c.shown, request.Hot.Duration, r.Hot)
		}
	})
	c.shown.clear()
	if errors.Is(ended, errInterrupted) {
		var ok bool
		if a, ok = c.canceled(conn, answers); !ok {
			return nil, errInterrupted
		}
	} else if ended != nil {
		return nil, ended
	}
	reply, err := judge(a, door.OpHot, errLostHot)
	found := reply.Hot
	if found == nil {
		return nil, err
	}
	if err := found.Check(); err != nil {
		return nil, err
	}
	switch {
	case err != nil:
		return found, err
	case ended != nil:
		return found, errInterrupted
	case found.Canceled:
		return found, errHotCanceled
	}
	return found, nil
}

// hotEvent is an event of --progress json.
type hotEvent struct {
	Event    string  `json:"event"` // "progress"
	Requests uint64  `json:"requests"`
	Seen     uint64  `json:"seen"`
	Seconds  float64 `json:"seconds"`
	Left     float64 `json:"left"` // seconds
}

// showHot shows the progress of a search that takes a number of seconds.
func showHot(shown progress, duration float64, h *door.HotKeys) {
	left := max(duration-h.Seconds, 0)
	switch p := shown.(type) {
	case *progressLine:
		p.draw([]string{clock(left+0.5) + " left", fmt.Sprintf("%.0f requests/s", rateOf(h)), door.Count(h.Requests, "request"), fmt.Sprintf("%d of them seen", h.Seen)})
	case *progressEvents:
		_ = p.out.Encode(hotEvent{"progress", h.Requests, h.Seen, h.Seconds, left})
	}
}

// rateOf is the number of requests in a second.
func rateOf(h *door.HotKeys) float64 {
	if h.Seconds <= 0 {
		return 0
	}
	return float64(h.Requests) / h.Seconds
}

// print prints the keys, and a line that accounts for all requests. Keys are the last column: they can be long.
func (c *hotCommand) print(to io.Writer, h *door.HotKeys, err error) error {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := []struct {
		by, head string
		value    func(k *door.HotKey) string
	}{
		{"requests", "requests/s", func(k *door.HotKey) string { return perSecond(k.Requests) }},
		{"bytes", "bytes/s", func(k *door.HotKey) string { return size(uint64(k.Bytes)) }},
		{"misses", "misses/s", func(k *door.HotKey) string { return perSecond(k.Misses) }},
	}
	row := func(first string, cell func(i int) string, last string) {
		ranked := ""
		rest := ""
		for i, column := range columns {
			switch {
			case column.by == c.By:
				ranked = cell(i)
			case column.by != "bytes" || !h.Unsized:
				rest += "\t" + cell(i)
			}
		}
		fmt.Fprintf(w, "%s\t%s%s\t  %s\n", ranked, first, rest, last)
	}
	what, plural := "key", "keys"
	if c.Prefixes {
		what, plural = "prefix", "prefixes"
	}
	row("±", func(i int) string { return columns[i].head }, what)
	for _, k := range h.Keys {
		name := shownKey(k.Key)
		if len(k.Key) == 0 {
			name = "(none)"
		}
		row(c.errorOf(&k), func(i int) string { return columns[i].value(&k) }, name)
	}
	w.Flush()
	if len(h.Keys) == 0 {
		out.Reset()
	}
	if len(h.Keys) == 1 {
		plural = what
	}
	fmt.Fprintf(&out, "%d %s shown; %s", len(h.Keys), plural, hotSummary(h))
	if interrupted(err) {
		out.WriteString(", interrupted")
	}
	out.WriteByte('\n')
	_, printed := to.Write(out.Bytes())
	return printed
}

// hotSummary accounts for all requests.
func hotSummary(h *door.HotKeys) string {
	return fmt.Sprintf("%s in %.1f s (%.0f/s): %d seen, %s of the log dropped", door.Count(h.Requests, "request"), h.Seconds, rateOf(h), h.Seen, door.Count(h.Dropped, "line"))
}

// errorOf is a key's error as a part of the figure that is ranked.
func (c *hotCommand) errorOf(k *door.HotKey) string {
	ranked := map[string]float64{"requests": k.Requests, "bytes": k.Bytes, "misses": k.Misses}[c.By]
	if ranked <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", min(k.Error/ranked, 9.99)*100)
}

// perSecond is a rate in few digits.
func perSecond(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// notes say what a reader must know of the figures. Each begins with "warning: " or "hint: ".
func (c *hotCommand) notes(h *door.HotKeys) (notes []string) {
	if h.Dropped > h.Lines/10 {
		notes = append(notes,
			"warning: memcached dropped much of its log: the figures are scaled up, but a key of a busy connection can be too low in them",
			"hint: memcached's -o worker_logbuf_size and watcher_logbuf_size make room for more")
	}
	if h.Paused > h.Seconds/10 {
		notes = append(notes, fmt.Sprintf("warning: for %.1f s of the time nothing was looked at: a load, a dump or a change ran, which memcached logs as if clients had asked", h.Paused))
	}
	if c.By != "requests" && h.Requests > 0 {
		notes = append(notes, "hint: memcached's log of stores is not safe to read: a set counts as a lookup, as a miss if the key was not there, with the bytes of the value before")
	}
	return notes
}

// hotDocument is what --json prints. Its Keys are in place of those of HotKeys.
type hotDocument struct {
	By   string   `json:"by"`
	Keys []hotKey `json:"keys"`
	*door.HotKeys
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`
}

// hotKey has the figures of a key, or of a prefix, per second.
type hotKey struct {
	Key    *string `json:"key,omitempty"`
	Base64 []byte  `json:"key_base64,omitempty"`
	door.HotKey
}

func (c *hotCommand) document(h *door.HotKeys, err error) hotDocument {
	d := hotDocument{By: c.By, Keys: []hotKey{}, HotKeys: h, Interrupted: interrupted(err)}
	if err != nil {
		d.Error = err.Error()
	}
	for _, k := range h.Keys {
		one := hotKey{HotKey: k}
		one.Key, one.Base64 = jsonText(k.Key)
		d.Keys = append(d.Keys, one)
	}
	return d
}

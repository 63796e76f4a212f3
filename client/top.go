package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

type topCommand struct {
	By    string   `group:"Table:" placeholder:"WHAT" default:"size" enum:"size,ttl,idle" help:"Which items are listed: size, the largest; ttl, those that live longest, for ever first; idle, those whose storing, or last read that memcached noted, is longest ago. Default: size."`
	Limit topCount `group:"Table:" placeholder:"NUMBER" default:"10" help:"The number of items listed. Default: 10."`

	selecting
	watching
	waiting
}

// topMax is the largest number of items that the client lists: some 100 MB with the longest keys.
const topMax = 100_000

// topCount is the number of items that are listed.
type topCount int

// UnmarshalText reads a number from 1 to topMax.
func (n *topCount) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil || count > topMax {
		return fmt.Errorf("%q is not a number of items to list: 1 to %d", text, topMax)
	}
	*n = topCount(count)
	return nil
}

// Run lists the items.
func (c *topCommand) Run(line *commandLine) error {
	signals := interrupts()
	shown, err := newProgress(c.Progress, "item", false)
	if err != nil {
		return err
	}
	top := ranking{by: c.By, limit: int(c.Limit), now: time.Now().Unix()}
	d := dumping{caller: newCaller(line, signals, shown, c.Timeout), request: c.list()}
	counts, err := d.list(top.add)
	if err != nil {
		return err
	}
	top.cut()
	if line.JSON {
		err = printJSON(top.document(counts))
	} else {
		err = top.print(os.Stdout, counts)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// ranking keeps the first items in an order.
type ranking struct {
	by    string // "size", "ttl" or "idle"
	limit int
	now   int64 // seconds since 1970
	first []dump.Listed
	last  *dump.Listed // no item after it is among the first; nil: not known yet
	bytes uint64       // of all values
}

// add adds an item. It copies the key, which stays the caller's.
func (r *ranking) add(i *dump.Listed) {
	r.bytes += i.Size
	if r.last != nil && r.compare(i, r.last) >= 0 {
		return
	}
	kept := *i
	kept.Key = bytes.Clone(i.Key)
	r.first = append(r.first, kept)
	if len(r.first) >= 2*r.limit {
		r.cut()
	}
}

// cut sorts the items and removes all but the first limit.
func (r *ranking) cut() {
	slices.SortFunc(r.first, func(a, b dump.Listed) int { return r.compare(&a, &b) })
	if len(r.first) >= r.limit {
		clear(r.first[r.limit:])
		r.first = r.first[:r.limit]
		last := r.first[r.limit-1]
		r.last = &last
	}
}

// compare orders items; of equal ones the largest is first.
func (r *ranking) compare(a, b *dump.Listed) int {
	order := 0
	switch r.by {
	case "ttl":
		if order = cmp.Compare(b.Expires, a.Expires); a.Expires == 0 || b.Expires == 0 {
			order = -order
		}
	case "idle":
		order = cmp.Compare(a.Used, b.Used)
	}
	return cmp.Or(order, cmp.Compare(b.Size, a.Size), bytes.Compare(a.Key, b.Key))
}

// print prints the items, and a line that accounts for all. Keys are the last column: they can be long.
func (r *ranking) print(to io.Writer, counts *door.Dump) error {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "value\tTTL\tidle\tflags\t  key\n")
	var shown uint64
	for _, i := range r.first {
		ttl := "never"
		if i.Expires != 0 {
			ttl = span(left(i.Expires, r.now))
		}
		shown += i.Size
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t  %s\n", size(i.Size), ttl, span(left(r.now, i.Used)), i.Flags, shownKey(i.Key))
	}
	w.Flush()
	fmt.Fprintf(&out, "%d of %s shown (%s of %s of values, %.2f s, %s)\n",
		len(r.first), door.Count(counts.Written, "item"), size(shown), size(r.bytes), counts.Seconds, counts.Engine)
	_, err := to.Write(out.Bytes())
	return err
}

// topDocument is what --json prints.
type topDocument struct {
	Items   uint64      `json:"items"`
	Bytes   uint64      `json:"bytes"` // of all values
	Top     []topItem   `json:"top"`
	Seconds float64     `json:"seconds"`
	Engine  door.Engine `json:"engine"`
}

type topItem struct {
	Key    *string `json:"key,omitempty"`
	Base64 []byte  `json:"key_base64,omitempty"`
	Bytes  uint64  `json:"bytes"`         // of the value
	TTL    *int64  `json:"ttl,omitempty"` // in seconds; absent: it does not expire
	Idle   int64   `json:"idle"`          // seconds since it was stored, or was read and memcached noted that
	Flags  uint64  `json:"flags"`
}

func (r *ranking) document(counts *door.Dump) topDocument {
	d := topDocument{Items: counts.Written, Bytes: r.bytes, Top: []topItem{}, Seconds: counts.Seconds, Engine: counts.Engine}
	for _, i := range r.first {
		item := topItem{Bytes: i.Size, Idle: left(r.now, i.Used), Flags: i.Flags}
		item.Key, item.Base64 = jsonText(i.Key)
		if i.Expires != 0 {
			ttl := left(i.Expires, r.now)
			item.TTL = &ttl
		}
		d.Top = append(d.Top, item)
	}
	return d
}

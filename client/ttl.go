package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

type ttlCommand struct {
	selecting
	watching
	waiting
}

// Run shows the times to live.
func (c *ttlCommand) Run(line *commandLine) error {
	signals := interrupts()
	shown, err := newProgress(c.Progress, "item", false)
	if err != nil {
		return err
	}
	var h histogram
	now := time.Now().Unix()
	d := dumping{caller: newCaller(line, signals, shown, c.Timeout), request: c.list()}
	counts, err := d.list(func(i *dump.Listed) { h.addTTL(i, now, 0) })
	if err != nil {
		return err
	}
	if line.JSON {
		err = printJSON(h.document(counts))
	} else {
		err = h.print(os.Stdout, newTextBars(), counts)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// addTTL adds an item by its time to live.
func (h *histogram) addTTL(i *dump.Listed, now int64, memory uint64) {
	b := bin{1, i.Size, memory}
	if i.Expires == 0 {
		h.never.add(b)
		return
	}
	h.add(left(i.Expires, now), b)
}

// print prints the bins, and a line that accounts for all items.
func (h *histogram) print(to io.Writer, bars *textBars, counts *door.Dump) error {
	all := h.all()
	var rows []barRow
	for _, b := range h.shown() {
		rows = append(rows, barRow{b.name(), b.bytes, []string{fmt.Sprint(b.keys), size(b.bytes), percent(b.left.bytes, all.bytes)}})
	}
	if h.never.keys > 0 {
		rows = append(rows, barRow{"never", h.never.bytes, []string{fmt.Sprint(h.never.keys), size(h.never.bytes), percent(h.never.bytes, all.bytes)}})
	}
	var out bytes.Buffer
	for _, line := range bars.lines([]string{"keys", "values", "left then"}, rows) {
		fmt.Fprintln(&out, line)
	}
	fmt.Fprintf(&out, "%s: %d expiring, %d for ever (%s of values, %.2f s, %s)\n",
		door.Count(all.keys, "item"), all.keys-h.never.keys, h.never.keys, size(all.bytes), counts.Seconds, counts.Engine)
	_, err := to.Write(out.Bytes())
	return err
}

// percent is a part of a whole, as a person reads it.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	return percentOf(float64(part) / float64(whole))
}

// percentOf is a part of 1, or more than that: a hash table can have more items than buckets. What is not all, or not nothing,
// does not read as such.
func percentOf(part float64) string {
	switch p := 100 * part; {
	case p == 0 || p == 100:
		return fmt.Sprintf("%.0f%%", p)
	case p < 0.1:
		return "<0.1%"
	case p > 99.9 && p < 100:
		return ">99.9%"
	default:
		return fmt.Sprintf("%.1f%%", p)
	}
}

// ttlDocument is what --json prints.
type ttlDocument struct {
	Items   uint64      `json:"items"`
	Bytes   uint64      `json:"bytes"` // of values
	TTL     []ttlBin    `json:"ttl"`   // one after the other; before the first and after the last there are no items
	Never   ttlNever    `json:"never_expire"`
	Seconds float64     `json:"seconds"`
	Engine  door.Engine `json:"engine"`
}

// ttlBin are the items that live for From seconds or longer, and for less than To.
type ttlBin struct {
	From  int64  `json:"from"`
	To    *int64 `json:"to,omitempty"` // absent: no bound
	Keys  uint64 `json:"keys"`
	Bytes uint64 `json:"bytes"`
}

type ttlNever struct {
	Keys  uint64 `json:"keys"`
	Bytes uint64 `json:"bytes"`
}

func (h *histogram) document(counts *door.Dump) ttlDocument {
	all := h.all()
	d := ttlDocument{
		Items: all.keys, Bytes: all.bytes, TTL: []ttlBin{}, Never: ttlNever{h.never.keys, h.never.bytes},
		Seconds: counts.Seconds, Engine: counts.Engine,
	}
	for _, b := range h.shown() {
		t := ttlBin{From: b.from, Keys: b.keys, Bytes: b.bytes}
		if b.to > 0 {
			to := b.to
			t.To = &to
		}
		d.TTL = append(d.TTL, t)
	}
	return d
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/walk"
)

type keysCommand struct {
	Delimiter delimiter   `group:"Table:" placeholder:"TEXT" default:":" help:"The delimiter between the parts of a key. Default: a colon."`
	Depth     partCount   `group:"Table:" placeholder:"NUMBER" default:"1" help:"The number of parts, with their delimiters, that make a prefix. Default: 1."`
	Sort      prefixOrder `group:"Table:" placeholder:"WHAT" default:"bytes" enum:"bytes,keys,ttl,prefix" help:"The order: bytes, most bytes of values first; keys, most keys first; ttl, the first to expire first; prefix, alphabetical. Default: bytes."`
	Limit     uint64      `group:"Table:" placeholder:"LINES" default:"20" help:"The number of prefixes shown; 0 means all. The others are added up. Default: 20."`
	Bars      bool        `group:"Table:" help:"Show bars, of bytes or, with --sort keys, of keys, as wide as the terminal."`

	selecting
	watching
	waiting
}

// delimiter separates the parts of a key.
type delimiter string

// UnmarshalText takes any text that is not empty.
func (d *delimiter) UnmarshalText(text []byte) error {
	if *d = delimiter(text); len(text) == 0 {
		return errors.New("a delimiter has at least one byte")
	}
	return nil
}

// partCount is the number of parts of a key that make a prefix.
type partCount uint64

// UnmarshalText reads a number from 1.
func (n *partCount) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of parts: 1 or more", text)
	}
	*n = partCount(count)
	return nil
}

// Run shows the prefixes.
func (c *keysCommand) Run(line *commandLine) error {
	if c.Bars && line.JSON {
		return usageError{errors.New("--bars are for people, and --json is for programs")}
	}
	signals := interrupts()
	shown, err := newProgress(c.Progress, "item", false)
	if err != nil {
		return err
	}
	p := newPrefixes(c.Sort)
	now := time.Now().Unix()
	d := dumping{caller: newCaller(line, signals, shown, c.Timeout), request: c.list()}
	counts, err := d.list(func(i *dump.Listed) { p.add(prefixOf(i.Key, c.Delimiter, c.Depth), i, now, 0) })
	if err != nil {
		return err
	}
	table := p.table(c.Limit)
	if err := table.check(counts); err != nil {
		return err
	}
	if line.JSON {
		err = printJSON(table.document(counts))
	} else if c.Bars {
		err = table.printBars(os.Stdout, newTextBars(), c.Sort, counts)
	} else {
		err = table.print(os.Stdout, counts)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	c.hint(os.Stderr, table)
	return nil
}

// prefixOf is the prefix of a key. It differs from a key, and --prefix takes it.
func prefixOf(key []byte, between delimiter, depth partCount) []byte {
	return walk.Prefix(key, string(between), int(depth))
}

// hint prints what the table does not show.
func (c *keysCommand) hint(w io.Writer, t *prefixTable) {
	if t.merged {
		fmt.Fprintf(w, "warning: there are more than %d prefixes: the smallest were added to the rest, so the figures shown are lower bounds\n", prefixesMax)
		fmt.Fprintln(w, "hint: --delimiter, --depth and --prefix reduce their number")
	}
	// Keys such as user_123 are common, too.
	if none := t.none.keys; none > 0 && none >= t.all.keys/2 {
		fmt.Fprintf(w, "hint: %d of %s have no %q in them: --delimiter sets what separates the parts of a key\n",
			none, door.Count(t.all.keys, "key"), string(c.Delimiter))
	}
}

// print prints the table, and a line that accounts for all items. Prefixes are the last column: they
// can be long.
func (t *prefixTable) print(to io.Writer, counts *door.Dump) error {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "keys\tvalues\tleast TTL\tmost TTL\tnever expire\t  prefix\n")
	row := func(g *prefixGroup, name string) {
		least, most := "-", "-"
		if g.expiring() {
			least, most = span(g.least), span(g.most)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t  %s\n", g.keys, size(g.bytes), least, most, g.never, name)
	}
	t.each(row)
	w.Flush()
	fmt.Fprintln(&out, t.summary(counts))
	_, err := to.Write(out.Bytes())
	return err
}

// each calls row for every line of the table.
func (t *prefixTable) each(row func(g *prefixGroup, name string)) {
	for _, g := range t.shown {
		row(g, g.name())
	}
	switch {
	case t.merged:
		row(&t.rest, "(the rest)")
	case t.others > 0:
		row(&t.rest, fmt.Sprintf("(the rest: %d)", t.others))
	}
}

// name is its prefix as a person reads it.
func (g *prefixGroup) name() string {
	if g.prefix == "" {
		return "(none)"
	}
	return shownKey([]byte(g.prefix))
}

// summary accounts for all items.
func (t *prefixTable) summary(counts *door.Dump) string {
	return fmt.Sprintf("%s: %d shown, %d in the rest (%s of values, %.2f s, %s)",
		door.Count(t.all.keys, "item"), t.all.keys-t.rest.keys, t.rest.keys, size(t.all.bytes), counts.Seconds, counts.Engine)
}

// printBars prints the table as bars, of keys if these order it, else of the bytes of values.
func (t *prefixTable) printBars(to io.Writer, bars *textBars, order prefixOrder, counts *door.Dump) error {
	of := func(g *prefixGroup) uint64 { return g.bytes }
	if order == "keys" {
		of = func(g *prefixGroup) uint64 { return g.keys }
	}
	var rows []barRow
	t.each(func(g *prefixGroup, name string) {
		rows = append(rows, barRow{name, of(g), []string{fmt.Sprint(g.keys), size(g.bytes), percent(of(g), of(&t.all))}})
	})
	var out bytes.Buffer
	for _, line := range bars.lines([]string{"keys", "values", "part"}, rows) {
		fmt.Fprintln(&out, line)
	}
	fmt.Fprintln(&out, t.summary(counts))
	_, err := to.Write(out.Bytes())
	return err
}

// prefixDocument is what --json prints.
type prefixDocument struct {
	Items    uint64       `json:"items"`
	Bytes    uint64       `json:"bytes"` // of values
	Prefixes []prefixJSON `json:"prefixes"`
	Rest     prefixJSON   `json:"rest"`
	Merged   bool         `json:"merged"` // part of what is shown may be in the rest
	Seconds  float64      `json:"seconds"`
	Engine   door.Engine  `json:"engine"`
}

type prefixJSON struct {
	Prefix *string `json:"prefix,omitempty"` // "": none
	Base64 []byte  `json:"prefix_base64,omitempty"`
	Keys   uint64  `json:"keys"`
	Bytes  uint64  `json:"bytes"`
	Least  *int64  `json:"ttl_least,omitempty"` // in seconds; absent: none expires
	Most   *int64  `json:"ttl_most,omitempty"`
	Never  uint64  `json:"never_expire"`
}

func (t *prefixTable) document(counts *door.Dump) prefixDocument {
	d := prefixDocument{
		Items: t.all.keys, Bytes: t.all.bytes, Prefixes: []prefixJSON{}, Rest: t.rest.json(), Merged: t.merged,
		Seconds: counts.Seconds, Engine: counts.Engine,
	}
	for _, g := range t.shown {
		j := g.json()
		j.Prefix, j.Base64 = jsonText([]byte(g.prefix))
		d.Prefixes = append(d.Prefixes, j)
	}
	return d
}

func (g *prefixGroup) json() prefixJSON {
	j := prefixJSON{Keys: g.keys, Bytes: g.bytes, Never: g.never}
	if g.expiring() {
		j.Least, j.Most = &g.least, &g.most
	}
	return j
}

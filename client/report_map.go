package main

import (
	"fmt"
	"html/template"
	"strings"

	"memcached-backdoor/client/picture"
	"memcached-backdoor/preload/door"
)

// A prefix is in the treemap if it has at least this part of the memory; the others are one cell.
const (
	cellLeast  = 0.002
	cellsMost  = 40 // prefixes
	innerLeast = 0.003
	innerMost  = 40 // in each prefix
)

const grey = 6 // of the palette: for what has no prefix of its own

// prefixSection is the treemap: the prefixes of one part, and in them those of two.
func (r *cacheReport) prefixSection() reportSection {
	s := reportSection{ID: "prefixes", Title: prefixTitle, Table: reportTable{Head: []string{"Prefix", "Items", "Values", "Memory", "Part"}}}
	s.Text = []string{fmt.Sprintf("Memory by the beginnings of the keys, up to the first and the second %q.", string(r.of.Delimiter))}
	if r.prefixes.rest.keys > 0 || r.inner.rest.keys > 0 {
		s.Text = append(s.Text, fmt.Sprintf("There are more than %d prefixes: the smallest are among the rest or the others, and what is shown of small ones is a lower bound.", prefixesMax))
	}
	row := func(g *shownGroup, inner bool) {
		s.Table.Rows = append(s.Table.Rows, reportRow{Inner: inner, Name: g.full, Figures: []string{
			fmt.Sprint(g.keys), size(g.bytes), size(g.memory), percent(g.memory, r.memory)}})
	}
	for _, g := range r.shownPrefixes() {
		row(&g, false)
		for _, in := range g.inner {
			row(&in, true)
		}
	}
	for _, p := range []struct {
		screen        string
		width, height float64
	}{{"wide", 1000, 520}, {"narrow", 360, 480}} {
		s.Pictures = append(s.Pictures, reportPicture{p.screen, template.HTML(r.treemap(p.width, p.height).Inline(s.ID + "-" + p.screen))})
	}
	return s
}

const prefixTitle = "What is it full of?"

// treemap draws the prefixes.
func (r *cacheReport) treemap(width, height float64) *picture.SVG {
	cell := func(g *shownGroup) picture.Cell {
		note := size(g.memory) + ", " + percent(g.memory, r.memory)
		return picture.Cell{Label: g.label, Note: note, Area: float64(g.memory), Color: g.color,
			Tip: fmt.Sprintf("%s: %s, %s of memory, %s of values", g.full, door.Count(g.keys, "item"), note, size(g.bytes))}
	}
	var cells []picture.Cell
	for _, g := range r.shownPrefixes() {
		c := cell(&g)
		for _, in := range g.inner {
			c.Cells = append(c.Cells, cell(&in))
		}
		cells = append(cells, c)
	}
	return picture.Treemap(prefixTitle, "A treemap: rectangles whose areas are the memory of the prefixes of keys.", width, height, cells)
}

// shownGroup is a prefix that is shown, or the sum of others.
type shownGroup struct {
	prefixGroup
	label string // in its rectangle
	full  string // with all of the prefix
	color int
	inner []shownGroup // they add up to the group; none: it is not divided
}

// shownPrefixes are the prefixes, the largest first, with those that are longer by a part, and what is not shown added up.
func (r *cacheReport) shownPrefixes() (all []shownGroup) {
	longer := map[string][]*prefixGroup{}
	for _, g := range r.inner.sorted("memory") {
		outer := string(prefixOf([]byte(g.prefix), r.of.Delimiter, 1))
		if g.prefix != outer && float64(g.memory) >= innerLeast*float64(r.memory) && len(longer[outer]) < innerMost {
			longer[outer] = append(longer[outer], g)
		}
	}
	rest := shownGroup{prefixGroup: r.prefixes.rest, label: "(the rest)", full: "(the rest)", color: grey}
	for n, g := range r.prefixes.sorted("memory") {
		if n >= cellsMost || float64(g.memory) < cellLeast*float64(r.memory) {
			rest.add(g)
			continue
		}
		color := n % (picture.Colors - 1)
		if color >= grey {
			color++
		}
		shown := shownGroup{prefixGroup: *g, label: g.name(), full: g.name(), color: color}
		others := shownGroup{prefixGroup: *g, label: "(others)", full: g.name() + " (others)", color: color}
		for _, in := range longer[g.prefix] {
			label := shownKey([]byte(strings.TrimPrefix(in.prefix, g.prefix)))
			shown.inner = append(shown.inner, shownGroup{prefixGroup: *in, label: label, full: in.name(), color: color})
			others.sub(in)
		}
		if len(shown.inner) > 0 && others.memory > 0 {
			shown.inner = append(shown.inner, others)
		}
		all = append(all, shown)
	}
	if rest.keys > 0 {
		all = append(all, rest)
	}
	return all
}

// sub takes a part of its items away. That can have more than the whole, of which some may be in the rest.
func (g *prefixGroup) sub(o *prefixGroup) {
	g.keys -= min(g.keys, o.keys)
	g.bytes -= min(g.bytes, o.bytes)
	g.memory -= min(g.memory, o.memory)
	g.never -= min(g.never, o.never)
}

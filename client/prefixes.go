package main

import (
	"cmp"
	"fmt"
	"slices"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// prefixesMax is the number of prefixes that are always counted one by one. Twice as many, of the
// longest keys, take some 100 MB.
const prefixesMax = 100_000

// prefixOrder is how prefixes are sorted: "bytes", "memory", "keys", "ttl" or "prefix".
type prefixOrder string

// prefixGroup is the sum of the items of a prefix; "": items without a prefix.
type prefixGroup struct {
	prefix      string
	keys        uint64
	bytes       uint64 // of values
	memory      uint64 // bytes of the items, if they are known
	least, most int64  // seconds to live, if expiring
	never       uint64 // items that do not expire
}

// expiring says whether some of its items expire.
func (g *prefixGroup) expiring() bool { return g.keys > g.never }

// add adds another group.
func (g *prefixGroup) add(o *prefixGroup) {
	if o.expiring() {
		if g.expiring() {
			g.least, g.most = min(g.least, o.least), max(g.most, o.most)
		} else {
			g.least, g.most = o.least, o.most
		}
	}
	g.keys += o.keys
	g.bytes += o.bytes
	g.memory += o.memory
	g.never += o.never
}

// prefixes has the sums of items by prefix, at most twice prefixesMax of them.
type prefixes struct {
	order  prefixOrder
	groups map[string]*prefixGroup
	rest   prefixGroup // the smallest groups, if there were too many
}

func newPrefixes(order prefixOrder) *prefixes {
	return &prefixes{order: order, groups: map[string]*prefixGroup{}}
}

// add adds an item, with its memory if that is known.
func (p *prefixes) add(prefix []byte, i *dump.Listed, now int64, memory uint64) {
	g := p.groups[string(prefix)]
	if g == nil {
		if len(p.groups) == 2*prefixesMax {
			p.merge()
		}
		g = &prefixGroup{prefix: string(prefix)}
		p.groups[g.prefix] = g
	}
	item := prefixGroup{keys: 1, bytes: i.Size, memory: memory}
	if i.Expires == 0 {
		item.never = 1
	} else {
		item.least = left(i.Expires, now)
		item.most = item.least
	}
	g.add(&item)
}

// merge adds the smallest prefixes to the rest. If one of them comes again, its sum begins at 0. With millions of prefixes
// most of the time goes here: only those that are as large as the smallest that stays are sorted by their names.
func (p *prefixes) merge() {
	of := func(g *prefixGroup) uint64 { return g.bytes }
	switch p.order {
	case "keys":
		of = func(g *prefixGroup) uint64 { return g.keys }
	case "memory":
		of = func(g *prefixGroup) uint64 { return g.memory }
	}
	sums := make([]uint64, 0, len(p.groups))
	for _, g := range p.groups {
		sums = append(sums, of(g))
	}
	slices.Sort(sums)
	least := sums[len(sums)-prefixesMax]
	equal := make([]*prefixGroup, 0, len(p.groups))
	stay := prefixesMax
	for _, g := range p.groups {
		switch sum := of(g); {
		case sum > least:
			stay--
		case sum < least:
			p.drop(g)
		default:
			equal = append(equal, g)
		}
	}
	slices.SortFunc(equal, func(a, b *prefixGroup) int { return cmp.Compare(a.prefix, b.prefix) })
	for _, g := range equal[stay:] {
		p.drop(g)
	}
}

// drop adds a prefix to the rest. Items without a prefix stay.
func (p *prefixes) drop(g *prefixGroup) {
	if g.prefix != "" {
		p.rest.add(g)
		delete(p.groups, g.prefix)
	}
}

func (p *prefixes) sorted(order prefixOrder) []*prefixGroup {
	list := make([]*prefixGroup, 0, len(p.groups))
	for _, g := range p.groups {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *prefixGroup) int {
		if n := order.compare(a, b); n != 0 { // cmp.Or would compare all prefixes
			return n
		}
		return cmp.Compare(a.prefix, b.prefix)
	})
	return list
}

func (o prefixOrder) compare(a, b *prefixGroup) int {
	switch o {
	case "bytes":
		return cmp.Compare(b.bytes, a.bytes)
	case "memory":
		return cmp.Compare(b.memory, a.memory)
	case "keys":
		return cmp.Compare(b.keys, a.keys)
	case "ttl":
		switch {
		case a.expiring() && b.expiring():
			return cmp.Compare(a.least, b.least)
		case a.expiring():
			return -1
		case b.expiring():
			return 1
		}
	}
	return 0
}

// prefixTable is what is shown of prefixes: all = shown + rest.
type prefixTable struct {
	shown     []*prefixGroup
	rest, all prefixGroup
	none      prefixGroup // items without a prefix, shown or not
	others    int         // prefixes in the rest, if nothing was merged
	merged    bool
}

// table makes the table of the first limit prefixes; 0: all.
func (p *prefixes) table(limit uint64) *prefixTable {
	t := &prefixTable{shown: p.sorted(p.order), rest: p.rest, merged: p.rest.keys > 0}
	if limit > 0 && limit < uint64(len(t.shown)) {
		t.others = len(t.shown) - int(limit)
		for _, g := range t.shown[limit:] {
			t.rest.add(g)
		}
		t.shown = t.shown[:limit]
	}
	for _, g := range t.shown {
		t.all.add(g)
	}
	t.all.add(&t.rest)
	if g := p.groups[""]; g != nil {
		t.none = *g
	}
	return t
}

// check returns an error if the table does not have every item.
func (t *prefixTable) check(counts *door.Dump) error {
	if t.all.keys != counts.Written {
		return fmt.Errorf("the counts do not add up: of %s %d are in the table", door.Count(counts.Written, "item"), t.all.keys)
	}
	return nil
}

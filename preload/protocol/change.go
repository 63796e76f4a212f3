package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

// changesMax is how many items are changed at once.
const changesMax = 1024

// The reasons for which the protocol cannot change an item only if it is still the same.
var (
	errNoCompare = errors.New("memcached compares no CAS unique when it deletes: it is older than 1.6.13")
	errNoCAS     = errors.New("memcached runs without CAS uniques (-C), which tell an item from another")
	errNoTouch   = errors.New("memcached's protocol cannot touch an item only if it is still the same")
)

// changes are changes by commands.
type changes struct {
	session
	kind  walk.Change
	hold  func(*walk.Item) bool // walk.Conditions
	items []walk.Item           // Key, CAS and Size
	unfit uint64                // how many more were added, whose keys no command can have
}

// Changes makes changes of a kind, which is Delete or Invalidate. The caller closes them.
func (s *Store) Changes(kind walk.Change, same walk.Conditions) (walk.Changes, error) {
	if kind == walk.Touch {
		return nil, errNoTouch
	}
	session, err := s.session()
	if err != nil {
		return nil, err
	}
	g := &changes{session: session, kind: kind, hold: same.Hold}
	switch c := g.conn; {
	case !c.deletesCAS:
		err = errNoCompare
	case !c.usesCAS:
		err = errNoCAS
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *changes) Add(i *walk.Item, _ int64) bool {
	if g.Len() == changesMax {
		return false
	}
	if !meta.Fits(i.Key) {
		g.unfit++
		return true
	}
	g.items = append(g.items, walk.Item{Key: bytes.Clone(i.Key), CAS: i.CAS, Size: i.Size})
	return true
}

func (g *changes) Len() int { return len(g.items) + int(g.unfit) }

// Apply sends a command for each item, which compares its CAS unique, and reads the answers. What a client does between the
// last look at the conditions and that is as if it came after the change.
func (g *changes) Apply() (changed walk.Changed, err error) {
	items := g.items
	changed.Unfit = g.unfit
	g.items, g.unfit = nil, 0
	if err := g.refresh(); err != nil {
		return changed, err
	}
	if g.hold != nil {
		if items, err = g.holding(items, &changed); err != nil {
			return changed, g.failed(err)
		}
	}
	w := meta.NewWriter(g.conn.send)
	for i := range items {
		if key, cas := items[i].Key, items[i].CAS; g.kind == walk.Invalidate {
			w.Invalidate(key, true, cas, 0)
		} else {
			w.DeleteSame(key, cas)
		}
	}
	if err := w.End(); err != nil {
		return changed, g.failed(err)
	}
	for range items {
		line, err := g.conn.line()
		if err != nil {
			return changed, g.failed(err)
		}
		switch string(bytes.TrimRight(line, " ")) {
		case "HD":
			changed.Changed++
		case "EX":
			changed.Replaced++
		case "NF":
			changed.Gone++
		default:
			return changed, g.failed(unexpected(line))
		}
	}
	g.used = time.Now()
	if err := g.conn.noop(); err != nil {
		return changed, g.failed(err)
	}
	return changed, nil
}

// holding returns those of the items for which the conditions still hold, and counts the others. It asks with "me", which
// takes no token, and counts as no use.
func (g *changes) holding(items []walk.Item, changed *walk.Changed) (hold []walk.Item, err error) {
	w := meta.NewWriter(g.conn.send)
	for i := range items {
		w.Debug(items[i].Key)
	}
	if err := w.End(); err != nil {
		return nil, err
	}
	for i := range items {
		line, err := g.conn.line()
		if err != nil {
			return nil, err
		}
		if string(line) == "EN" {
			changed.Gone++
			continue
		}
		now, err := debugged(line)
		if err != nil {
			return nil, err
		}
		now.Key, now.Size = items[i].Key, items[i].Size
		if now.CAS != items[i].CAS || !g.hold(&now) {
			changed.Replaced++
			continue
		}
		hold = append(hold, items[i])
	}
	return hold, g.conn.noop()
}

func (g *changes) failed(err error) error { return fmt.Errorf("memcached at %v: %w", g.store.at, err) }

func (g *changes) Close() { g.conn.close() }

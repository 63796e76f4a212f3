// Package change changes the items of a cache that a filter wants: it deletes them, marks them as stale, or touches them.
package change

import (
	"errors"
	"fmt"
	"io"
	"time"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/walk"
)

const (
	// progressEvery is the time between two reports of progress.
	progressEvery = 200 * time.Millisecond
	// keysKept is how many keys the counts have at most.
	keysKept = 10
	// waitMost is how long a change waits without looking for its client.
	waitMost = 100 * time.Millisecond
	// itemsPerCheck is how many items are met without that: a regular expression may take milliseconds for one.
	itemsPerCheck = 256
)

// Options say what becomes of the items. Their JSON is that of a request (package door).
type Options struct {
	// Invalidate marks items as stale, instead of deleting them.
	Invalidate bool `json:"invalidate,omitempty"`
	// NewTTL is the time to live that touched items get, in seconds from then; 0: they never expire.
	NewTTL int64 `json:"new_ttl,omitempty"`
	// NewTTLJitter shortens each by a part that follows from its key, up to a percentage such as 10%.
	NewTTLJitter string `json:"new_ttl_jitter,omitempty"`
}

// Hooks are functions that a change calls; each may be nil.
type Hooks struct {
	// ClientGone is called now and then. It returns an error if the client has gone; the error ends the change.
	ClientGone func() error
	// Progress is called now and then, while the pace lets the change wait too, with the counts so far, which it may read
	// until it returns.
	Progress func(*Counts)
}

// Counts accounts for the items that were met: Items = Changed + Spared + Gone + Left.
type Counts struct {
	Items    uint64 // live ones; of listed keys, all
	Changed  uint64 // or, in a dry run, those that would be
	Spared   uint64 // the conditions do not hold for them
	Replaced uint64 // of these, those for which they held until a client stored another
	Gone     uint64 // they do not exist, or not any more
	Part     float64
	Keys     []string // in a dry run, of some of the items that would be changed
}

// Left is how many items were met, and left as they were or not known to be changed, for the change ended early: 0
// without an error.
func (c *Counts) Left() uint64 { return c.Items - c.Changed - c.Spared - c.Gone }

type changer struct {
	wanted  *filter.Filter
	changes walk.Changes // nil: a dry run
	ttl     int64
	jitter  record.Jitter
	pace    limits.Pace
	hooks   Hooks
	counts  Counts
	unfit   uint64    // items that are left for their keys
	report  time.Time // when progress is reported next
}

// Change changes the wanted items of source by changes, which the caller closes; nil: it only counts them. Its error is
// that of the walk, of the changes or of a hook, an [*option.Error], or says how many items could not be changed. With an
// error, too, the counts are true.
func Change(source walk.Source, wanted *filter.Filter, changes walk.Changes, o Options, l limits.Options, hooks Hooks) (Counts, error) {
	jitter, err := record.ParseJitter(o.NewTTLJitter)
	if err != nil {
		return Counts{}, err
	}
	if jitter > 0 && o.NewTTL == 0 {
		return Counts{}, option.Errorf("", "--ttl-jitter shortens times to live, and items that never expire have none")
	}
	if hooks.ClientGone == nil {
		hooks.ClientGone = func() error { return nil }
	}
	g := &changer{wanted: wanted, changes: changes, ttl: o.NewTTL, jitter: jitter, pace: limits.NewPace(l), hooks: hooks}
	prefix := wanted.Prefix()
	if changes == nil {
		prefix = "" // all items are counted
	}
	walker, err := source.Walk(walk.Options{Prefix: prefix, KeysOnly: true, ClientGone: hooks.ClientGone})
	if err != nil {
		return Counts{}, err
	}
	defer walker.Close()
	err = g.run(walker)
	return g.counts, err
}

func (g *changer) run(walker walk.Walker) error {
	g.report = time.Now().Add(progressEvery)
	for {
		if err := g.hooks.ClientGone(); err != nil {
			return err
		}
		err := walker.Next(g.item)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		// Not to wait for more items: those that were met may be others soon.
		if applied := g.apply(); applied != nil {
			return applied
		}
		if err != nil {
			g.counts.Part = 1
			return g.errUnfit()
		}
		g.counts.Part = walker.Part()
		g.progress()
	}
}

// errUnfit returns an error if items were left for their keys.
func (g *changer) errUnfit() error {
	if g.unfit == 0 {
		return nil
	}
	return fmt.Errorf("items left as they were, whose keys no command of memcached can have (binary ones of more than %d bytes): %d", meta.BinaryKeyMax, g.unfit)
}

// progress reports the counts, if it is time.
func (g *changer) progress() {
	if g.hooks.Progress != nil && !time.Now().Before(g.report) {
		g.hooks.Progress(&g.counts)
		g.report = time.Now().Add(progressEvery)
	}
}

// item changes an item, or adds it to those that are to be changed, if it is wanted.
func (g *changer) item(i *walk.Item) error {
	g.counts.Items++
	if g.counts.Items%itemsPerCheck == 0 {
		if err := g.hooks.ClientGone(); err != nil {
			return err
		}
	}
	switch {
	case i.Gone:
		g.counts.Gone++
		return nil
	case !g.wanted.Wants(i):
		g.counts.Spared++
		return nil
	}
	if g.changes == nil {
		g.counts.Changed++
		if len(g.counts.Keys) < keysKept {
			g.counts.Keys = append(g.counts.Keys, string(i.Key))
		}
		return nil
	}
	ttl := g.ttl
	if ttl != 0 {
		ttl = g.jitter.Shorten(ttl, i.Key)
	}
	for g.changes.Len() >= g.pace.Rows || !g.changes.Add(i, ttl) {
		if err := g.apply(); err != nil {
			return err
		}
	}
	return nil
}

// apply changes the items that were added, when the pace allows it.
func (g *changer) apply() error {
	if g.changes == nil || g.changes.Len() == 0 {
		return nil
	}
	for {
		left := g.pace.Until(time.Now(), 0)
		if left <= 0 {
			break
		}
		if err := g.hooks.ClientGone(); err != nil {
			return err
		}
		g.progress()
		time.Sleep(min(left, waitMost))
	}
	g.pace.Submitted(time.Now(), g.changes.Len())
	changed, err := g.changes.Apply()
	g.pace.Finished(time.Now())
	g.counts.Changed += changed.Changed
	g.counts.Spared += changed.Replaced
	g.counts.Replaced += changed.Replaced
	g.counts.Gone += changed.Gone
	g.unfit += changed.Unfit
	return err
}

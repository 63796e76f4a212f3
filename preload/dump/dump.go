// Package dump writes the items of a cache.
package dump

import (
	"bytes"
	"io"
	"slices"
	"sort"
	"time"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

const (
	// writeBytes is about how many bytes are written at once.
	writeBytes = 256 << 10
	// progressEvery is the time between two reports of progress.
	progressEvery = 200 * time.Millisecond
	// fetchBytes is about how many bytes of values of external items are fetched at once.
	fetchBytes = 4 << 20
	// itemsPerCheck is how many items are met without looking for the client: a regular expression may take milliseconds
	// for one, and none may be written.
	itemsPerCheck = 256
	// keysKept is how many keys of lost items the counts have at most.
	keysKept = 10
)

// Options say how items are written. Their JSON is that of a request (package door).
type Options struct {
	Format   Format `json:"to,omitempty"`        // "": MS
	KeysOnly bool   `json:"keys_only,omitempty"` // no values
}

// Hooks are functions that a dump calls; each may be nil.
type Hooks struct {
	// Fetch fetches the values of external items; without it they are lost.
	Fetch Fetch
	// ClientGone is called now and then. It returns an error if the client has gone; the error ends the dump.
	ClientGone func() error
	// Progress is called now and then with the counts so far, which it may read until it returns.
	Progress func(*Counts)
}

// A WriteError says that the dump could not be written; any other error is the cache's.
type WriteError struct{ error }

// Unwrap returns the error of the writer.
func (e *WriteError) Unwrap() error { return e.error }

// Counts accounts for the items that were met: Items = Written + Filtered + Lost + Unwritten.
type Counts struct {
	Items    uint64   // live ones
	Written  uint64   // with all their bytes
	Filtered uint64   // not among those that are wanted
	Unmarked uint64   // of the written ones, those whose marks, stale or won, the format does not have
	Lost     uint64   // their values could not be read
	Gone     uint64   // keys that were listed and have no item, and items that went away before their values were read: not among Items
	Bytes    uint64   // written
	Part     float64  // of the cache that was walked through, from 0 to 1
	Keys     []string // of some lost items
}

// Unwritten is how many items were met and not written, or not with all their bytes: 0 after a
// dump without an error.
func (c *Counts) Unwritten() uint64 { return c.Items - c.Written - c.Filtered - c.Lost }

// Fetch fills in the values of external items, in place. An item whose value it cannot fetch stays External, or is
// Gone.
type Fetch func([]*walk.Item) error

type dumper struct {
	options Options
	wanted  *filter.Filter
	hooks   Hooks
	encoder encoder
	walker  walk.Walker
	out     io.Writer
	buffer  []byte
	ends    []int        // of the items in buffer
	now     int64        // seconds since 1970
	outside []*walk.Item // external items whose values are to be fetched; and, if the order matters, those behind them
	toFetch int          // how many bytes their values have
	counts  Counts
}

// Dump writes the wanted items of source to out. Its error is an *option.Error, a *WriteError, or that of the walk or of a
// hook. With an error, too, the counts are true.
func Dump(source walk.Source, wanted *filter.Filter, out io.Writer, o Options, hooks Hooks) (Counts, error) {
	encoder, err := newEncoder(o)
	if err != nil {
		return Counts{}, err
	}
	o.KeysOnly = o.KeysOnly || o.Format == List
	walker, err := source.Walk(walk.Options{Prefix: wanted.Prefix(), KeysOnly: o.KeysOnly, ClientGone: hooks.ClientGone})
	if err != nil {
		return Counts{}, err
	}
	defer walker.Close()
	d := &dumper{options: o, wanted: wanted, encoder: encoder, hooks: hooks, walker: walker, out: out}
	err = d.run()
	return d.counts, err
}

func (d *dumper) run() error {
	d.buffer = d.encoder.begin(d.buffer)
	next := time.Now().Add(progressEvery)
	for {
		if d.hooks.ClientGone != nil {
			if err := d.hooks.ClientGone(); err != nil {
				return err
			}
		}
		d.now = time.Now().Unix()
		switch err := d.walker.Next(d.item); err {
		case nil:
		case io.EOF:
			d.counts.Part = 1
			if d.counts.Lost == 0 { // else the dump has no end: it is truncated
				d.buffer = d.encoder.end(d.buffer)
			}
			return d.flush()
		default:
			return err
		}
		if err := d.fetchOutside(); err != nil {
			return err
		}
		d.counts.Part = d.walker.Part()
		if d.hooks.Progress != nil && !time.Now().Before(next) {
			d.hooks.Progress(&d.counts)
			next = time.Now().Add(progressEvery)
		}
	}
}

// item writes one item, if it is wanted.
func (d *dumper) item(i *walk.Item) error {
	if i.Gone {
		d.counts.Gone++
		i.External = false
	} else {
		d.counts.Items++
		if d.counts.Items%itemsPerCheck == 0 && d.hooks.ClientGone != nil {
			if err := d.hooks.ClientGone(); err != nil {
				return err
			}
		}
		if !d.wanted.Wants(i) {
			d.counts.Filtered++
			return nil
		}
	}
	inOrder := d.options.Format == Details
	if i.External && !d.options.KeysOnly || inOrder && len(d.outside) > 0 {
		kept := *i
		kept.Key, kept.Value = bytes.Clone(i.Key), bytes.Clone(i.Value)
		d.outside = append(d.outside, &kept)
		if d.toFetch += i.Size; d.toFetch < fetchBytes {
			return nil
		}
		return d.fetchOutside()
	}
	return d.write(i)
}

func (d *dumper) write(i *walk.Item) error {
	if i.Gone && d.options.Format != Details {
		return nil
	}
	if l, ok := d.encoder.(list); ok && l.values && len(i.Value) > writeBytes {
		return d.writeLarge(l, i)
	}
	d.buffer = d.encoder.item(d.buffer, i, d.now)
	if !i.Gone {
		d.ends = append(d.ends, len(d.buffer))
	}
	if i.Stale || i.Won {
		if _, csv := d.encoder.(table); csv {
			d.counts.Unmarked++
		}
	}
	if len(d.buffer) < writeBytes {
		return nil
	}
	return d.flush()
}

// writeLarge writes an item with its value, which is not copied.
func (d *dumper) writeLarge(l list, i *walk.Item) error {
	d.buffer = l.line(d.buffer, i, d.now)
	if err := d.flush(); err != nil {
		return err
	}
	n, err := d.out.Write(i.Value)
	d.counts.Bytes += uint64(n)
	if err != nil {
		return &WriteError{err}
	}
	d.buffer = append(d.buffer, '\n')
	d.ends = append(d.ends, len(d.buffer))
	return nil
}

// fetchOutside fetches the external items that were met, and writes them.
func (d *dumper) fetchOutside() error {
	items := d.outside
	d.outside, d.toFetch = nil, 0
	external := slices.DeleteFunc(slices.Clone(items), func(i *walk.Item) bool { return !i.External })
	if len(external) > 0 && d.hooks.Fetch != nil {
		if err := d.hooks.Fetch(external); err != nil {
			return err
		}
	}
	for _, i := range items {
		if i.External && i.Gone {
			d.counts.Items-- // it is not in the cache to the end: a dump need not have it
			d.counts.Gone++
			i.External = false
		}
		if i.External {
			d.counts.Lost++
			if len(d.counts.Keys) < keysKept {
				d.counts.Keys = append(d.counts.Keys, string(i.Key))
			}
		} else if err := d.write(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) flush() error {
	n, err := d.out.Write(d.buffer)
	d.counts.Bytes += uint64(n)
	d.counts.Written += uint64(sort.SearchInts(d.ends, n+1))
	d.buffer, d.ends = d.buffer[:0], d.ends[:0]
	if err != nil {
		return &WriteError{err}
	}
	return nil
}

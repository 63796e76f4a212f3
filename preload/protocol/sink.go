package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"memcached-backdoor/preload/batch"
)

const (
	// groupRows is how many rows go between two looks at the answers.  Those of a
	// group fit into the socket's buffer.
	groupRows = 1024
	// month is the longest time to live that memcached takes for one, in seconds;
	// a larger number is a date (memcached.c: realtime).
	month = 60 * 60 * 24 * 30
	// maxDate is the last date that it reads (proto_parser.c, flag T).
	maxDate = 1<<31 - 1
)

// errAnonymous says that a row of a quiet group was refused, and not which.
var errAnonymous = errors.New("a row was refused")

// sink is one load's connection, with the goroutine that uses it.
type sink struct {
	store *Store
	conn  *conn
	used  time.Time // when the connection was used last
	work  chan *batch.Batch
	ended sync.WaitGroup
}

func (k *sink) Submit(b *batch.Batch) { k.work <- b }

func (k *sink) Close() {
	close(k.work)
	k.ended.Wait()
	k.conn.close()
}

func (k *sink) run() {
	defer k.ended.Done()
	var failed error
	for b := range k.work {
		if failed == nil {
			failed = k.guarded(b)
		}
		b.Finish(failed)
	}
}

// guarded turns a panic into an error: none may reach memcached.
func (k *sink) guarded(b *batch.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return k.put(b)
}

// put stores a batch.
func (k *sink) put(b *batch.Batch) error {
	if err := k.refresh(); err != nil {
		return err
	}
	err := k.groups(b)
	k.used = time.Now()
	return err
}

// groups stores a batch, group by group.
func (k *sink) groups(b *batch.Batch) error {
	for from := 0; from < b.Len(); from += groupRows {
		g := &group{Batch: b, from: from, to: min(from+groupRows, b.Len()), itemSizeMax: k.store.itemSizeMax}
		if err := g.prepare(); err != nil {
			return err
		}
		err := k.group(g)
		if errors.Is(err, errAnonymous) {
			// Set again, the rows are what they are; now each says what becomes of it.
			g.answered = true
			err = k.group(g)
		}
		if err != nil {
			return fmt.Errorf("memcached at %v: %w; what became of up to %d rows is not known", k.store.at, err, g.to-g.from)
		}
	}
	return nil
}

// refresh replaces a connection that has lain idle for too long.
func (k *sink) refresh() error {
	if time.Since(k.used) < rest && !k.conn.stale() {
		return nil
	}
	c, _, err := dial(k.store.at)
	if err != nil {
		return fmt.Errorf("memcached at %v: %w", k.store.at, err)
	}
	k.conn.close()
	k.conn = c
	return nil
}

// group sends a group and settles its rows.
func (k *sink) group(g *group) error {
	w := writer{conn: k.conn}
	if err := g.write(&w); err != nil {
		return err
	}
	return g.settle(k.conn)
}

// group is some rows of a batch that are sent together, with a no-op behind them.
//
// Rows to set are sent quietly: memcached answers nothing for one that it stores.
// An error has no row's name on it; the group is sent again then, with answers.
// Rows to add or to replace cannot be sent twice, so they always have answers, and
// so has a group with a row that is too large, whose key is deleted: there memcached
// is not quiet.
type group struct {
	*batch.Batch
	from, to    int
	itemSizeMax uint64
	flags       []byte // the meta flags of each row
	answered    bool
}

// prepare makes what stands behind each row's length, and decides on the answers.
func (g *group) prepare() error {
	o := g.Options()
	if o.Flags != 0 {
		g.flags = strconv.AppendUint(append(g.flags, " F"...), uint64(o.Flags), 10)
	}
	if ttl := o.TTL; ttl != 0 {
		if ttl > month {
			ttl += time.Now().Unix()
		}
		if ttl > maxDate {
			return errors.New("memcached's protocol has no time to live beyond the year 2038; hint: a shorter --ttl, or none")
		}
		g.flags = strconv.AppendInt(append(g.flags, " T"...), ttl, 10)
	}
	switch o.Command {
	case batch.Add:
		g.flags, g.answered = append(g.flags, " ME"...), true
	case batch.Replace:
		g.flags, g.answered = append(g.flags, " MR"...), true
	default:
		for i := g.from; i < g.to; i++ {
			g.answered = g.answered || g.tooLarge(i)
		}
	}
	return nil
}

// overhead is what an item has beside key and value: header, CAS, the byte behind
// the key and "\r\n" (memcached.h: struct _stritem, from 1.6.10 on).
const overhead = 48 + 8 + 1 + 2

// tooLarge tells of a row that memcached would refuse.
func (g *group) tooLarge(i int) bool {
	value, fits := g.Value(i)
	_, _, key := g.Row(i)
	return !fits || uint64(overhead+len(key)+len(value)) > g.itemSizeMax
}

// write sends the rows.  A row that is too large takes the key's old value out, if
// it was to be set: a stale value is worse than none.
func (g *group) write(w *writer) error {
	set := g.Options().Command == batch.Set
	var head []byte
	for i := g.from; i < g.to; i++ {
		_, _, key := g.Row(i)
		value, _ := g.Value(i)
		large := g.tooLarge(i)
		switch {
		case large && !set:
			continue
		case large:
			head = append(append(head[:0], "md "...), key...)
		default:
			head = append(append(append(head[:0], "ms "...), key...), ' ')
			head = append(strconv.AppendInt(head, int64(len(value)), 10), g.flags...)
		}
		if !g.answered {
			head = append(head, " q"...)
		}
		if err := w.write(append(head, "\r\n"...)); err != nil {
			return err
		}
		if large {
			continue
		}
		if err := w.write(value); err != nil {
			return err
		}
		if err := w.write([]byte("\r\n")); err != nil {
			return err
		}
	}
	if err := w.write([]byte("mn\r\n")); err != nil {
		return err
	}
	return w.flush()
}

// settle reads the answers to a group.
func (g *group) settle(c *conn) error {
	if g.answered {
		return g.settleEach(c)
	}
	return g.settleQuiet(c)
}

// settleQuiet reads up to the no-op's answer, before which there is none when all
// rows were stored.
func (g *group) settleQuiet(c *conn) error {
	refused := false
	for range g.to - g.from + 1 {
		line, err := c.line()
		if err != nil {
			return err
		}
		if string(line) != "MN" {
			if _, ok := outcomeOf(line, g.Options().Command); !ok {
				return unexpected(line)
			}
			refused = true
			continue
		}
		if refused {
			return errAnonymous
		}
		for i := g.from; i < g.to; i++ {
			g.Settle(i, batch.Stored)
		}
		return nil
	}
	return errors.New("it answers more than it was asked")
}

// settleEach reads one answer for each row, and the no-op's.
func (g *group) settleEach(c *conn) error {
	command := g.Options().Command
	for i := g.from; i < g.to; i++ {
		large := g.tooLarge(i)
		if large && command != batch.Set {
			g.Settle(i, batch.TooLarge)
			continue
		}
		line, err := c.line()
		if err != nil {
			return err
		}
		outcome, ok := outcomeOf(line, command)
		if large {
			outcome, ok = batch.TooLarge, string(line) == "HD" || string(line) == "NF"
		}
		if !ok {
			return unexpected(line)
		}
		g.Settle(i, outcome)
	}
	line, err := c.line()
	if err == nil && string(line) != "MN" {
		err = unexpected(line)
	}
	return err
}

func unexpected(line []byte) error { return fmt.Errorf("it answers %.80q", line) }

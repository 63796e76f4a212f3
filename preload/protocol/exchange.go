package protocol

import (
	"bytes"
	"errors"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/slabs"
)

// maxDate is the last date that memcached reads, in seconds since 1970 (proto_parser.c, flag T).
const maxDate = 1<<31 - 1

// exchange is a batch in flight: its rows are sent together, with a no-op behind
// them, and then the answers are read.
//
// Rows to set are sent quietly: memcached does not answer a row that it stores.
// An error does not name its row; then the batch is sent again, with answers.
// Rows to add or to replace cannot be sent twice, so a batch that has one is sent with answers.
// So is a batch with a row that memcached may not answer when it fails, or
// answers when it succeeds (see loud), and one with a row that is marked afterwards (see mark).
type exchange struct {
	*batch.Batch
	conn     *conn
	answered bool
	settled  int   // how many of the rows have an outcome
	stale    []int // rows that failed and whose key may have kept its old value

	drawn map[int]uint64 // the CAS uniques of stored rows that get marks
}

// prepare checks the rows before any is sent, and sets answered.
func (e *exchange) prepare() error {
	for i := range e.Len() {
		row := e.Row(i)
		if e.date(row.TTL) > maxDate {
			return errBeyond
		}
		e.answered = e.answered || row.Command != batch.Set || row.Stale || row.Won || e.loud(i)
	}
	return nil
}

// date is a time to live as memcached's commands have it.
func (e *exchange) date(ttl uint32) int64 {
	if ttl == batch.Past {
		return -1
	}
	if ttl > meta.RelativeMax {
		return int64(ttl) + e.conn.now()
	}
	return int64(ttl)
}

// set is the command that stores row i.
func (e *exchange) set(i int) meta.Set {
	row := e.Row(i)
	s := meta.Set{Flags: row.Flags, TTL: e.date(row.TTL), CAS: e.CAS(i), AskCAS: row.Stale || row.Won, Quiet: !e.answered}
	if isPlaceholder(row) {
		s.TTL = maxDate - 1
	}
	switch row.Command {
	case batch.Add:
		s.Mode = meta.Add
	case batch.Replace:
		s.Mode = meta.Replace
	}
	return s
}

// clientFlags is how many bytes more than slabs.ItemOverhead an item may have: 4 or 8 for client flags, by the way
// memcached was built.
const clientFlags = 8

func (e *exchange) size(i int) uint64 {
	value, _ := e.Value(i)
	return uint64(slabs.ItemOverhead + e.Row(i).NKey + len(value))
}

// tooLarge reports whether row i is larger than memcached's limit.
func (e *exchange) tooLarge(i int) bool {
	_, fits := e.Value(i)
	return !fits || e.size(i) > e.conn.itemSizeMax
}

// removes reports whether a row with the command removes its key's old value if it is not stored.
func removes(c batch.Command) bool { return c == batch.Set || c == batch.Expire }

// loud reports whether row i cannot be sent quietly: its key is deleted, and memcached
// answers if there is none; or its item is chunked, and if memcached has no memory for
// the next chunk, the quiet flag suppresses that error, too
// (memcached.c: drive_machine, "Out of memory during read").
func (e *exchange) loud(i int) bool {
	return e.tooLarge(i) || e.size(i)+clientFlags > e.conn.chunkMax
}

// do sends the rows and settles them.
func (e *exchange) do() error {
	if err := e.write(); err != nil {
		return err
	}
	if e.answered {
		return e.settleEach()
	}
	return e.settleQuiet()
}

// write sends the rows.  A row that is too large removes its key's old value, if
// it was to be set: an outdated value is worse than none.
func (e *exchange) write() error {
	w := meta.NewWriter(e.conn.send)
	for i := range e.Len() {
		key := e.Key(i)
		value, _ := e.Value(i)
		switch {
		case !e.tooLarge(i):
			w.Set(key, value, e.set(i))
		case removes(e.Row(i).Command):
			w.Delete(key)
		}
	}
	return w.End()
}

func (e *exchange) settle(i int, outcome batch.Outcome) {
	e.Settle(i, outcome)
	e.settled++
}

// settleQuiet reads up to the no-op's answer; if all rows were stored, there is no other.
func (e *exchange) settleQuiet() error {
	rejected := false
	for range e.Len() + 1 {
		line, err := e.conn.line()
		if err != nil {
			return err
		}
		if string(line) != "MN" {
			if _, ok := outcomeOf(line, batch.Set); !ok {
				return unexpected(line)
			}
			rejected = true
			continue
		}
		if rejected {
			return errAnonymous
		}
		for i := range e.Len() {
			e.settle(i, batch.Stored)
		}
		return nil
	}
	return errors.New("it answers more than it was asked")
}

// settleEach reads one answer for each row, and the no-op's.
func (e *exchange) settleEach() error {
	for i := range e.Len() {
		command, large := e.Row(i).Command, e.tooLarge(i)
		if large && !removes(command) {
			e.settle(i, batch.TooLarge)
			continue
		}
		line, err := e.conn.line()
		if err != nil {
			return err
		}
		outcome, ok := outcomeOf(line, command)
		if large {
			outcome, ok = batch.TooLarge, removed(line)
			if command == batch.Expire {
				outcome = batch.Expired
			}
		}
		if !ok {
			return unexpected(line)
		}
		e.settle(i, outcome)
		if row := e.Row(i); outcome == batch.Stored && (row.Stale || row.Won) {
			if err := e.note(i, line); err != nil {
				return err
			}
		}
		if command == batch.Set && bytes.HasPrefix(line, noChunk) {
			e.stale = append(e.stale, i)
		}
	}
	return e.conn.noop()
}

// removeStale removes the old values that memcached keeps: it removes one if it has no
// memory for the new item, but not if it has none for a chunk.
func (e *exchange) removeStale() error {
	w := meta.NewWriter(e.conn.send)
	var asked int
	for _, i := range e.stale {
		if !e.storedAfter(i) {
			w.Delete(e.Key(i))
			asked++
		}
	}
	if err := w.End(); err != nil {
		return err
	}
	for range asked {
		line, err := e.conn.line()
		if err != nil {
			return err
		}
		if !removed(line) {
			return unexpected(line)
		}
	}
	return e.conn.noop()
}

// storedAfter reports whether a later row has stored the key of row i.
func (e *exchange) storedAfter(i int) bool {
	key := e.Key(i)
	for j := i + 1; j < e.Len(); j++ {
		if e.Outcome(j) == batch.Stored && bytes.Equal(key, e.Key(j)) {
			return true
		}
	}
	return false
}

// now is memcached's time, with which it compares dates: it starts as the machine's
// and does not follow when that is set.
func (c *conn) now() int64 { return c.clock + int64(time.Since(c.greeted)/time.Second) }

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

// exchange is a batch on its way: its rows are sent together, with a no-op behind
// them, and then the answers are taken.
//
// Rows to set are sent quietly: memcached answers nothing for one that it stores.
// An error has no row's name on it; the batch is sent again then, with answers.
// Rows to add or to replace cannot be sent twice, so a batch that has one has answers.
// So has a batch with a row of which memcached may say nothing when it fails, or
// something when it succeeds; see loud. And so has one with a row that is marked afterwards, see mark.
type exchange struct {
	*batch.Batch
	conn     *conn
	answered bool
	settled  int   // how many of the rows have an outcome
	stale    []int // rows that failed and whose key may have kept its old value

	drawn map[int]uint64 // the CAS uniques of stored rows that get marks
}

// prepare looks at the rows before any is sent, and decides on the answers.
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

// date is how memcached's commands say a time to live.
func (e *exchange) date(ttl uint32) int64 {
	if ttl == batch.Past {
		return -1
	}
	if ttl > meta.RelativeMax {
		return int64(ttl) + e.conn.now()
	}
	return int64(ttl)
}

// set is how row i is stored.
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

// tooLarge tells of a row that memcached would refuse.
func (e *exchange) tooLarge(i int) bool {
	_, fits := e.Value(i)
	return !fits || e.size(i) > e.conn.itemSizeMax
}

// removes says that a row that is not stored takes its key's old value out.
func removes(c batch.Command) bool { return c == batch.Set || c == batch.Expire }

// loud tells of a row that cannot be sent quietly: one whose key is deleted, for
// memcached says when there is none; and one whose item is a chain of chunks, for
// when it has no memory for the next of them, the quiet flag covers that error too
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

// write sends the rows.  A row that is too large takes the key's old value out, if
// it was to be set: a stale value is worse than none.
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

// settleQuiet reads up to the no-op's answer, before which there is none when all
// rows were stored.
func (e *exchange) settleQuiet() error {
	refused := false
	for range e.Len() + 1 {
		line, err := e.conn.line()
		if err != nil {
			return err
		}
		if string(line) != "MN" {
			if _, ok := outcomeOf(line, batch.Set); !ok {
				return unexpected(line)
			}
			refused = true
			continue
		}
		if refused {
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

// removeStale takes the old value out where memcached leaves it: it removes it when
// it gets no item for a new one, and not when it gets no chunk.
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

// storedAfter tells whether a later row has stored the key of row i.
func (e *exchange) storedAfter(i int) bool {
	key := e.Key(i)
	for j := i + 1; j < e.Len(); j++ {
		if e.Outcome(j) == batch.Stored && bytes.Equal(key, e.Key(j)) {
			return true
		}
	}
	return false
}

// now is the time as memcached has it, which is what its dates are compared with:
// it starts with the machine's and does not follow when that is set.
func (c *conn) now() int64 { return c.clock + int64(time.Since(c.greeted)/time.Second) }

package load

import (
	"bytes"
	"encoding/binary"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
)

// A work is a batch, with what only the load must know of the rows that it was made of.
type work struct {
	*batch.Batch
	origins []origin                 // of the batch's rows
	removed []removed                // of these, the rejects that take an old value out
	bad     []reject                 // rows that were rejected as they were read, in their order
	skipped map[record.Reason]uint64 // rows that were skipped as they were read
	rows    uint64                   // all of them
	end     Position                 // behind them
}

// origin is where a row stands in the input.
type origin struct {
	line     uint64 // its first, from 1
	from, to uint32 // offsets in the work's data; to 0: it was too long for that
	many     bool   // the row makes several items, of which this is one
}

// streamed says that the row was too long for a work's data, and is among the rejects.
func (o *origin) streamed() bool { return o.to == 0 }

// reject is a row that cannot be stored.
type reject struct {
	origin
	reason record.Reason
	column int    // the byte of the row, from 1; 0: not known
	key    []byte // or what stands in its place
}

// removed is a row of the batch that was rejected as it was read: it only takes its key's old value
// out, which is stale. Expired is its outcome.
type removed struct {
	row    int
	reason record.Reason
	column int
}

// empty says that it is about no row.
func (w *work) empty() bool { return w.rows == 0 }

// full says that it takes no more rows.
func (w *work) full() bool { return w.Full() || len(w.bad) >= badRows }

// badRows is how many rejected rows a work has at most.
const badRows = 8192

func (w *work) reset() {
	w.Reset()
	w.origins, w.removed, w.bad = w.origins[:0], w.removed[:0], w.bad[:0]
	clear(w.skipped)
	w.rows = 0
}

// A batch takes a record's time to live as it is: both have the same Past.
const _ = uint(record.Past-batch.Past) | uint(batch.Past-record.Past)

// add adds a row that is to be stored.
func (w *work) add(row *record.Row, command batch.Command, o origin) error {
	r := batch.Row{
		NKey: row.Key.Len, NValue: row.Value.Len,
		Command: command, Flags: row.Flags, TTL: uint32(row.TTL), Binary: row.Binary,
		Stale: row.Stale, Won: row.Won,
	}
	var err error
	if row.CAS != 0 {
		if r.CAS, err = w.Append(binary.NativeEndian.AppendUint64(nil, row.CAS)); err != nil {
			return err
		}
	}
	if r.Key, err = w.place(row.Key, o.from); err != nil {
		return err
	}
	if row.Oversize {
		r.NValue = batch.Oversize
	} else if r.Value, err = w.place(row.Value, o.from); err != nil {
		return err
	}
	w.Add(r)
	w.origins = append(w.origins, o)
	w.rows++
	return nil
}

// expire adds a row that takes its key's old value out.
func (w *work) expire(row *record.Row, o origin) error {
	r := batch.Row{NKey: row.Key.Len, NValue: batch.Oversize, Command: batch.Expire, Binary: row.Binary}
	var err error
	if r.Key, err = w.place(row.Key, o.from); err != nil {
		return err
	}
	w.Add(r)
	w.origins = append(w.origins, o)
	w.rows++
	return nil
}

// place returns where in the batch a row's bytes are; from is where the row begins.
func (w *work) place(b record.Bytes, from uint32) (int, error) {
	if b.Made != nil {
		return w.Append(b.Made)
	}
	return int(from) + b.At, nil
}

// reject adds a row that cannot be stored.
func (w *work) reject(row *record.Row, o origin) error {
	if row.Known && row.Command == record.Set {
		w.removed = append(w.removed, removed{w.Len(), row.Reason, row.Column})
		return w.expire(row, o)
	}
	key := row.Key.Of(w.Data()[o.from:])
	w.bad = append(w.bad, reject{o, row.Reason, row.Column, bytes.Clone(key[:min(len(key), meta.KeyMax)])})
	w.rows++
	return nil
}

// removals is how many rejects of a finished work have taken an old value out.
func (w *work) removals() (n uint64) {
	for _, r := range w.removed {
		if w.Outcome(r.row) == batch.Expired {
			n++
		}
	}
	return n
}

// skip adds a row that is not to be stored.
func (w *work) skip(row *record.Row) {
	if w.skipped == nil {
		w.skipped = make(map[record.Reason]uint64)
	}
	w.skipped[row.Reason]++
	w.rows++
}

// rejects calls f for all rejected rows of a finished work, in the order of the input.
func (w *work) rejects(f func(reject) error) error {
	bad := w.bad
	before := func(line uint64) error {
		for len(bad) > 0 && bad[0].line < line {
			if err := f(bad[0]); err != nil {
				return err
			}
			bad = bad[1:]
		}
		return nil
	}
	removed := w.removed
	for i, o := range w.origins {
		outcome, column := w.Outcome(i), 0
		reason, ok := refusals[outcome]
		if len(removed) > 0 && removed[0].row == i {
			reason, column, ok = removed[0].reason, removed[0].column, outcome == batch.Expired
			removed = removed[1:]
		}
		if !ok {
			continue
		}
		if err := before(o.line); err != nil {
			return err
		}
		if err := f(reject{origin: o, reason: reason, column: column, key: w.Key(i)}); err != nil {
			return err
		}
	}
	return before(1<<64 - 1)
}

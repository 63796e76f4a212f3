package load

import (
	"bytes"
	"encoding/binary"
	"math"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
)

// A loadBatch is a batch, and what the load itself must know of its rows.
type loadBatch struct {
	*batch.Batch
	origins  []origin                 // of the batch's rows
	removed  []removed                // of these, the rejects that take an old value out
	rejected []reject                 // rows that were rejected as they were read, in their order
	skipped  map[record.Reason]uint64 // rows that were skipped as they were read
	rows     uint64                   // all of them
	end      Position                 // behind them
}

// origin is where a row was in the input.
type origin struct {
	line     uint64 // its first line, from 1
	offset   int64  // its first byte; the items of a row have the same
	from, to uint32 // offsets in the batch's data; to is 0 for a row that was too long for it
}

// streamed says that the row was too long for a batch's data, and is among the rejects already.
func (o *origin) streamed() bool { return o.to == 0 }

// reject is a row that cannot be stored.
type reject struct {
	origin
	reason record.Reason
	detail string // of the reason; "": there is none
	column int    // the byte of the row, from 1; 0: not known
	key    []byte // or what was read in its place
}

// removed is a row of the batch that was rejected as it was read: it only takes out its key's old value, which is
// stale. Its outcome is Expired.
type removed struct {
	row    int
	reason record.Reason
	detail string
	column int
}

// empty reports whether no row was added.
func (b *loadBatch) empty() bool { return b.rows == 0 }

// full reports whether it takes no more rows.
func (b *loadBatch) full() bool { return b.Full() || len(b.rejected) >= batchRejects }

// batchRejects is how many rejected rows a batch has at most.
const batchRejects = 8192

func (b *loadBatch) reset() {
	b.Reset()
	b.origins, b.removed, b.rejected = b.origins[:0], b.removed[:0], b.rejected[:0]
	clear(b.skipped)
	b.rows = 0
}

// A batch takes a record's time to live as it is: both have the same Past.
const _ = uint(record.Past-batch.Past) | uint(batch.Past-record.Past)

// add adds a row that is to be stored.
func (b *loadBatch) add(row *record.Row, command batch.Command, o origin) error {
	r := batch.Row{
		NKey: row.Key.Len, NValue: row.Value.Len,
		Command: command, Flags: row.Flags, TTL: uint32(row.TTL), Binary: row.Binary,
		Stale: row.Stale, Won: row.Won,
	}
	var err error
	if row.CAS != 0 {
		if r.CAS, err = b.Append(binary.NativeEndian.AppendUint64(nil, row.CAS)); err != nil {
			return err
		}
	}
	if r.Key, err = b.place(row.Key, o.from); err != nil {
		return err
	}
	if row.Oversize {
		r.NValue = batch.Oversize
	} else if r.Value, err = b.place(row.Value, o.from); err != nil {
		return err
	}
	b.Add(r)
	b.origins = append(b.origins, o)
	b.rows++
	return nil
}

// expire adds a row that takes out its key's old value.
func (b *loadBatch) expire(row *record.Row, o origin) error {
	r := batch.Row{NKey: row.Key.Len, NValue: batch.Oversize, Command: batch.Expire, Binary: row.Binary}
	var err error
	if r.Key, err = b.place(row.Key, o.from); err != nil {
		return err
	}
	b.Add(r)
	b.origins = append(b.origins, o)
	b.rows++
	return nil
}

// place returns the offset of a row's bytes in the batch; from is that of the row.
func (b *loadBatch) place(p record.Bytes, from uint32) (int, error) {
	if p.Made != nil {
		return b.Append(p.Made)
	}
	return int(from) + p.At, nil
}

// reject adds a row that cannot be stored. If its key's old value is to go, the store takes it out.
func (b *loadBatch) reject(row *record.Row, o origin) error {
	if row.Known && row.Command == record.Set {
		b.removed = append(b.removed, removed{b.Len(), row.Reason, row.Detail, row.Column})
		return b.expire(row, o)
	}
	key := row.Key.Of(b.Data()[o.from:])
	b.rejected = append(b.rejected, reject{o, row.Reason, row.Detail, row.Column, bytes.Clone(key[:min(len(key), meta.KeyMax)])})
	b.rows++
	return nil
}

// removals is how many rejects of a finished batch have taken out an old value.
func (b *loadBatch) removals() (n uint64) {
	for _, r := range b.removed {
		if b.Outcome(r.row) == batch.Expired {
			n++
		}
	}
	return n
}

// skip adds a row that is not to be stored.
func (b *loadBatch) skip(row *record.Row) {
	if b.skipped == nil {
		b.skipped = make(map[record.Reason]uint64)
	}
	b.skipped[row.Reason]++
	b.rows++
}

// rejects calls f for all rejected rows of a finished batch, in the order of the input.
func (b *loadBatch) rejects(f func(reject) error) error {
	rejected := b.rejected
	before := func(offset int64) error {
		for len(rejected) > 0 && rejected[0].offset < offset {
			if err := f(rejected[0]); err != nil {
				return err
			}
			rejected = rejected[1:]
		}
		return nil
	}
	removed := b.removed
	for i, o := range b.origins {
		outcome := b.Outcome(i)
		r := reject{origin: o, key: b.Key(i)}
		var ok bool
		r.reason, ok = rejectReasons[outcome]
		if len(removed) > 0 && removed[0].row == i {
			ok = outcome == batch.Expired
			r.reason, r.detail, r.column = removed[0].reason, removed[0].detail, removed[0].column
			removed = removed[1:]
		}
		if !ok {
			continue
		}
		if err := before(o.offset); err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return before(math.MaxInt64)
}

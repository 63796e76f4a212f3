package load

import (
	"bytes"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
)

// firstValue is how many bytes of a First's value are kept.
const firstValue = 64

// A First is one of the first rows that were stored, as the store has got it.
type First struct {
	Mode       record.Mode
	Key        []byte
	Flags      uint32
	TTL        uint32 // seconds from the moment of storing; 0: never expires; or batch.Past
	CAS        uint64 // 0: memcached draws one
	Stale, Won bool
	Size       int    // of the value, in bytes
	Value      []byte // its beginning
}

// modes has the mode for each of the batch's commands that store.
var modes = map[batch.Command]record.Mode{batch.Set: record.ModeSet, batch.Add: record.ModeAdd, batch.Replace: record.ModeReplace}

// keepFirst keeps the first stored rows of a finished batch, until there are most.
func (c *Counts) keepFirst(b *batch.Batch, most int) {
	for i := 0; i < b.Len() && len(c.First) < most; i++ {
		if b.Outcome(i) != batch.Stored {
			continue
		}
		row := b.Row(i)
		value, _ := b.Value(i)
		c.First = append(c.First, First{
			Mode: modes[row.Command], Key: bytes.Clone(b.Key(i)), Flags: row.Flags, TTL: row.TTL, CAS: b.CAS(i),
			Stale: row.Stale, Won: row.Won, Size: len(value), Value: bytes.Clone(value[:min(len(value), firstValue)]),
		})
	}
}

package load

import (
	"iter"
	"math/bits"

	"memcached-backdoor/preload/batch"
)

const (
	// shortRow is the length of key and value together from which on rows are counted in a map.
	shortRow = 4096
	// lengthBits is how many leading bits of a length are kept: 1/4096 of it is less than the step from one slab class
	// to the next, and the map stays small however many lengths there are.
	lengthBits = 13
	// largeRow is the length from which on the key has a length of its own: a large item has a header of its own, with
	// the key. memcached's smallest large item has 512 KB (settings.slab_chunk_size_max), unless an option says less.
	largeRow = 64 << 10
)

// A Length is what the size of an item follows from.
type Length struct {
	Bytes int // of key and value together; from 8192 on it is rounded up, by 1/4096 at most
	Key   int // of these, bytes of the key; 0 below largeRow
	Flags bool
}

func lengthOf(key, value int, flags bool) Length {
	l := Length{Bytes: key + value, Flags: flags}
	if l.Bytes >= largeRow {
		l.Key = key
	}
	unit := 1 << max(bits.Len(uint(l.Bytes))-lengthBits, 0)
	l.Bytes = (l.Bytes + unit - 1) / unit * unit
	return l
}

// Lengths count the rows that were stored by their lengths: all of them, for a sample says little of a load of which
// a few rows have most of the bytes.
type Lengths struct {
	Values uint64 // bytes of all their values

	short [shortRow][2]uint64 // rows without and with client flags
	long  map[Length]uint64
}

// add counts the stored rows of a finished batch.
func (l *Lengths) add(b *batch.Batch) {
	for i := range b.Len() {
		if b.Outcome(i) != batch.Stored {
			continue
		}
		key, value, flags := b.Lengths(i)
		l.Values += uint64(value)
		if key+value < shortRow {
			with := 0
			if flags {
				with = 1
			}
			l.short[key+value][with]++
			continue
		}
		if l.long == nil {
			l.long = make(map[Length]uint64)
		}
		l.long[lengthOf(key, value, flags)]++
	}
}

// All yields every length with its number of rows.
func (l *Lengths) All() iter.Seq2[Length, uint64] {
	return func(yield func(Length, uint64) bool) {
		for bytes, rows := range l.short {
			for with, n := range rows {
				if n > 0 && !yield(Length{Bytes: bytes, Flags: with == 1}, n) {
					return
				}
			}
		}
		for length, n := range l.long {
			if !yield(length, n) {
				return
			}
		}
	}
}

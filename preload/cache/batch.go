package cache

/*
#include <stdlib.h>
#include "backdoor.h"

static void *allocate(size_t size) { return calloc(1, size); }
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

const (
	// batchRows is how many rows a batch holds at most.
	batchRows = 8192
	// batchBytes is the data a batch has room for, unless a row needs more.
	batchBytes = 256 << 10
)

// Oversize is the length of a value that is too large for any item, and therefore
// is not in a batch's data.
const Oversize = math.MaxUint32

// ErrStopping is what comes of a batch when memcached's workers have ended.
var ErrStopping = errors.New("memcached is stopping")

// ErrNoMemory is returned where memcached's process has no memory for our buffers.
var ErrNoMemory = errors.New("out of memory for the load's buffers")

// Command is what store_item is asked for (memcached.h: NREAD_*).
type Command int

// The commands that rows can be stored with.
const (
	Set     Command = C.NREAD_SET
	Add     Command = C.NREAD_ADD
	Replace Command = C.NREAD_REPLACE
)

// Options are the same for all rows of a batch.
type Options struct {
	Command Command
	Flags   uint32 // memcached's client flags
	TTL     int64  // seconds from the moment of storing; 0: never expires
}

// Outcome is what became of a row.
type Outcome uint8

// The outcomes; backdoor.h says what each means.
const (
	Stored   Outcome = C.BACKDOOR_STORED
	Exists   Outcome = C.BACKDOOR_EXISTS
	Missing  Outcome = C.BACKDOOR_MISSING
	TooLarge Outcome = C.BACKDOOR_TOO_LARGE
	NoMemory Outcome = C.BACKDOOR_NO_MEMORY

	outcomes = C.BACKDOOR_OUTCOMES
)

// Counts has the number of rows of each Outcome.
type Counts [outcomes]uint64

// A Batch is rows, with their bytes, that are stored in one go.  Its memory is
// C's, since memcached's worker reads it while no Go is on that thread.
//
// Between Submit and the matching post on done it belongs to the worker: only
// Data may be read then.
type Batch struct {
	c    *C.struct_backdoor_batch
	data []byte
	rows []C.struct_backdoor_row
}

// NewBatch makes an empty batch.  done is an eventfd to which 1 is added when a
// submitted batch is finished; it stays the caller's, and open until Free.
func NewBatch(done int, options Options) (*Batch, error) {
	b := &Batch{c: (*C.struct_backdoor_batch)(C.allocate(C.sizeof_struct_backdoor_batch))}
	if b.c == nil {
		return nil, ErrNoMemory
	}
	b.c.job.done = C.int(done)
	b.c.flags = C.uint32_t(options.Flags)
	b.c.comm = C.int(options.Command)
	b.c.ttl = C.int64_t(options.TTL)
	b.c.rows = (*C.struct_backdoor_row)(C.allocate(batchRows * C.sizeof_struct_backdoor_row))
	if b.c.rows == nil || b.Resize(batchBytes) != nil {
		b.Free()
		return nil, ErrNoMemory
	}
	b.rows = unsafe.Slice(b.c.rows, batchRows)
	return b, nil
}

// Free gives the batch's memory back.  It must not be submitted.
func (b *Batch) Free() {
	C.free(unsafe.Pointer(b.c.data))
	C.free(unsafe.Pointer(b.c.rows))
	C.free(unsafe.Pointer(b.c))
	*b = Batch{}
}

// Data is the room for the rows' bytes.
func (b *Batch) Data() []byte { return b.data }

// Resize makes Data n bytes long; what stood in its first n bytes stays.
func (b *Batch) Resize(n int) error {
	data := (*C.char)(C.realloc(unsafe.Pointer(b.c.data), C.size_t(n)))
	if data == nil {
		return ErrNoMemory
	}
	b.c.data = data
	b.data = unsafe.Slice((*byte)(unsafe.Pointer(data)), n)
	return nil
}

// Shrink makes a batch that a large row has grown as small as a new one, if
// what stands in the first n bytes of Data fits in that.
func (b *Batch) Shrink(n int) {
	if len(b.data) > batchBytes && n <= batchBytes {
		_ = b.Resize(batchBytes) // where even that fails, it stays large
	}
}

// Len is the number of rows.
func (b *Batch) Len() int { return int(b.c.nrows) }

// Full says that no further row can be added.
func (b *Batch) Full() bool { return b.Len() == len(b.rows) }

// Reset takes all rows out.
func (b *Batch) Reset() { b.c.nrows = 0 }

// Add appends a row of which the key is Data()[key:key+nkey] and the value
// Data()[value:value+nvalue], or nvalue is Oversize.  The batch is not full, the key
// has been checked.
// tag is kept for the caller.
func (b *Batch) Add(key, nkey, value, nvalue int, tag uint32) {
	row := &b.rows[b.c.nrows]
	row.key, row.nkey = C.uint32_t(key), C.uint8_t(nkey)
	row.value, row.nvalue = C.uint32_t(value), C.uint32_t(nvalue)
	row.line = C.uint32_t(tag)
	b.c.nrows++
}

// Submit hands the batch to memcached's workers and returns at once.
func (b *Batch) Submit() { C.backdoor_batch_start(b.c) }

// Counts says what became of a finished batch's rows.
func (b *Batch) Counts() (Counts, error) {
	if b.c.job.finished != 1 {
		return Counts{}, ErrStopping
	}
	var counts Counts
	var sum uint64
	for i, n := range b.c.counts {
		counts[i] = uint64(n)
		sum += uint64(n)
	}
	if sum != uint64(b.c.nrows) {
		return counts, fmt.Errorf("a batch of %d rows has %d outcomes", b.c.nrows, sum)
	}
	return counts, nil
}

// Row is what became of row i of a finished batch, with its tag and its key; the
// key is part of Data.
func (b *Batch) Row(i int) (outcome Outcome, tag uint32, key []byte) {
	row := &b.rows[i]
	return Outcome(row.outcome), uint32(row.line), b.data[row.key:][:row.nkey]
}

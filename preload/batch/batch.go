// Package batch has batches, the rows of a load on their way to the cache, and the
// interface of a store for them: memcached's own functions, or its protocol.
package batch

/*
#cgo CFLAGS: -O2 -Wall -I${SRCDIR}/../../include
#include <stdlib.h>
#include "backdoor.h"

static void *allocate(size_t size) { return calloc(1, size); }
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/pages"
)

const (
	// batchRows is how many rows a batch has at most.
	batchRows = 8192
	// batchBytes is the size of a batch's data, unless a row needs more.
	batchBytes = 1 << 20
	// appendedBytes is about how much is appended to the data at most.
	appendedBytes = 1 << 20
)

// Oversize is the length of a value that is too large for any item: it is not in the
// batch's data.
const Oversize = math.MaxUint32

// Past is the TTL of an item that has expired when it is stored.
const Past = C.BACKDOOR_PAST

// ErrStopping is returned for a batch that was in flight when memcached stopped.
var ErrStopping = errors.New("memcached is stopping")

// ErrNoMemory is returned if memcached's process has no memory for buffers.
var ErrNoMemory = errors.New("out of memory for the load's buffers")

// Command is the command that store_item carries out (memcached.h: NREAD_*).
type Command int

// The commands that rows can be stored with.
const (
	Set     Command = C.NREAD_SET
	Add     Command = C.NREAD_ADD
	Replace Command = C.NREAD_REPLACE
	// Expire removes the key's old value; NValue is Oversize.
	Expire Command = C.BACKDOOR_EXPIRE
)

// A Row is one item to store: Data()[Key:Key+NKey] and Data()[Value:Value+NValue], or
// offsets into what [Batch.Append] has added.
type Row struct {
	Key, NKey     int // the key has been checked
	Value, NValue int // NValue may be Oversize
	Command       Command
	Flags         uint32 // memcached's client flags
	TTL           uint32 // seconds from the moment of storing, MaxInt32 at most; 0: never expires; or Past
	Binary        bool   // the key is binary: no command can have it as it is
	Stale, Won    bool   // the item's marks (package walk: Item)
	CAS           int    // offset of the item's CAS unique, 8 bytes in the machine's order; 0: memcached draws one
}

// Outcome is what became of a row.
type Outcome uint8

// The outcomes; see backdoor.h for their meanings.
const (
	Stored   Outcome = C.BACKDOOR_STORED
	Exists   Outcome = C.BACKDOOR_EXISTS
	Missing  Outcome = C.BACKDOOR_MISSING
	TooLarge Outcome = C.BACKDOOR_TOO_LARGE
	NoMemory Outcome = C.BACKDOOR_NO_MEMORY
	Expired  Outcome = C.BACKDOOR_EXPIRED

	outcomes = C.BACKDOOR_OUTCOMES
)

// Counts has the number of rows of each Outcome.
type Counts [outcomes]uint64

// Sum is the number of rows that have an outcome.
func (c *Counts) Sum() uint64 {
	var sum uint64
	for _, n := range c {
		sum += n
	}
	return sum
}

// A Store stores the rows of any number of loads.
type Store interface {
	// ItemSizeMax is the size in bytes of the largest item, header and key
	// included (memcached's -I).
	ItemSizeMax() uint64
	// ItemSize is the size in bytes of an item with a key and a value of such lengths.
	ItemSize(nkey int, flags uint32, nvalue int) uint64
	// BinaryKeyMax is the largest binary key in bytes.
	BinaryKeyMax() int
	// HasCAS says whether an item can be stored with a CAS unique.
	HasCAS() bool
	// HasStale says whether an item can be stored as stale or won: from memcached 1.5.19 on.
	HasStale() bool
	// Open begins a load.
	Open() (Sink, error)
}

// A Sink stores the batches of one load.
type Sink interface {
	// Submit submits a batch and returns at once.  Batches finish in the order in
	// which they were submitted.
	Submit(b *Batch)
	// Look submits a batch whose keys are only looked up: the outcome is Stored for those
	// that are in the cache, Missing for the others.
	Look(b *Batch)
	// Close ends the load; no batch is in flight.
	Close()
}

// A Batch is rows, with their bytes, that are stored by one job.  Its memory is
// C's, since memcached's workers read it, which run no Go.
//
// From Sink.Submit until done is posted it is in flight and belongs to the store:
// only Data may be read then.
type Batch struct {
	c    *C.struct_backdoor_batch
	all  []byte // the memory of c.data
	room int    // bytes of it that are Data
	used int    // bytes of it that are Data or were appended
	rows []C.struct_backdoor_row
	kept []byte // the memory of rows
	err  error  // the reason why not all rows have an outcome
}

// New makes an empty batch; Free frees it.  done is an eventfd to which 1 is added
// when the submitted batch is finished; it stays the caller's, and open until Free.
func New(done int) (*Batch, error) {
	b := &Batch{c: (*C.struct_backdoor_batch)(C.allocate(C.sizeof_struct_backdoor_batch))}
	if b.c == nil {
		return nil, ErrNoMemory
	}
	b.c.job.done = C.int(done)
	var err error
	if b.kept, err = pages.Resize(nil, batchRows*C.sizeof_struct_backdoor_row); err != nil || b.Resize(batchBytes) != nil {
		b.Free()
		return nil, ErrNoMemory
	}
	b.c.rows = (*C.struct_backdoor_row)(unsafe.Pointer(&b.kept[0]))
	b.rows = unsafe.Slice(b.c.rows, batchRows)
	return b, nil
}

// Free frees the batch.  It must not be in flight.
func (b *Batch) Free() {
	pages.Free(b.all)
	pages.Free(b.kept)
	C.free(unsafe.Pointer(b.c))
	*b = Batch{}
}

// Data is the buffer for the bytes of the rows' input; Resize and Append move it.
func (b *Batch) Data() []byte { return b.all[:b.room:b.room] }

// Resize makes Data n bytes long and keeps its first n bytes.  Nothing has been appended
// since Reset.
func (b *Batch) Resize(n int) error {
	if err := b.reallocate(n); err != nil {
		return err
	}
	b.room, b.used = n, n
	return nil
}

func (b *Batch) reallocate(n int) error {
	all, err := pages.Resize(b.all, n)
	if err != nil {
		return ErrNoMemory
	}
	b.all, b.c.data = all, (*C.char)(unsafe.Pointer(&all[0]))
	return nil
}

// Append adds bytes behind Data that are not in the input as they are, and returns
// their offset.
func (b *Batch) Append(p []byte) (int, error) {
	at := b.used
	if need := at + len(p); need > len(b.all) {
		if err := b.reallocate(max(need, min(2*len(b.all), math.MaxInt32))); err != nil {
			return 0, err
		}
	}
	b.used += copy(b.all[at:], p)
	return at, nil
}

// Shrink makes a batch that has grown for a large row as small as a new one, if the
// first n bytes of Data fit.
func (b *Batch) Shrink(n int) {
	if len(b.all) > batchBytes+appendedBytes && n <= batchBytes {
		_ = b.Resize(batchBytes) // if even that fails, it stays large
	}
}

// Len is the number of rows.
func (b *Batch) Len() int { return int(b.c.nrows) }

// Full says whether no further row may be added.
func (b *Batch) Full() bool { return b.Len() == len(b.rows) || b.used-b.room >= appendedBytes }

// Reset removes all rows and what was appended.
func (b *Batch) Reset() {
	b.used = b.room
	b.c.nrows, b.c.binary = 0, false
	b.c.counts = [outcomes]C.uint32_t{}
	b.c.job.finished = 0
	b.err = nil
}

// Add appends a row.  The batch is not full.
func (b *Batch) Add(r Row) {
	row := &b.rows[b.c.nrows]
	row.key, row.nkey = C.uint32_t(r.Key), C.uint8_t(r.NKey)
	row.value, row.nvalue = C.uint32_t(r.Value), C.uint32_t(r.NValue)
	row.comm, row.flags, row.ttl = C.uint8_t(r.Command), C.uint32_t(r.Flags), C.uint32_t(r.TTL)
	row.cas = C.uint32_t(r.CAS)
	row.stale, row.won = C.bool(r.Stale), C.bool(r.Won)
	b.c.binary = b.c.binary || C.bool(r.Binary)
	row.outcome, row.made, row.it = C.BACKDOOR_PENDING, false, nil
	b.c.nrows++
}

// Expect sets what is known of the load's rows: their number, 0 if unknown, and their
// average size in bytes.  Both are estimates.
func (b *Batch) Expect(rows, rowBytes uint64) {
	b.c.expected = C.struct_backdoor_expected{rows: C.uint64_t(rows), row_bytes: C.uint64_t(rowBytes)}
}

// C is the batch's struct backdoor_batch, which stays the batch's.
func (b *Batch) C() unsafe.Pointer { return unsafe.Pointer(b.c) }

// Row returns row i as it was added.
func (b *Batch) Row(i int) Row {
	row := &b.rows[i]
	return Row{
		Key: int(row.key), NKey: int(row.nkey), Value: int(row.value), NValue: int(row.nvalue),
		Command: Command(row.comm), Flags: uint32(row.flags), TTL: uint32(row.ttl), CAS: int(row.cas),
		Stale: bool(row.stale), Won: bool(row.won),
	}
}

// Lengths are the lengths of the key and the value of row i, and whether it has client flags. A value may be Oversize.
func (b *Batch) Lengths(i int) (key, value int, flags bool) {
	row := &b.rows[i]
	return int(row.nkey), int(row.nvalue), row.flags != 0
}

// Key returns the key of row i, a part of the batch's memory.
func (b *Batch) Key(i int) []byte {
	row := &b.rows[i]
	return b.all[row.key:][:row.nkey]
}

// Value returns the value of row i, a part of the batch's memory; fits is false for one of
// length Oversize.
func (b *Batch) Value(i int) (value []byte, fits bool) {
	row := &b.rows[i]
	if row.nvalue == Oversize {
		return nil, false
	}
	return b.all[row.value:][:row.nvalue], true
}

// CAS is the CAS unique that row i asks for, or 0.
func (b *Batch) CAS(i int) uint64 {
	if at := b.rows[i].cas; at != 0 {
		return binary.NativeEndian.Uint64(b.all[at:])
	}
	return 0
}

// Settle sets, for a store in Go, the outcome of row i.
func (b *Batch) Settle(i int, outcome Outcome) {
	b.rows[i].outcome = C.uint8_t(outcome)
	b.c.counts[outcome]++
}

// Finish finishes a submitted batch, for a store in Go.  With err nil all its rows
// are settled.
func (b *Batch) Finish(err error) {
	b.err = err
	b.c.job.finished = 1
	one := [8]byte{}
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(int(b.c.job.done), one[:]) // an eventfd far from its end takes it
}

// Counts are the outcomes of a finished batch's rows.  With an error some rows have no
// outcome: the sum is less than Len.
func (b *Batch) Counts() (Counts, error) {
	var counts Counts
	for i, n := range b.c.counts {
		counts[i] = uint64(n)
	}
	switch {
	case b.err != nil:
		return counts, b.err
	case b.c.job.finished != 1:
		return counts, ErrStopping
	case counts.Sum() != uint64(b.c.nrows):
		return counts, fmt.Errorf("a batch of %d rows has %d outcomes", b.c.nrows, counts.Sum())
	}
	return counts, nil
}

// Outcome is the outcome of row i of a finished batch.
func (b *Batch) Outcome(i int) Outcome { return Outcome(b.rows[i].outcome) }

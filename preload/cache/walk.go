package cache

/*
#include <stdlib.h>
#include "backdoor.h"
*/
import "C"

import (
	"errors"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/pages"
	"memcached-backdoor/preload/walk"
)

const (
	// walkBytes is the size of a buffer, unless an item needs more.
	walkBytes = 1 << 20
	// keysBytes is the size of the buffer for a bucket's keys, unless they need more.
	keysBytes = 64 << 10
	// growthPause is the pause between two checks whether the hash table has grown.
	growthPause = time.Millisecond
)

// ErrNoWalk is returned if the cache cannot be walked through with memcached's functions.
var ErrNoWalk = errors.New("memcached's hash table or the locks of its items were not found")

// walker is a walk: while the items of one buffer are read, the other is filled.
type walker struct {
	c       *C.struct_backdoor_walk
	done    int // eventfd: the buffer is filled
	buffers [2]buffer
	keys    buffer
	filling int     // the index of the buffer that is being filled; -1: none
	part    float64 // of the hash table that was walked through
}

// buffer is memory that memcached's workers write to.
type buffer []byte

func (b buffer) data() *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func (b buffer) room() C.uint32_t { return C.uint32_t(len(b)) }

// resize makes the buffer n bytes long; it may move.
func (b *buffer) resize(n C.uint32_t) error {
	memory, err := pages.Resize(*b, int(n))
	if err != nil {
		return batch.ErrNoMemory
	}
	*b = memory
	return nil
}

// CanWalk says whether Walk works.
func (c *Cache) CanWalk() bool { return bool(C.backdoor_can_walk()) }

// Walk begins a walk through all items, or those of listed keys. Its error is ErrNoWalk if that cannot be done.
func (c *Cache) Walk(o walk.Options) (walk.Walker, error) {
	if !c.CanWalk() {
		return nil, ErrNoWalk
	}
	w, err := newWalker(o)
	if err != nil {
		return nil, err
	}
	if o.Keys != nil {
		w.c.listed = true
		return &lister{walker: w, left: o.Keys}, nil
	}
	for i, b := range []byte(o.Prefix) { // not of runes
		w.c.prefix[i] = C.char(b)
	}
	w.c.nprefix = C.uint8_t(len(o.Prefix))
	if w.buffers[1].resize(walkBytes) != nil {
		w.Close()
		return nil, batch.ErrNoMemory
	}
	w.fill(0)
	return w, nil
}

// newWalker makes a walk with one buffer.
func newWalker(o walk.Options) (*walker, error) {
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	w := &walker{done: done, filling: -1, c: (*C.struct_backdoor_walk)(C.calloc(1, C.sizeof_struct_backdoor_walk))}
	if w.c == nil {
		w.Close()
		return nil, batch.ErrNoMemory
	}
	w.c.job.done = C.int(done)
	w.c.values = C.bool(!o.KeysOnly)
	if w.buffers[0].resize(walkBytes) != nil || w.growKeys(keysBytes) != nil {
		w.Close()
		return nil, batch.ErrNoMemory
	}
	return w, nil
}

func (w *walker) growKeys(n C.uint32_t) error {
	err := w.keys.resize(n)
	w.c.keys, w.c.keys_room = w.keys.data(), w.keys.room()
	return err
}

// fill continues the walk, into a buffer.
func (w *walker) fill(i int) {
	w.filling = i
	w.c.data, w.c.room = w.buffers[i].data(), w.buffers[i].room()
	C.backdoor_submit_walk(w.c)
}

// Next calls each for the items of the next buffer.
func (w *walker) Next(each func(*walk.Item) error) error {
	if w.filling < 0 {
		return io.EOF
	}
	full := w.filling
	w.filling = -1
	if err := w.await(); err != nil {
		return err
	}
	if w.c.job.finished != 1 {
		return batch.ErrStopping
	}
	if w.c.growing {
		time.Sleep(growthPause)
	}
	filled := w.c.filled
	w.part = float64(w.c.bucket) / float64(max(w.c.buckets, 1))
	if !w.c.end {
		if err := w.makeRoom(1 - full); err != nil {
			return err
		}
		w.fill(1 - full)
	}
	return w.items(w.buffers[full][:filled], each)
}

// await waits until the buffer is filled.
func (w *walker) await() error { return awaitJob(w.done) }

// makeRoom makes the buffers as large as the next item and bucket need.
func (w *walker) makeRoom(next int) error {
	if w.c.keys_needed > w.c.keys_room {
		if err := w.growKeys(w.c.keys_needed); err != nil {
			return err
		}
	}
	b := &w.buffers[next]
	switch {
	case w.c.needed > b.room():
		return b.resize(w.c.needed)
	case b.room() > walkBytes && w.c.needed <= walkBytes: // after a large item
		return b.resize(walkBytes)
	}
	return nil
}

// items calls each for the items in a buffer's bytes.
func (w *walker) items(data []byte, each func(*walk.Item) error) error {
	var item walk.Item // one for all, since it is allocated
	for len(data) > 0 {
		header := (*C.struct_backdoor_item)(unsafe.Pointer(&data[0]))
		bytes := data[C.sizeof_struct_backdoor_item:header.size]
		item = walk.Item{
			Key:      bytes[:header.nkey],
			Flags:    uint64(header.flags),
			CAS:      uint64(header.cas),
			TTL:      int64(header.ttl),
			Idle:     int64(header.idle),
			Size:     int(header.nvalue),
			Class:    int(header.slabs_clsid),
			Total:    int(header.nvalue) + int(header.nkey) + int(header.besides),
			External: bool(header.external),
			Extstore: bool(header.extstore),
			Stale:    bool(header.stale),
			Won:      bool(header.won),
			Gone:     bool(header.gone),
			Fetched:  bool(header.fetched),
			Exptime:  uint32(header.exptime),
			Time:     uint32(header.time),
		}
		if bool(w.c.values) && !item.External && !item.Gone {
			item.Value = bytes[header.nkey:][:header.nvalue]
		}
		if err := each(&item); err != nil {
			return err
		}
		data = data[header.size:]
	}
	return nil
}

// Part is how much of the hash table was walked through, from 0 to 1.
func (w *walker) Part() float64 { return w.part }

// Close waits for the submission in flight, some milliseconds, and frees the walk.
func (w *walker) Close() {
	if w.filling >= 0 {
		_ = w.await()
	}
	for _, b := range w.buffers {
		pages.Free(b)
	}
	pages.Free(w.keys)
	C.free(unsafe.Pointer(w.c))
	unix.Close(w.done)
}

package cache

/*
#include "backdoor.h"
*/
import "C"

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/poll"
)

// The C names of host's values.
var (
	getABIs = map[host.ItemGetABI]C.enum_backdoor_get_abi{
		host.GetKey: C.BACKDOOR_GET_KEY, host.GetConn: C.BACKDOOR_GET_CONN, host.GetUpdate: C.BACKDOOR_GET_UPDATE,
	}
	storeABIs = map[host.StoreItemABI]C.enum_backdoor_store_abi{
		host.StoreConn: C.BACKDOOR_STORE_CONN, host.StoreThread: C.BACKDOOR_STORE_THREAD,
		host.StoreNbytes: C.BACKDOOR_STORE_NBYTES, host.StoreCASIn: C.BACKDOOR_STORE_CAS_IN,
	}
	chunkABIs = map[host.ChunksABI]C.enum_backdoor_chunks{
		host.ChunksNone: C.BACKDOOR_CHUNKS_NONE, host.ChunksReady: C.BACKDOOR_CHUNKS_READY, host.ChunksLazy: C.BACKDOOR_CHUNKS_LAZY,
	}
)

// Cache is memcached's cache, whose functions were found and proven.
// It is a batch.Store, every load's batch.Sink, and a walk.Source.
type Cache struct {
	itemSizeMax uint64
	hasCAS      bool
	hasStale    bool
}

// ItemSizeMax is the largest item in bytes, as item_alloc allowed it in the proof.
func (c *Cache) ItemSizeMax() uint64 { return c.itemSizeMax }

// BinaryKeyMax is the limit of any key, in bytes.
func (c *Cache) BinaryKeyMax() int { return C.KEY_MAX_LENGTH }

// HasCAS says whether memcached runs without -C.
func (c *Cache) HasCAS() bool { return c.hasCAS }

// HasStale says whether memcached marks items as stale and won.
func (c *Cache) HasStale() bool { return c.hasStale }

// Open begins a load: all loads share the workers.
func (c *Cache) Open() (batch.Sink, error) { return c, nil }

// Submit submits the batch to memcached's workers and returns at once.
func (c *Cache) Submit(b *batch.Batch) { C.backdoor_submit_batch((*C.struct_backdoor_batch)(b.C())) }

// Look submits a batch whose keys are only looked up.
func (c *Cache) Look(b *batch.Batch) { C.backdoor_submit_lookup((*C.struct_backdoor_batch)(b.C())) }

// ItemSize is the size of an item in bytes, as memcached compares it with the limit (items.c: do_item_alloc).
func (c *Cache) ItemSize(nkey int, flags uint32, nvalue int) uint64 {
	return uint64(C.backdoor_item_size(C.size_t(nkey), C.uint32_t(flags), C.size_t(nvalue)))
}

// HoldGrowth keeps loads from requesting growth of the hash table until release is called.
func HoldGrowth() (release func()) {
	C.backdoor_hold_growth(true)
	return func() { C.backdoor_hold_growth(false) }
}

// Close ends a load.
func (c *Cache) Close() {}

// Workers is the number of memcached's workers that run jobs.
func Workers() int { return int(C.backdoor_worker_count()) }

// relocate turns addresses in the program's file into addresses of this process; nothing else does. bias is the load bias.
func relocate(facts *host.Facts, bias uintptr) *C.struct_backdoor_functions {
	at := func(address uint64) C.uintptr_t {
		if address == 0 {
			return 0
		}
		return C.uintptr_t(bias + uintptr(address))
	}
	abi, f, t := facts.Version.ABI(), facts.Functions, facts.Table
	if !survivesGrowth(facts.Version) {
		t.AssocStartExpand = 0
	}
	return &C.struct_backdoor_functions{
		item_alloc:          at(f.ItemAlloc),
		store_item:          at(f.StoreItem),
		item_remove:         at(f.ItemRemove),
		item_get:            at(f.ItemGet),
		item_unlink:         at(f.ItemUnlink),
		do_item_alloc_chunk: at(f.ItemAllocChunk),
		get_cas_id:          at(f.GetCASID),
		cas_id_lock:         at(f.CASIDLock),
		cas_id:              at(f.CASID),
		hash:                at(t.Hash),
		assoc_start_expand:  at(t.AssocStartExpand),
		maintenance_lock:    at(t.MaintenanceLock),
		maxbytes:            at(t.MaxBytes),
		get_abi:             getABIs[abi.ItemGet],
		store_abi:           storeABIs[abi.StoreItem],
		chunks:              chunkABIs[abi.Chunks],
		alloc_hash:          abi.ItemAlloc == host.AllocHash,
		old_layout:          abi.Header == host.HeaderSuffix,
		marks_keys:          C.bool(facts.Version.AtLeast(host.Version{Major: 1, Minor: 6, Patch: 10})),
		has_stale:           C.bool(facts.Version.AtLeast(host.Version{Major: 1, Minor: 5, Patch: 19})),
	}
}

// survivesGrowth says whether this memcached survives growth of its hash table.  From 1.6.34 on it crashes then if it runs
// without a page mover (-o no_slab_reassign, no_modern; thread.c: pause_threads locks settings.slab_rebal, which is NULL).
// Its own clock may cause that; the library must not.
func survivesGrowth(version host.Version) bool {
	if !version.AtLeast(host.Version{Major: 1, Minor: 6, Patch: 34}) {
		return true
	}
	names, err := host.Threads()
	return err == nil && slices.Contains(names, "mc-slabmaint") // slabs_mover.c: start_slab_maintenance_thread
}

// awaitJob waits until a job is finished, whose eventfd is done. Its memory must not be freed before.
func awaitJob(done int) error {
	_ = poll.Readable(done) // after an error read(2) waits as long, at the cost of a thread
	return read(done, make([]byte, 8))
}

// read fills p from an eventfd, whose reads are of len(p) bytes.
func read(fd int, p []byte) error {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("read", err)
		case n != len(p):
			return fmt.Errorf("read: %d bytes of %d", n, len(p))
		default:
			return nil
		}
	}
}

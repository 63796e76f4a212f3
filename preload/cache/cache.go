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
)

// The C names of host's.
var (
	gets = map[host.ItemGetABI]C.enum_backdoor_get_abi{
		host.GetKey: C.BACKDOOR_GET_KEY, host.GetConn: C.BACKDOOR_GET_CONN, host.GetUpdate: C.BACKDOOR_GET_UPDATE,
	}
	stores = map[host.StoreItemABI]C.enum_backdoor_store_abi{
		host.StoreConn: C.BACKDOOR_STORE_CONN, host.StoreThread: C.BACKDOOR_STORE_THREAD,
		host.StoreNbytes: C.BACKDOOR_STORE_NBYTES, host.StoreCASIn: C.BACKDOOR_STORE_CAS_IN,
	}
	chunks = map[host.ChunksABI]C.enum_backdoor_chunks{
		host.ChunksNone: C.BACKDOOR_CHUNKS_NONE, host.ChunksReady: C.BACKDOOR_CHUNKS_READY, host.ChunksLazy: C.BACKDOOR_CHUNKS_LAZY,
	}
)

// Cache is memcached's cache, ready to take batches.
// It is a batch.Store, and every load's batch.Sink.
type Cache struct {
	itemSizeMax uint64
	hasCAS      bool
	hasStale    bool
}

// ItemSizeMax is what item_alloc itself answered in the proof.
func (c *Cache) ItemSizeMax() uint64 { return c.itemSizeMax }

// BinaryKeyMax is that of any key.
func (c *Cache) BinaryKeyMax() int { return C.KEY_MAX_LENGTH }

// HasCAS says whether memcached runs without -C.
func (c *Cache) HasCAS() bool { return c.hasCAS }

// HasStale says whether memcached has bits for that.
func (c *Cache) HasStale() bool { return c.hasStale }

// Open begins a load: all share the workers.
func (c *Cache) Open() (batch.Sink, error) { return c, nil }

// Submit hands the batch to memcached's workers and returns at once.
func (c *Cache) Submit(b *batch.Batch) { C.backdoor_submit_batch((*C.struct_backdoor_batch)(b.C())) }

// Look hands a batch to the workers whose keys are only looked for.
func (c *Cache) Look(b *batch.Batch) { C.backdoor_submit_lookup((*C.struct_backdoor_batch)(b.C())) }

// ItemSize is what memcached compares with the limit (items.c: do_item_alloc).
func (c *Cache) ItemSize(nkey int, flags uint32, nvalue int) uint64 {
	return uint64(C.backdoor_item_size(C.size_t(nkey), C.uint32_t(flags), C.size_t(nvalue)))
}

// HoldGrowth keeps loads from asking for growth of the hash table until release is called.
func HoldGrowth() (release func()) {
	C.backdoor_hold_growth(true)
	return func() { C.backdoor_hold_growth(false) }
}

// Close ends a load.
func (c *Cache) Close() {}

// Workers counts the memcached worker threads that serve us.
func Workers() int { return int(C.backdoor_worker_count()) }

// relocate is the one place where file addresses become addresses of this process.
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
		get_abi:             gets[abi.ItemGet],
		store_abi:           stores[abi.StoreItem],
		chunks:              chunks[abi.Chunks],
		alloc_hash:          abi.ItemAlloc == host.AllocHash,
		old_layout:          abi.Header == host.HeaderSuffix,
		marks_keys:          C.bool(facts.Version.AtLeast(host.Version{Major: 1, Minor: 6, Patch: 10})),
		has_stale:           C.bool(facts.Version.AtLeast(host.Version{Major: 1, Minor: 5, Patch: 19})),
	}
}

// survivesGrowth tells whether the hash table of this memcached may grow.  From 1.6.34 on it crashes then if it runs without
// a page mover (-o no_slab_reassign, no_modern; thread.c: pause_threads locks settings.slab_rebal, which is NULL).  Its own
// clock may make that happen; we must not.
func survivesGrowth(version host.Version) bool {
	if !version.AtLeast(host.Version{Major: 1, Minor: 6, Patch: 34}) {
		return true
	}
	names, err := host.Threads()
	return err == nil && slices.Contains(names, "mc-slabmaint") // slabs_mover.c: start_slab_maintenance_thread
}

// read fills p from a descriptor of ours, which writers write in pieces of len(p).
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

package cache

/*
#include <stdlib.h>
#include "backdoor.h"
*/
import "C"

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/host"
)

const (
	// workersWait bounds how long the first worker may take from its start to
	// its loop; memcached's main thread has waited for all of them before.
	workersWait = 10 * time.Second
	// proofLimit is the time of one proof.  A lock that another thread held at
	// the fork is never released in the child, so a later try may succeed.
	proofLimit = 2 * time.Second
	proofTries = 5
)

// steps are said of a proof that ended in them (backdoor.h: backdoor_proof_step).
var steps = map[C.int32_t]string{
	C.BACKDOOR_PROOF_FORKED: "making its memory private",
	C.BACKDOOR_PROOF_ALLOC:  "item_alloc",
	C.BACKDOOR_PROOF_STORE:  "store_item, item_get, item_remove, item_unlink",
	C.BACKDOOR_PROOF_LIMITS: "the limits of item_alloc",
	C.BACKDOOR_PROOF_CHUNKS: "the chunks of a large item",
	C.BACKDOOR_PROOF_TABLE:  "the hash table",
	C.BACKDOOR_PROOF_LOCKS:  "the locks of items",
}

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
}

// ItemSizeMax is what item_alloc itself answered in the proof.
func (c *Cache) ItemSizeMax() uint64 { return c.itemSizeMax }

// BinaryKeyMax is that of any key.
func (c *Cache) BinaryKeyMax() int { return C.KEY_MAX_LENGTH }

// HasCAS says whether memcached runs without -C.
func (c *Cache) HasCAS() bool { return c.hasCAS }

// Open begins a load: all share the workers.
func (c *Cache) Open() (batch.Sink, error) { return c, nil }

// Submit hands the batch to memcached's workers and returns at once.
func (c *Cache) Submit(b *batch.Batch) { C.backdoor_batch_start((*C.struct_backdoor_batch)(b.C())) }

// Look hands a batch to the workers whose keys are only looked for.
func (c *Cache) Look(b *batch.Batch) { C.backdoor_batch_look((*C.struct_backdoor_batch)(b.C())) }

// ItemSize is what memcached compares with the limit (items.c: do_item_alloc).
func (c *Cache) ItemSize(nkey int, flags uint32, nvalue int) uint64 {
	return uint64(C.backdoor_item_size(C.size_t(nkey), C.uint32_t(flags), C.size_t(nvalue)))
}

// Close ends a load.
func (c *Cache) Close() {}

// Workers counts the memcached worker threads that serve us.
func Workers() int { return int(C.backdoor_workers()) }

// Prove proves in a forked child that the functions are what facts says, and
// binds them.  bias is what turns the file's addresses into this process's; it
// is added here and nowhere else.  It is called once in a process.
func Prove(facts *host.Facts, bias uintptr) (*Cache, error) {
	deadline := time.Now().Add(workersWait)
	for Workers() == 0 {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no worker thread of memcached took our event into its loop")
		}
		time.Sleep(time.Millisecond)
	}
	functions := relocate(facts, bias)
	var proof C.struct_backdoor_proof
	var err error
	for range proofTries {
		var again bool
		if proof, again, err = prove(functions); !again {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the proof in a forked child failed: %w", err)
	}
	C.backdoor_bind(functions, &proof)
	return &Cache{itemSizeMax: uint64(proof.item_size_max), hasCAS: proof.has_cas != 0}, nil
}

// relocate is the one place where file addresses become addresses of this process.
func relocate(facts *host.Facts, bias uintptr) *C.struct_backdoor_functions {
	at := func(address uint64) C.uintptr_t {
		if address == 0 {
			return 0
		}
		return C.uintptr_t(bias + uintptr(address))
	}
	abi, f, t := facts.Version.ABI(), facts.Functions, facts.Table
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
	}
}

// prove runs one proof.  again says that its failure may be due to the moment of
// the fork, not to the functions.
func prove(functions *C.struct_backdoor_functions) (proof C.struct_backdoor_proof, again bool, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return proof, false, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(pipe[1])
		return proof, false, os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(done)

	job := (*C.struct_backdoor_prove)(C.calloc(1, C.sizeof_struct_backdoor_prove))
	defer C.free(unsafe.Pointer(job))
	job.functions = *functions
	job.job.done = C.int(done)
	job.pipe = C.int(pipe[1])
	C.backdoor_prove_start(job)
	if err := read(done, make([]byte, 8)); err != nil {
		return proof, false, err
	}
	if job.pid < 0 {
		return proof, false, fmt.Errorf("fork: %w", syscall.Errno(-job.pid))
	}
	return follow(int(job.pid), pipe[0])
}

// follow reads what the child says until it ends, which it is made to.
func follow(pid, pipe int) (proof C.struct_backdoor_proof, again bool, err error) {
	report := unsafe.Slice((*byte)(unsafe.Pointer(&proof)), unsafe.Sizeof(proof))
	deadline := time.Now().Add(proofLimit)
	late := false
	for {
		left := time.Until(deadline)
		if left <= 0 {
			late = true
			break
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pipe), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			break
		}
		if n > 0 && read(pipe, report) != nil {
			break // its end is closed: it has ended
		}
	}
	unix.Kill(pid, unix.SIGKILL)
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	step := steps[proof.step]
	switch {
	case proof.step == C.BACKDOOR_PROOF_HOLDS:
		return proof, false, nil
	case late:
		return proof, true, fmt.Errorf("no answer after %v in step %q", proofLimit, step)
	case proof.line != 0:
		return proof, false, fmt.Errorf("step %q was not as memcached does it (prove.c:%d)", step, int(proof.line))
	}
	return proof, false, fmt.Errorf("it ended in step %q (%v)", step, status.Signal())
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

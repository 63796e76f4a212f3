package cache

/*
#include <stdlib.h>
#include "backdoor.h"
*/
import "C"

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/pages"
	"memcached-backdoor/preload/walk"
)

// changesMax is how many items are changed at once.
const changesMax = 8192

// changes are changes that memcached's workers make.
type changes struct {
	c     *C.struct_backdoor_changes
	done  int // eventfd
	data  buffer
	used  int
	pages []byte // of found
	found []C.struct_backdoor_found
}

// Changes makes changes of a kind, which is Delete or Touch. The caller closes them.
func (c *Cache) Changes(kind walk.Change, same walk.Conditions) (walk.Changes, error) {
	if !c.CanWalk() {
		return nil, ErrNoWalk
	}
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	g := &changes{done: done, c: (*C.struct_backdoor_changes)(C.calloc(1, C.sizeof_struct_backdoor_changes))}
	g.pages, err = pages.Resize(nil, changesMax*C.sizeof_struct_backdoor_found)
	if g.c == nil || err != nil || g.data.resize(changesMax*meta.KeyMax) != nil {
		g.Close()
		return nil, batch.ErrNoMemory
	}
	g.found = unsafe.Slice((*C.struct_backdoor_found)(unsafe.Pointer(unsafe.SliceData(g.pages))), changesMax)
	g.c.job.done = C.int(done)
	g.c.change = C.BACKDOOR_DELETE
	if kind == walk.Touch {
		g.c.change = C.BACKDOOR_TOUCH
	}
	g.c.same_life, g.c.same_use = C.bool(same.Life), C.bool(same.Use)
	g.c.data, g.c.found = g.data.data(), unsafe.SliceData(g.found)
	return g, nil
}

func (g *changes) Add(i *walk.Item, ttl int64) bool {
	n := g.c.nfound
	if n == changesMax {
		return false
	}
	f := &g.found[n]
	f.cas, f.exptime, f.time = C.uint64_t(i.CAS), C.rel_time_t(i.Exptime), C.rel_time_t(i.Time)
	f.nvalue, f.ttl = C.uint32_t(i.Size), C.uint32_t(ttl)
	f.key, f.nkey = C.uint32_t(g.used), C.uint8_t(len(i.Key))
	g.used += copy(g.data[g.used:], i.Key)
	g.c.nfound++
	return true
}

func (g *changes) Len() int { return int(g.c.nfound) }

func (g *changes) Apply() (walk.Changed, error) {
	C.backdoor_submit_changes(g.c)
	err := awaitJob(g.done)
	n := g.c.counts
	changed := walk.Changed{
		Changed:  uint64(n[C.BACKDOOR_CHANGED]),
		Replaced: uint64(n[C.BACKDOOR_REPLACED]),
		Gone:     uint64(n[C.BACKDOOR_GONE]),
	}
	if err == nil && g.c.job.finished != 1 {
		err = batch.ErrStopping
	}
	g.c.nfound, g.used = 0, 0
	return changed, err
}

func (g *changes) Close() {
	pages.Free(g.data)
	pages.Free(g.pages)
	C.free(unsafe.Pointer(g.c))
	unix.Close(g.done)
}

package main

import (
	"cmp"
	"slices"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// chunkHeader is the size of the header of a chunk of a large item, in bytes (memcached.h: sizeof(item_chunk)), and
// storedHeader what an item has in memory instead of a value that is in extstore (memcached.h: sizeof(item_hdr)).
const (
	chunkHeader  = 48
	storedHeader = 12
)

// slabUse is what the items of a walk take of memcached's slab classes.
type slabUse struct {
	door.Slabs
	of   []chunksUsed // by the index of the class
	byID map[uint64]int

	unknown uint64 // items in classes that had no pages when memcached was asked
}

// chunksUsed is what items take of a slab class.
type chunksUsed struct{ items, chunks, bytes uint64 }

func newSlabUse(slabs *door.Slabs) *slabUse {
	u := &slabUse{Slabs: door.Slabs{Unknown: "the library does not say"}}
	if slabs != nil {
		u.Slabs, u.of, u.byID = *slabs, make([]chunksUsed, len(slabs.Classes)), map[uint64]int{}
		for i, c := range slabs.Classes {
			u.byID[uint64(c.ID)] = i
		}
	}
	return u
}

// add adds an item and returns its memory in bytes: that of its chunks, or, if these are not known, its own.
func (u *slabUse) add(i *dump.Listed) (memory uint64) {
	c, known := u.byID[i.Class]
	if !known {
		u.unknown++
		return i.Total
	}
	const lineEnd = 2
	value := min(i.Size+lineEnd, i.Total)
	switch chunk := u.Classes[c].ChunkSize; {
	case i.Total <= chunk:
		u.of[c].items++
		return u.take(c, i.Total)
	case chunk < u.ChunkMax: // the value is in extstore
		u.of[c].items++
		return u.take(c, min(i.Total-value+storedHeader, chunk))
	}
	// A header with the key, chunks of the largest class, and one for the rest (items.c: do_item_alloc,
	// do_item_alloc_chunk).
	header := u.fit(i.Total - value + chunkHeader)
	u.of[header].items++
	memory = u.take(header, i.Total-value+chunkHeader)
	whole := u.Classes[c].ChunkSize - chunkHeader
	for ; value > whole; value -= whole {
		memory += u.take(c, u.Classes[c].ChunkSize)
	}
	return memory + u.take(u.fit(value+chunkHeader), value+chunkHeader)
}

// take takes a chunk of the class at an index, for some bytes, and returns its size.
func (u *slabUse) take(class int, bytes uint64) uint64 {
	u.of[class].chunks++
	u.of[class].bytes += bytes
	return u.Classes[class].ChunkSize
}

// fit is the index of the class with the smallest chunks that have room for some bytes.
func (u *slabUse) fit(bytes uint64) int {
	i, _ := slices.BinarySearchFunc(u.Classes, bytes, func(c door.SlabUsage, bytes uint64) int { return cmp.Compare(c.ChunkSize, bytes) })
	return min(i, len(u.Classes)-1)
}

// classUse is a slab class as a report shows it. All are bytes but items.
type classUse struct {
	chunk uint64 // the size of one
	items uint64
	data  uint64 // of the items that were met
	waste uint64 // in their chunks, behind them
	other uint64 // chunks of items that were not met: expired ones, and those that were not asked for
	free  uint64 // chunks without an item
}

// classes are the slab classes with their items.
func (u *slabUse) classes() (all []classUse) {
	for i, c := range u.Classes {
		of := &u.of[i]
		all = append(all, classUse{
			chunk: c.ChunkSize, items: of.items, data: of.bytes, waste: of.chunks*c.ChunkSize - of.bytes,
			other: (max(c.Used, of.chunks) - of.chunks) * c.ChunkSize, free: c.Free * c.ChunkSize,
		})
	}
	return all
}

package main

import (
	"reflect"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// Chunks are taken as memcached takes them (items.c: do_item_alloc).
func TestSlabUse(t *testing.T) {
	slabs := door.Slabs{Limit: 64 << 20, ChunkMax: 4096, Classes: []door.SlabUsage{
		{ID: 1, ChunkSize: 96, Used: 3, Free: 2}, {ID: 4, ChunkSize: 200, Used: 1}, {ID: 9, ChunkSize: 4096, Used: 9},
	}}
	for name, tt := range map[string]struct {
		item   dump.Listed
		memory uint64
		used   [3]chunksUsed
	}{
		"small":             {dump.Listed{Class: 1, Size: 10, Total: 75}, 96, [3]chunksUsed{{1, 1, 75}}},
		"exact":             {dump.Listed{Class: 4, Size: 100, Total: 200}, 200, [3]chunksUsed{1: {1, 1, 200}}},
		"a new class":       {dump.Listed{Class: 5, Size: 200, Total: 270}, 270, [3]chunksUsed{}},
		"in extstore":       {dump.Listed{Class: 1, Size: 2000, Total: 2070}, 96, [3]chunksUsed{{1, 1, 2070 - 2002 + 12}}},
		"two chunks":        {dump.Listed{Class: 9, Size: 4094, Total: 4166}, 200 + 4096 + 96, [3]chunksUsed{{0, 1, 48 + 48}, {1, 1, 70 + 48}, {0, 1, 4096}}},
		"whole chunks":      {dump.Listed{Class: 9, Size: 2*4048 - 2, Total: 2*4048 + 70}, 200 + 2*4096, [3]chunksUsed{1: {1, 1, 70 + 48}, 2: {0, 2, 2 * 4096}}},
		"a value too large": {dump.Listed{Class: 1, Size: 1 << 40, Total: 100}, 96, [3]chunksUsed{{1, 1, 12}}},
	} {
		u := newSlabUse(&slabs)
		if got := u.add(&tt.item); got != tt.memory || !reflect.DeepEqual(u.of, tt.used[:]) {
			t.Errorf("%s: %d bytes, %+v, want %d, %+v", name, got, u.of, tt.memory, tt.used)
		}
		var sum uint64
		for _, c := range u.classes() {
			sum += c.data + c.waste
		}
		if want := tt.memory; u.unknown == 0 && sum != want {
			t.Errorf("%s: %d bytes in the classes, want %d", name, sum, want)
		}
	}
	u := newSlabUse(&slabs)
	u.add(&dump.Listed{Class: 1, Total: 90})
	if got, want := u.classes()[0], (classUse{chunk: 96, items: 1, data: 90, waste: 6, other: 2 * 96, free: 2 * 96}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	none := newSlabUse(nil)
	if got := none.add(&dump.Listed{Class: 1, Total: 70}); got != 70 || none.Unknown == "" || len(none.classes()) != 0 {
		t.Errorf("%d, %+v", got, none)
	}
}

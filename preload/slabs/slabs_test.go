package slabs

import "testing"

// memory has one page of 100-byte chunks, and as many chunks free.
func memory(free uint64) *Memory {
	return &Memory{Limit: 4 << 20, Free: 3 << 20, Classes: []Class{{ID: 1, Size: 100, Has: 1, Free: free}, {ID: 2, Size: 512 << 10}}}
}

// What is to be stored needs the same -m as when it is stored in part already, whatever a sample says of that.
func TestRelease(t *testing.T) {
	const perPage = 10485
	for name, tt := range map[string]struct {
		free          uint64 // of the page's chunks
		looked, there uint64
		all           bool
		want          uint64
	}{
		"none is there":              {free: perPage, looked: 4000, want: 3},
		"others are there":           {free: 0, looked: 4000, want: 4},
		"a page of them, by sample":  {free: 0, looked: 4000, there: 1390, want: 3},
		"a page of them, all looked": {free: 0, looked: 30_000, there: perPage, all: true, want: 3},
		"few, and others":            {free: 0, looked: 30_000, there: 1, all: true, want: 4},
		"more than there are chunks": {free: perPage, looked: 10, there: 10, all: true, want: 3},
	} {
		m := memory(tt.free)
		m.Add(90, 70, 30_000)
		looked, there := m.Empty(), m.Empty()
		looked.Add(90, 70, tt.looked)
		there.Add(90, 70, tt.there)
		m.Release(looked, there, tt.all)
		if got := m.Megabytes(); got != tt.want {
			t.Errorf("%s: -m %d, want %d", name, got, tt.want)
		}
	}
}

// A large item is a header, whole chunks and a rest (items.c: do_item_alloc).
func TestAddLarge(t *testing.T) {
	m := memory(0)
	m.Add(2*(512<<10)+60, 60, 5)
	if small, large := m.Classes[0].Items, m.Classes[1].Items; small != 0 || large != 5*(1+2+1) {
		t.Errorf("%d and %d chunks", small, large)
	}
	m = memory(0)
	m.Add(512<<10+1, 50, 5) // the header has 96 bytes, and the value one more than a whole chunk
	if small, large := m.Classes[0].Items, m.Classes[1].Items; small != 2*5 || large != 5 {
		t.Errorf("%d and %d chunks", small, large)
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// Items that are made ahead of those that are stored take no memory from them: as many rows find room as with a
// single worker, which makes none, and they are the first ones.
func TestMemoryIsUsedUp(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached makes its items itself")
		}
		for _, size := range []int{10, 400, 6_000, 300_000} {
			rows := 24 << 20 / (size + 64)
			key := func(i int) string { return fmt.Sprintf("full_%07d", i) }
			var all bytes.Buffer
			for i := range rows {
				fmt.Fprintf(&all, "%s\t%s\n", key(i), strings.Repeat("x", size))
			}
			var stored []uint64
			for _, workers := range []string{"1", "4"} {
				server := start(t, s.program, "-m", "8", "-M", "-t", workers)
				load := server.load(door.Request{}, all.Bytes())
				if load.Stored == 0 || load.Rejected == 0 || load.Rejected != load.Reasons["out of memory in memcached"] {
					t.Errorf("values of %d bytes: %+v", size, load)
				}
				stored = append(stored, load.Stored)
				server.get(key(0))
				server.get(key(int(load.Stored) - 1))
				server.missing(key(int(load.Stored)))
				if n := server.stat("", "curr_items"); uint64(n) != load.Stored {
					t.Errorf("values of %d bytes: there are %d items of %d", size, n, load.Stored)
				}
			}
			if stored[0] != stored[1] {
				t.Errorf("values of %d bytes: one worker stores %d, four %d", size, stored[0], stored[1])
			}
		}
	})
}

// A full cache takes every row by evicting others, also one that has a single page for their size.
func TestFullCacheEvicts(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program, "-m", "8")
		const rows = 60_000
		for _, prefix := range []string{"first", "second"} {
			if load := server.load(door.Request{}, rowsOf(prefix, rows)); load.Stored != rows {
				t.Errorf("%s: %+v", prefix, load)
			}
		}
		// The cache is full of those, and has a page for each of these.
		for _, size := range []int{1_000, 15_000, 17_000, 200_000} {
			var some bytes.Buffer
			for i := range 4_000_000 / size {
				fmt.Fprintf(&some, "large_%d_%d\t%s\n", size, i, strings.Repeat("y", size))
			}
			if load := server.load(door.Request{}, some.Bytes()); load.Stored != load.Rows || load.Rows == 0 {
				t.Errorf("values of %d bytes: %+v", size, load)
			}
		}
		if evicted := server.stat("", "evictions"); evicted == 0 {
			t.Error("nothing was evicted")
		}
	})
}

// A memcached that must not evict (-M) runs full: what does not fit is rejected, what was
// stored stays.
func TestFullWithoutEviction(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program, "-M", "-m", "16")
		var rows bytes.Buffer
		value := strings.Repeat("v", 1000)
		const n = 40000
		for i := range n {
			fmt.Fprintf(&rows, "key_%d\t%d%s\n", i, i, value)
		}
		l := server.load(door.Request{}, rows.Bytes())
		if l.Rows != n || l.Stored == 0 || l.Rejected == 0 || l.Reasons["out of memory in memcached"] != l.Rejected {
			t.Fatalf("%+v", l)
		}
		if got := server.stat("", "curr_items"); uint64(got) != l.Stored {
			t.Errorf("%d items, %d stored", got, l.Stored)
		}
		if got := server.stat("", "evictions"); got != 0 {
			t.Errorf("%d evictions", got)
		}
		for _, r := range l.Rejects {
			server.missing(fmt.Sprintf("key_%d", r.Line-1))
		}
		if want := "0" + value; server.get("key_0") != want {
			t.Error("key_0 differs")
		}
	})
}

// The same with values of many chunks: an item may be begun, and find no memory for its rest.
func TestFullWithinChunks(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program, "-M", "-m", "16")
		const n = 60
		value := strings.Repeat("v", 700_000)
		var rows bytes.Buffer
		for i := range n {
			fmt.Fprintf(&rows, "key_%d\t%d%s\n", i, i, value)
		}
		server.load(door.Request{}, []byte("key_59\told\n"))
		l := server.load(door.Request{}, rows.Bytes())
		if l.Rows != n || l.Stored == 0 || l.Rejected == 0 || l.Reasons["out of memory in memcached"] != l.Rejected {
			t.Fatalf("%+v", l)
		}
		there := uint64(0)
		for i := range n {
			item, err := server.cache().Get(fmt.Sprintf("key_%d", i))
			if err != nil {
				continue
			}
			if there++; string(item.Value) != fmt.Sprintf("%d%s", i, value) {
				t.Errorf("%s: %.20q", item.Key, item.Value)
			}
		}
		if there != l.Stored {
			t.Errorf("%d values are there, %d stored", there, l.Stored)
		}
	})
}

// A cache that is too small evicts, as for any client.
func TestFullWithEviction(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program, "-m", "16")
		var rows bytes.Buffer
		value := strings.Repeat("v", 1000)
		const n = 100000
		for i := range n {
			fmt.Fprintf(&rows, "key_%d\t%d%s\n", i, i, value)
		}
		if l := server.load(door.Request{}, rows.Bytes()); l.Stored != n {
			t.Fatalf("%+v", l)
		}
		if got := server.stat("", "evictions"); got < n/2 {
			t.Errorf("%d evictions", got)
		}
		if want := fmt.Sprintf("%d%s", n-1, value); server.get(fmt.Sprintf("key_%d", n-1)) != want {
			t.Error("the last key differs")
		}
	})
}

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// The hash table is large enough when a load ends.  Left alone, memcached doubles it once a second, while the load puts
// several times as many rows into it as it is made for.
func TestTableGrows(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const rows = 900_000
		server := start(t, s.program, "-m", "1024")
		load := server.load(door.Request{}, rowsOf("grow", rows))
		level := server.stat("", "hash_power_level")
		if load.Stored != rows || server.stat("", "curr_items") != rows {
			t.Errorf("%d rows are stored, there are %d", load.Stored, server.stat("", "curr_items"))
		}
		// 1.5 items for each bucket are memcached's own measure; we count by a sample.
		if items := rows * 10; items > 16<<level {
			t.Errorf("%d rows in 2^%d buckets", rows, level)
		}
		if level > 20 {
			t.Errorf("%d rows made the table grow to 2^%d buckets", rows, level)
		}
		for _, i := range []int{0, 98_304, 200_000, rows - 1} {
			key, value := rowOf("grow", i)
			if got := server.get(key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
		}
	})
}

// Values that take several slices of a worker's time stand among rows that make the table grow.
func TestTableGrowsWithLargeValues(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const rows, every = 400_000, 2_000
		large := strings.Repeat("x", 1_000_000)
		var all bytes.Buffer
		for i := range rows {
			key, value := rowOf("mixed", i)
			if i%every == 0 {
				value = large
			}
			fmt.Fprintf(&all, "%s\t%s\n", key, value)
		}
		server := start(t, s.program, "-m", "1024")
		if load := server.load(door.Request{}, all.Bytes()); load.Stored != rows {
			t.Errorf("%d of %d rows are stored", load.Stored, rows)
		}
		for _, i := range []int{0, 1, every, rows - every, rows - 1} {
			key, want := rowOf("mixed", i)
			if i%every == 0 {
				want = large
			}
			if got := server.get(key); got != want {
				t.Errorf("%s: %d bytes, want %d", key, len(got), len(want))
			}
		}
	})
}

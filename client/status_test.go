package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

func TestStatus(t *testing.T) {
	want := door.Status{
		Library: "v0.1.0", Memcached: "1.6.18", BuildID: "abcdef", PID: 4242, Route: "scan", Workers: 4, ItemSizeMax: 1 << 20,
		Calls: 7, Active: 1, Stored: 14, Rejected: 2, Skipped: 1, Uptime: 190.7,
	}
	path := serve(t, func(c *door.Call, req door.Request) {
		if req != (door.Request{Version: 1, Op: "status", Stats: 1000}) {
			t.Errorf("request is %+v", req)
		}
		c.Finish(door.Reply{Status: &want})
	})
	runWith(t, path, "", "status").ends(0, `memcached      1.6.18
pid            4242
build id       abcdef
library        v0.1.0
route          scan
workers        4
item size max  1048576 bytes
uptime         3m11s
calls          7, of which 1 loading now
rows           14 stored, 2 rejected, 1 skipped
`, "")

	p := runWith(t, path, "", "--json", "status")
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &p.errOut)
	}
	var got door.Status
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestStatusOfUnsupportedHost(t *testing.T) {
	path := answering(t, door.Reply{Error: &door.Error{Code: door.CodeHost, Message: "memcached 9.9 is not known"}})
	runWith(t, path, "", "status").ends(11, "", "error: memcached 9.9 is not known\n")
}

// figured has all figures.
func figured() door.Stats {
	growing := true
	return door.Stats{
		Items: new(uint64(1000)), Bytes: new(uint64(57_000_000)), Pages: new(uint64(1 << 26)), Limit: new(uint64(1 << 26)),
		Gets: new(uint64(20_000)), Hits: new(uint64(19_999)), Misses: new(uint64(1)), Sets: new(uint64(500)), Evictions: new(uint64(12)),
		Oldest: new(uint64(100_000)), Connections: new(uint64(9)), MaxConnections: new(uint64(1024)),
		Buckets: new(uint64(65536)), Growing: &growing,
	}
}

// TestFigures: what memcached does not state is left out.
func TestFigures(t *testing.T) {
	for _, test := range []struct {
		name   string
		status door.Status
		want   string
	}{
		{"not asked for", door.Status{}, ""},
		{"not known", door.Status{StatsReason: "memcached listens nowhere"}, "statistics: not known: memcached listens nowhere\n"},
		{"none stated", door.Status{Stats: &door.Stats{}}, ""},
		{"all", door.Status{Stats: new(figured())}, `items: 1000
memory: 57.0 MB of 67.1 MB (84.9%), 67.1 MB in pages
hit rate: >99.9% of 20000 gets
evictions: 12
oldest item: 1d4h
connections: 9 of 1024
hash table: 1000 items in 65536 buckets (1.5%), growing
`},
		{"no limits", door.Status{Stats: &door.Stats{Items: new(uint64(1)), Bytes: new(uint64(70)), Limit: new(uint64), Connections: new(uint64(3)), Hits: new(uint64), Misses: new(uint64)}},
			"items: 1\nmemory: 70 B\nhit rate: nothing was asked for yet\nconnections: 3\n"},
	} {
		var got strings.Builder
		for _, line := range figures(&test.status) {
			if line[1] != "" {
				got.WriteString(line[0] + ": " + line[1] + "\n")
			}
		}
		if got.String() != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got.String(), test.want)
		}
	}
}

// TestStatusTimeout: memcached's statistics never make a status late.
func TestStatusTimeout(t *testing.T) {
	limits := make(chan uint32, 1)
	path := serve(t, func(c *door.Call, req door.Request) {
		limits <- req.Stats
		c.Finish(door.Reply{Status: &door.Status{PID: 1}})
	})
	runWith(t, path, "", "status", "--timeout", "1m").Wait()
	if got := take(t, limits); got != 1000 {
		t.Errorf("it asks for statistics within %d ms", got)
	}
	for timeout, want := range map[time.Duration]uint32{0: 1000, time.Minute: 1000, 500 * time.Millisecond: 250, 2 * time.Millisecond: 1, time.Nanosecond: 1} {
		if got := (&caller{timeout: timeout}).statsLimit(); got != want {
			t.Errorf("--timeout %s: %d ms, want %d", timeout, got, want)
		}
	}
}

// TestStatusOfOlderLibrary: it does not know the statistics, and its status is shown.
func TestStatusOfOlderLibrary(t *testing.T) {
	path := serve(t, func(c *door.Call, req door.Request) {
		if req.Stats > 0 {
			c.Fail(&door.Error{Code: door.CodeRequest, Message: `this library does not know the option "stats"`})
			return
		}
		c.Finish(door.Reply{Status: &door.Status{Memcached: "1.6.18", PID: 7}})
	})
	runWith(t, path, "", "status").ends(0, `statistics     not known: this library does not know the option "stats"
memcached      1.6.18
pid            7
workers        0
item size max  0 bytes
uptime         0s
calls          0, of which 0 loading now
rows           0 stored, 0 rejected, 0 skipped
`, "")
}

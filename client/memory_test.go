package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// The memory in a reply is printed: a table for a dry run, the number of gone rows for a load.
func TestMemory(t *testing.T) {
	classes := []door.SlabClass{{ID: 1, ChunkSize: 96, Chunks: 39409, Pages: 4}, {ID: 13, ChunkSize: 1184, Chunks: 7, Free: 885}}
	const table = "  slab class  chunk size  chunks  free now  pages more\n" +
		"           1          96   39409         0           4\n" +
		"          13        1184       7       885           0\n"
	counts := door.Load{Rows: 4, Stored: 3, Rejected: 1, Bytes: 40, Seconds: 0.01, Engine: "native"}
	for _, tt := range []struct {
		name            string
		change          func(*door.Load)
		out, errs, args string
	}{
		{
			name: "gone", change: func(l *door.Load) { l.Gone = &door.Gone{Rows: 2, Megabytes: 196} },
			out:  "4 rows read: 3 stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native); about 2 of the stored rows are gone again: the cache is too small for them\n",
			errs: "hint: memcached -m 196 would have held them\n",
		},
		{
			name: "gone, and for another reason", change: func(l *door.Load) { l.Gone = &door.Gone{Rows: 2, Exact: true, Unknown: "they were flushed"} },
			out: "4 rows read: 3 stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native); 2 of the stored rows are gone again: they were flushed\n",
		},
		{
			name: "first rows", change: func(l *door.Load) {
				l.DryRun, l.First = true, []door.First{
					{Mode: "set", Key: `"user:1"`, Size: 5, Value: `"Trond"`},
					{Mode: "add", Key: `"\x1b[2J"`, Flags: 7, TTL: -1, CAS: 77, Stale: true, Won: true, Size: 2000, Value: `"\x00 x"`, Cut: true},
				}
			}, args: "--dry-run",
			out: "first rows, as they would be stored:\n" +
				"  set \"user:1\", flags 0, never expires, 5 B: \"Trond\"\n" +
				"  add \"\\x1b[2J\", flags 7, has expired already, CAS 77, stale, won, 2.0 kB: \"\\x00 x\"…\n" +
				"4 rows read: 3 would be stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native)\n",
		},
		{
			name: "dry run that fits", change: func(l *door.Load) {
				l.DryRun, l.Memory = true, &door.Memory{Fits: true, Needed: 4 << 20, Free: 60 << 20, Limit: 64 << 20, Classes: classes}
			}, args: "--dry-run",
			out: "4 rows read: 3 would be stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native)\n" +
				"memory: 4.2 MB of pages more, 62.9 MB are free: it fits\n" + table,
		},
		{
			name: "dry run that does not", change: func(l *door.Load) {
				l.DryRun, l.Memory = true, &door.Memory{Needed: 4 << 20, Free: 1 << 20, Limit: 64 << 20, Megabytes: 67, Classes: classes}
			}, args: "--dry-run",
			out: "4 rows read: 3 would be stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native)\n" +
				"memory: 4.2 MB of pages more, 1.0 MB are free: it does not fit, rows would be evicted\n" + table,
			errs: "hint: memcached -m 67 would hold them\n",
		},
		{
			name: "dry run without a limit", change: func(l *door.Load) {
				l.DryRun, l.Memory = true, &door.Memory{Fits: true, Needed: 4 << 20, Classes: classes}
			}, args: "--dry-run",
			out: "4 rows read: 3 would be stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native)\n" +
				"memory: 4.2 MB of pages more, there is no limit: it fits\n" + table,
		},
		{
			name: "dry run that knows no classes", change: func(l *door.Load) {
				l.DryRun, l.Memory = true, &door.Memory{Unknown: "memcached listens at no address"}
			}, args: "--dry-run",
			out: "4 rows read: 3 would be stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native)\n" +
				"memory: not known: memcached listens at no address\n",
		},
		{
			name: "resumed", change: func(l *door.Load) { l.Resumed, l.ResumedBytes = 100, 2000 }, args: "--resume",
			out: "4 rows read: 3 stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native), after 100 lines of an earlier load\n",
		},
		{
			name: "restarted", change: func(l *door.Load) { l.Restarted = "the file has changed" }, args: "--resume",
			out: "4 rows read: 3 stored, 1 rejected, 0 skipped (40 B in 0.01 s, 400 rows/s, native), from the beginning: the file has changed\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			load := counts
			load.Rejects = []door.Reject{{Line: 3, Column: 7, Reason: "bad"}}
			tt.change(&load)
			requests := make(chan door.Request, 1)
			path := serve(t, func(c *door.Call, req door.Request) {
				requests <- req
				c.Finish(door.Reply{Load: &load})
			})
			runWith(t, path, "", append([]string{"load"}, strings.Fields(tt.args)...)...).ends(3, tt.out, "line 3, byte 7: bad\n"+tt.errs)
			if req := take(t, requests); req.DryRun != (tt.args == "--dry-run") || req.Resume != (tt.args == "--resume") {
				t.Errorf("request %+v", req)
			}
		})
	}
}

// The expiry of a first row is a date, in the user's time zone, and the time left.
func TestFirstExpires(t *testing.T) {
	now := time.Date(2026, 11, 27, 17, 30, 0, 0, time.FixedZone("CET", 3600))
	const want = `set "k", flags 0, expires 2026-11-28 17:30:10 CET (in 1d), 1 B: "v"`
	if got := firstLine(&door.First{Mode: "set", Key: `"k"`, TTL: 86410, Size: 1, Value: `"v"`}, now); got != want {
		t.Errorf("%s\nand not\n%s", got, want)
	}
}

// Each of several files has its memory, and the hint is for the largest.
func TestMemoryOfSeveral(t *testing.T) {
	var files []string
	for _, name := range []string{"a.csv", "b.csv"} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	megabytes := uint64(60)
	path := serve(t, func(c *door.Call, req door.Request) {
		megabytes += 10
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1, DryRun: true, First: []door.First{{Mode: "set", Key: `"k"`, Value: `""`}}, Memory: &door.Memory{Needed: 1 << 20, Limit: 1, Megabytes: megabytes}}})
	})
	const header = "  slab class  chunk size  chunks  free now  pages more\n"
	start(t, path, nil, append([]string{"load", "--dry-run"}, files...)...).ends(0,
		"first rows of "+files[0]+", as they would be stored:\n  set \"k\", flags 0, never expires, 0 B: \"\"\n"+
			"first rows of "+files[1]+", as they would be stored:\n  set \"k\", flags 0, never expires, 0 B: \"\"\n"+
			"2 rows read: 2 would be stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n"+
			"memory for "+files[0]+": 1.0 MB of pages more, 0 B are free: it does not fit, rows would be evicted\n"+header+
			"memory for "+files[1]+": 1.0 MB of pages more, 0 B are free: it does not fit, rows would be evicted\n"+header,
		"hint: memcached -m 80 would hold them\n")
}

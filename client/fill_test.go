package main

import (
	"io"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// TestFill: the request, and its row.
func TestFill(t *testing.T) {
	requests, contents := make(chan door.Request, 1), make(chan string, 1)
	path := serve(t, func(c *door.Call, req door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		requests <- req
		contents <- string(data)
		c.Finish(door.Reply{Load: &door.Load{Rows: 14, Stored: 14, Bytes: 80, ValueBytes: 1400, Seconds: 0.01}})
	})
	plain := door.Request{Version: 1, Op: "load", Rows: door.Rows{Format: "jsonl"}}
	for _, test := range []struct {
		name string
		args []string
		want door.Request
		row  string
	}{
		{"count", []string{"--count", "1000000000"}, plain, `{"key":"fill:{n}","count":1000000000,"size":[100,100],"seed":1}`},
		{"bytes", []string{"--bytes", "1G"}, plain, `{"key":"fill:{n}","count":10000000,"size":[100,100],"seed":1}`},
		{"bytes of drawn sizes", []string{"--bytes", "3M", "--size", "1k-2k"}, plain, `{"key":"fill:{n}","count":2000,"size":[1000,2000],"seed":1}`},
		{"less than an item", []string{"--bytes", "1", "--size", "3M"}, plain, `{"key":"fill:{n}","count":1,"size":[3000000,3000000],"seed":1}`},
		{"items", []string{"--count=5", "--key=a\"{n}{n}", "--size=0-7", "--seed=18446744073709551615"}, plain, `{"key":"a\"{n}{n}","count":5,"size":[0,7],"seed":18446744073709551615}`},
		{"options", []string{"--count=1", "--ttl=24h", "--flags=7", "--mode=add", "--rate=5000", "--gentle", "--detach", "--dry-run", "--progress=none"},
			door.Request{Version: 1, Op: "load", Rows: door.Rows{Format: "jsonl", TTL: 86400, Flags: 7, Mode: "add"}, Limits: door.Limits{Rate: 5000, Gentle: true}, Detach: true, DryRun: true},
			`{"key":"fill:{n}","count":1,"size":[100,100],"seed":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			start(t, path, nil, append([]string{"fill"}, test.args...)...).ends(0,
				"14 items made: 14 stored, 0 rejected, 0 skipped (1.4 kB of values in 0.01 s, 1400 items/s)\n", "")
			if got := take(t, requests); got != test.want {
				t.Errorf("request is %+v, want %+v", got, test.want)
			}
			if got := take(t, contents); got != test.row+"\n" {
				t.Errorf("the row is %q, want %q", got, test.row)
			}
		})
	}
}

// TestFillInterrupted: like a load.
func TestFillInterrupted(t *testing.T) {
	called := make(chan struct{})
	path := serve(t, func(c *door.Call, _ door.Request) {
		close(called)
		if _, err := c.Wait(false, -1, -1); err != nil {
			t.Errorf("Wait: %v", err)
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 3, Stored: 3, Canceled: true}})
	})
	p := start(t, path, nil, "fill", "--count", "1000000000")
	take(t, called)
	p.signal(syscall.SIGINT)
	p.ends(130, "3 items made: 3 stored, 0 rejected, 0 skipped (0.00 s), interrupted\n", "")
}

// TestFillProgress: progress is counted in items.
func TestFillProgress(t *testing.T) {
	t.Parallel()
	path, end := reporting(t, door.Load{Rows: 500, Stored: 500, Bytes: 80, Seconds: 2}, door.Load{Rows: 2000, Stored: 2000, Bytes: 80, ValueBytes: 200_000})
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("clear; client fill --count 2000")
	term.becomes("500 items, 25%, ETA 0:06, 250 items/s, 0:02 elapsed")
	end <- struct{}{}
	term.becomes("2000 items made: 2000 stored, 0 rejected, 0 skipped (200.0 kB of values in 0.00 s)\n$")
}

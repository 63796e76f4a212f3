package main

import (
	"encoding/json"
	"testing"

	"memcached-backdoor/preload/door"
)

func TestStatus(t *testing.T) {
	want := door.Status{
		Library: "v0.1.0", Memcached: "1.6.18", BuildID: "abcdef", PID: 4242, Route: "scan", Workers: 4, ItemSizeMax: 1 << 20,
		Calls: 7, Active: 1, Stored: 14, Rejected: 2, Skipped: 1, Uptime: 190.7,
	}
	path := serve(t, func(c *door.Call, req door.Request) {
		if req != (door.Request{Version: 1, Op: "status"}) {
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

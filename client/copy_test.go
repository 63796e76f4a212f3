package main

import (
	"encoding/json"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"memcached-backdoor/client/remote"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/walk"
)

// What the target has of an item is judged by what the source has now, by the item's date and by the mode.
func TestVerification(t *testing.T) {
	now := time.Now().Unix()
	copied := []item{{key: []byte("a"), value: []byte("1")}, {key: []byte("b"), value: []byte("1"), expires: now + 1}, {key: []byte("c"), value: []byte("1"), expires: now + 1000}}
	other := func(i item) item { i.value = []byte("2"); return i }
	for name, test := range map[string]struct {
		mode   record.Mode
		source []item
		has    map[string]uint8 // what the target has; else absent
		want   verifyCounts
	}{
		"the same":       {"", copied, map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{Same: 3}},
		"none":           {"", copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"others":         {"", copied, map[string]uint8{"a": different, "b": different, "c": different}, verifyCounts{Different: 2, Expired: 1}},
		"others, add":    {record.ModeAdd, copied, map[string]uint8{"a": different, "c": different}, verifyCounts{Kept: 2, Expired: 1}},
		"none, add":      {record.ModeAdd, copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"none, replace":  {record.ModeReplace, copied, nil, verifyCounts{Kept: 2, Expired: 1}},
		"other, replace": {record.ModeReplace, copied, map[string]uint8{"a": different}, verifyCounts{Kept: 1, Different: 1, Expired: 1}},
		"changed":        {"", []item{other(copied[0]), copied[2]}, map[string]uint8{"c": present}, verifyCounts{Changed: 1, Same: 1}},
		"new":            {"", append([]item{{key: []byte("d")}}, copied...), map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{New: 1, Same: 3}},
		"met twice":      {"", []item{copied[0], other(copied[0]), copied[0]}, map[string]uint8{"a": present}, verifyCounts{Same: 1}},
	} {
		v := newVerification(&copyCommand{Mode: mode(test.mode)})
		for i := range copied {
			v.add(&copied[i])
		}
		v.sort()
		for i := range test.source {
			if n := v.meet(&test.source[i]); n != nil {
				v.judge(test.source[i].key, n, test.has[string(test.source[i].key)], "value")
			}
		}
		wrong := v.Missing + v.Different
		if uint64(len(v.Wrong)) != wrong {
			t.Errorf("%s: %d are listed of %d", name, len(v.Wrong), wrong)
		}
		if v.Wrong = nil; !reflect.DeepEqual(v.verifyCounts, test.want) {
			t.Errorf("%s: %+v, want %+v", name, v.verifyCounts, test.want)
		}
	}
}

// copiedFrom serves a door with a cache that is copied. The status has the number of a process.
func (c cache) copiedFrom(t *testing.T, pid int, before func(*door.Call, door.Request)) (path string) {
	t.Helper()
	return serve(t, func(call *door.Call, request door.Request) {
		before(call, request)
		if request.Op == door.OpStatus {
			call.Finish(door.Reply{Status: &door.Status{PID: pid}})
			return
		}
		var items walk.Source = c
		if request.Keys {
			items = keyed{c, call.KeyList()}
		}
		counts, err := dump.Dump(items, filtered(request), call.Output, request.Items, dump.Hooks{})
		if err != nil {
			t.Error(err)
		}
		call.Finish(door.Reply{Dump: &door.Dump{Items: counts.Items, Written: counts.Written, Filtered: counts.Filtered, Gone: counts.Gone, Engine: door.EngineNative}})
	})
}

// plainMemcached starts a memcached without the library, and returns its own socket.
func plainMemcached(t *testing.T) (pid int, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "memcached")
	c := exec.Command(filepath.Join(testDir, "..", "build", "hosts", "stock", "memcached"), "-u", "root", "-s", socket)
	if err := c.Start(); err != nil {
		t.Fatalf("%v; run `make hosts`", err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return c.Process.Pid, socket
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// In two containers two memcacheds can have processes of the same number: one is copied into the other, and nothing else
// is left there.
func TestCopySameNumber(t *testing.T) {
	pid, socket := plainMemcached(t)
	asked := 0
	path := cache{kept("a", "1"), kept("b", "2")}.copiedFrom(t, pid, func(_ *door.Call, r door.Request) {
		if r.Keys {
			asked++
		}
	})
	p := start(t, path, nil, "--json", "copy", "--to", socket)
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, &p.out, &p.errOut)
	}
	var got copyCounts
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || got.Copied != 2 || got.Verified.Same != 2 || asked != 1 {
		t.Errorf("%v, asked %d times: %s", err, asked, &p.out)
	}
	conn, err := remote.Dial(remote.Address{Network: "unix", Address: socket, Limit: remote.DefaultLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.PID != pid {
		t.Errorf("process %d, want %d", conn.PID, pid)
	}
}

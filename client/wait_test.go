package main

import (
	"encoding/json"
	"sync/atomic"
	"testing"

	"memcached-backdoor/preload/door"
)

// wait asks again until the fixtures are loaded.
func TestWaitForFixtures(t *testing.T) {
	var asked atomic.Int32
	path := serve(t, func(c *door.Call, _ door.Request) {
		n := asked.Add(1)
		c.Finish(door.Reply{Status: &door.Status{Fixtures: &door.Fixtures{Done: n == 3, Complete: n == 3, Files: 2, Rows: 10, Stored: 10}}})
	})
	runWith(t, path, "", "wait").ends(0, "", "")
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times", n)
	}
	p := runWith(t, path, "", "--json", "wait", "--timeout", "100ms") // they are loading again
	p.ends(1, "", "error: after 100ms: the fixtures are not loaded yet: 10 rows so far\nhint: wait for longer (--timeout), or see what memcached says on its standard error\n")
}

func TestWaitReady(t *testing.T) {
	incomplete := &door.Fixtures{Done: true, Files: 1, Rows: 3, Stored: 1, Rejected: 1, Skipped: 1, Seconds: 0.25}
	for _, tt := range []struct {
		preload *door.Fixtures
		stderr  string
	}{
		{nil, ""},
		{incomplete, "warning: not every row of the fixtures is in the cache: 3 rows read: 1 stored, 1 rejected, 1 skipped\nhint: memcached's standard error says which are not\n"},
	} {
		path := answering(t, door.Reply{Status: &door.Status{PID: 7, Fixtures: tt.preload}})
		p := runWith(t, path, "", "--json", "wait")
		if err := p.Wait(); err != nil || p.errOut.String() != tt.stderr {
			t.Errorf("%v, %q", err, &p.errOut)
		}
		var got door.Status
		if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || got.PID != 7 {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestStatusOfFixtures(t *testing.T) {
	for state, preload := range map[string]door.Fixtures{
		"loading":  {},
		"complete": {Done: true, Complete: true},
		"incomplete: memcached's standard error has the reasons": {Done: true},
	} {
		preload.Files, preload.Rows, preload.Stored, preload.Rejected, preload.Skipped, preload.Seconds = 2, 6, 3, 2, 1, 0.5
		if got, want := fixturesLine(&preload), "2 files, 6 rows read: 3 stored, 2 rejected, 1 skipped (0.50 s), "+state; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// slow serves a door whose dump begins and does not end by itself.
func slow(t *testing.T, text string) (path string, called <-chan struct{}) {
	t.Helper()
	calls := make(chan struct{})
	return serve(t, func(c *door.Call, r door.Request) {
		if r.Op == door.OpStatus {
			c.Finish(door.Reply{Status: &door.Status{}})
			return
		}
		if _, err := c.Output.Write([]byte(text)); err != nil {
			t.Errorf("Write: %v", err)
		}
		close(calls)
		c.Wait(false, -1, -1)
		c.Finish(door.Reply{Dump: &door.Dump{Canceled: true}})
	}), calls
}

// An interrupted call prints no table of a part of the cache.
func TestInspectInterrupted(t *testing.T) {
	for _, args := range [][]string{{"keys"}, {"top", "--json"}, {"diff", before.dumped(t, nil)}} {
		path, called := slow(t, "")
		p := start(t, path, nil, args...)
		take(t, called)
		p.signal(os.Interrupt)
		p.ends(130, "", "")
	}
}

// A memcached that neither answers nor closes the pipe does not hold the client.
func TestInspectInterruptedSilent(t *testing.T) {
	path, called, canceled := silent(t)
	p := start(t, path, nil, "keys")
	take(t, called)
	p.signal(os.Interrupt)
	take(t, canceled)
	p.ends(130, "", "")
}

// Whatever memcached answers, a table is of the whole cache.
func TestInspectFailed(t *testing.T) {
	file := cache{kept("a", "1")}.dumped(t, nil)
	for _, tt := range []struct {
		name   string
		answer func(c *door.Call)
		errOut string
	}{
		{"canceled", func(c *door.Call) { c.Finish(door.Reply{Dump: &door.Dump{Canceled: true}}) }, "error: memcached ended the dump before its end\n"},
		{"lost", func(c *door.Call) {}, "error: memcached went away during the dump\nhint: see what memcached says on its standard error\n"},
		{"failed", func(c *door.Call) { c.Fail(&door.Error{Code: door.CodeBusy, Message: "not now"}) }, "error: not now\n"},
		{"short", func(c *door.Call) { c.Finish(door.Reply{Dump: &door.Dump{Items: 9, Written: 9}}) }, "error: the counts do not add up: 9 items were sent, and 0 came\n"},
	} {
		for _, args := range [][]string{{"keys"}, {"top"}, {"diff", file}} {
			path := serve(t, func(c *door.Call, r door.Request) {
				if r.Op == door.OpStatus {
					c.Finish(door.Reply{Status: &door.Status{}})
				} else {
					tt.answer(c)
				}
			})
			p := start(t, path, nil, args...)
			p.Wait()
			if p.out.Len() > 0 || p.errOut.String() != tt.errOut || p.ProcessState.ExitCode() != 1 {
				t.Errorf("%s, %s: %s\n%s%s", tt.name, args, p.ProcessState, &p.out, &p.errOut)
			}
		}
	}
}

// An answer that is not a list ends the call with an error.
func TestListGarbage(t *testing.T) {
	path := serve(t, func(c *door.Call, r door.Request) {
		for range 1 << 20 { // until the reader has ended
			if _, err := c.Output.Write(bytes.Repeat([]byte("garbage\n"), 1<<10)); err != nil {
				c.Fail(&door.Error{Code: door.CodeWrite, Message: err.Error()})
				return
			}
		}
		t.Error("garbage is read to its end")
	})
	start(t, path, nil, "keys").ends(1, "", "error: memcached did not answer with a list of its items\n")
}

// If its reader ends, the client ends without a message.
func TestInspectHead(t *testing.T) {
	var c cache
	for i := range 50_000 {
		c = append(c, kept(fmt.Sprintf("%d:", i), "v"))
	}
	path, file := c.serve(t, nil), cache{}.dumped(t, nil)
	for _, args := range []string{"keys --limit 0", "top --limit 50000", "diff " + file, "diff --json " + file} {
		p := start(t, path, func(cmd *exec.Cmd) { inShell(t, cmd, "client "+args+" | head -n 1 >/dev/null") })
		p.ends(0, "", "")
	}
}

// Differences are printed while the cache is read; a signal ends it.
func TestDiffInterruptedWhileListing(t *testing.T) {
	var c cache
	for i := range 2000 { // more than the output's buffer
		c = append(c, kept(fmt.Sprintf("key%d", i), "v"))
	}
	text, err := os.ReadFile(c.dumped(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	path, called := slow(t, string(text))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := start(t, path, func(c *exec.Cmd) { c.Stdout = w }, "diff", cache{}.dumped(t, nil))
	w.Close()
	take(t, called)
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	line := make([]byte, len("+ key0\n"))
	if _, err := r.Read(line); err != nil || string(line) != "+ key0\n" {
		t.Errorf("%q, %v", line, err)
	}
	p.signal(os.Interrupt)
	p.ends(130, "", "")
}

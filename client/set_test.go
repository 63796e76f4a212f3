package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// setting serves a door that takes a value.
func setting(t *testing.T, load door.Load) (path string, requests <-chan door.Request, rows <-chan string) {
	all, texts := make(chan door.Request, 1), make(chan string, 1)
	return serve(t, func(c *door.Call, req door.Request) {
		if req.Op == door.OpStatus {
			c.Finish(door.Reply{Status: &door.Status{ItemSizeMax: 1024}})
			return
		}
		row, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		all <- req
		texts <- string(row)
		load.Engine = door.EngineNative
		c.Finish(door.Reply{Load: &load})
	}), all, texts
}

// TestSetRequest: the row and the options with which it is stored.
func TestSetRequest(t *testing.T) {
	path, requests, rows := setting(t, door.Load{Rows: 1, Stored: 1})
	for _, test := range []struct {
		args, row string
		want      door.Rows
	}{
		{"key", "ms key 6\r\n\x00\r\nmn\n\r\n", door.Rows{}},
		{"key --ttl 1h --flags 7 --mode add", "ms key 6\r\n\x00\r\nmn\n\r\n", door.Rows{TTL: 3600, Flags: 7, Mode: "add"}},
		{"ключ --flags-for php-json", "ms ключ 6\r\n\x00\r\nmn\n\r\n", door.Rows{Flags: 6, ValueType: "json"}},
		{"--base64 AAo=", "ms AAo= 6 b\r\n\x00\r\nmn\n\r\n", door.Rows{}},
	} {
		p := runWith(t, path, "\x00\r\nmn\n", append([]string{"set"}, strings.Fields(test.args)...)...)
		test.want.Format = "memcached"
		if got := take(t, requests); got != (door.Request{Version: door.Protocol, Op: door.OpLoad, Rows: test.want}) {
			t.Errorf("%s: %+v", test.args, got)
		}
		if row := take(t, rows); row != test.row {
			t.Errorf("%s: %q", test.args, row)
		}
		if p.Wait(); p.ProcessState.ExitCode() != 0 || !strings.HasSuffix(p.out.String(), ": 6 B stored (0.00 s, native)\n") || p.errOut.Len() > 0 {
			t.Errorf("%s: %s%s", test.args, p.out.String(), p.errOut.String())
		}
	}
}

// TestSetRefused: no row of a value that is too large is passed; a client that waits for its value can be interrupted.
func TestSetRefused(t *testing.T) {
	path, requests, _ := setting(t, door.Load{Rows: 1, Stored: 1})
	const says = "error: not stored: standard input has more bytes than memcached's largest item, 1024 (-I)\n"
	runWith(t, path, strings.Repeat("v", 1025), "set", "key").ends(3, "", says)
	endless := start(t, path, func(c *exec.Cmd) { inShell(t, c, "yes | client set key") }, "set")
	endless.ends(3, "", says)
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = in }, "set", "key")
	p.reaches(syscall.SYS_READ)
	p.signal(syscall.SIGINT)
	p.ends(130, "", "")
	if len(requests) > 0 {
		t.Errorf("%+v", take(t, requests))
	}
}

// TestSetOutcome: what became of the value.
func TestSetOutcome(t *testing.T) {
	for name, test := range map[string]struct {
		load   door.Load
		status int
		err    string
	}{
		"exists":   {door.Load{Rows: 1, Skipped: 1, Reasons: map[string]uint64{"key exists": 1}}, 3, "error: not stored: key exists (key \"k\\n\")\n"},
		"rejected": {door.Load{Rows: 1, Rejected: 1, Reasons: map[string]uint64{"not it": 1}, Rejects: []door.Reject{{Reason: "not it", Detail: "7"}}}, 3, "error: not stored: not it: 7 (key \"k\\n\")\n"},
		"unread":   {door.Load{}, 3, "error: not stored: memcached does not say why (key \"k\\n\")\n"},
		"canceled": {door.Load{Canceled: true}, 1, "error: memcached ended the load before its input did\nhint: see what memcached says on its standard error, then load again\n"},
		"wrong":    {door.Load{Rows: 2, Stored: 1}, 1, "error: the counts do not add up: 2 rows read, but 1 stored, 0 rejected and 0 skipped\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _, _ := setting(t, test.load)
			runWith(t, path, "v", "set", "k\n").ends(test.status, "", test.err)
		})
	}
}

package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// writing serves a door that writes a text into the target of a dump, and answers.
func writing(t *testing.T, text string, reply door.Reply) (path string, requests <-chan door.Request) {
	all := make(chan door.Request, 16)
	return serve(t, func(c *door.Call, req door.Request) {
		all <- req
		if _, err := io.WriteString(c.Output, text); err != nil {
			t.Errorf("writing the dump: %v", err)
		}
		if err := c.Finish(reply); err != nil {
			t.Errorf("Finish: %v", err)
		}
	}), all
}

const (
	dumpText    = "ms k 1 O00000000 q\r\nv\r\nmn\r\n"
	dumpedLine  = "7 items met: 5 written, 2 filtered, 0 lost (29 B in 0.50 s, 14 items/s, native)\n"
	failedLine  = "7 items met: 2 written, 2 filtered, 0 lost, 3 unwritten (29 B in 0.50 s, 14 items/s, native)\n"
	removedLine = "7 items met: 0 written, 2 filtered, 0 lost, 5 unwritten (0 B in 0.50 s, 14 items/s, native)\n"
	partlyLine  = "7 items met: 5 written, 0 filtered, 2 lost (29 B in 0.50 s, 14 items/s, native)\n"
	nothingLine = "0 items met: 0 written, 0 filtered, 0 lost (0 B in 0.00 s, native)"
)

var (
	whole  = door.Dump{Items: 7, Written: 5, Filtered: 2, Bytes: 29, Part: 1, Seconds: 0.5, Engine: door.EngineNative}
	failed = door.Dump{Items: 7, Written: 2, Filtered: 2, Unwritten: 3, Bytes: 29, Seconds: 0.5, Engine: door.EngineNative}
	partly = door.Dump{Items: 7, Written: 5, Lost: 2, Keys: []string{`"a"`, `"b\n"`}, Bytes: 29, Part: 1, Seconds: 0.5, Engine: door.EngineNative}
)

// TestDumpRequest: the request that the options make.
func TestDumpRequest(t *testing.T) {
	path, requests := writing(t, dumpText, door.Reply{Dump: &whole})
	for _, test := range []struct {
		args []string
		want door.Request
	}{
		{nil, door.Request{}},
		{[]string{"--format=jsonl", "--prefix=user:", "--match=*:?", "--min-ttl=10m", "--keys-only", "--progress=json"},
			door.Request{Items: door.Items{Format: "jsonl", KeysOnly: true}, Filter: door.Filter{Prefix: "user:", Match: "*:?", MinTTL: 600}, Progress: true}},
		{[]string{"--regex=^u", "--min-size=2k", "--older-than=1h", "--never-expires"},
			door.Request{Filter: door.Filter{Regex: "^u", MinSize: 2000, OlderThan: 3600, NeverExpires: true}}},
	} {
		p := start(t, path, nil, append([]string{"dump"}, test.args...)...)
		p.Wait()
		test.want.Version, test.want.Op = door.Protocol, door.OpDump
		if got := take(t, requests); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.args, got, test.want)
		}
	}
}

// TestDumpOutcome: what is printed, and whether the file stays.
func TestDumpOutcome(t *testing.T) {
	failure := func(message string, d *door.Dump) door.Reply {
		return door.Reply{Error: &door.Error{Code: door.CodeWrite, Message: message, Hint: "a hint", Dump: d}}
	}
	canceled := whole
	canceled.Canceled = true
	unmarked := whole
	unmarked.Unmarked = 1
	wrong := whole
	wrong.Items++
	for name, test := range map[string]struct {
		reply      door.Reply
		status     int
		line, says string
		stays      bool // the file that was there
	}{
		"whole":    {door.Reply{Dump: &whole}, 0, dumpedLine, "", false},
		"unmarked": {door.Reply{Dump: &unmarked}, 0, strings.TrimSuffix(dumpedLine, "\n") + "; 1 of them stale or won, which the format cannot say\n", "", false},
		"lost":     {door.Reply{Dump: &partly}, 3, partlyLine, "lost: \"a\"\nlost: \"b\\n\"\n", false},
		"failed":   {failure("write: no space left on device", &failed), 1, failedLine, "error: TARGET: write: no space left on device\nhint: a hint\n", true},
		"refused":  {door.Reply{Error: &door.Error{Code: door.CodeRequest, Message: "no such format"}}, exitUsage, "", "error: no such format\n", true},
		"unsaid":   {door.Reply{Dump: &failed}, 1, failedLine, "error: the counts do not add up: the dump is complete, without 3 items that were met\n", true},
		"canceled": {door.Reply{Dump: &canceled}, 1, dumpedLine, "error: memcached ended the dump before its end\n", true},
		"wrong":    {door.Reply{Dump: &wrong}, 1, "8 items met", "error: the counts do not add up: 8 items met, but 5 written, 2 filtered, 0 lost and 0 unwritten\n", true},
		"no dump":  {door.Reply{Load: &door.Load{}}, 1, "", "error: memcached answered a dump with \"result\"\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := writing(t, dumpText, test.reply)
			dir := t.TempDir()
			file := filepath.Join(dir, "dump")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, path, nil, "dump", file)
			p.Wait()
			line := test.line
			if test.stays && strings.HasPrefix(line, "7 ") {
				line = removedLine // it is removed
			}
			says := strings.ReplaceAll(test.says, "TARGET", file)
			if got := p.ProcessState.ExitCode(); got != test.status || !strings.HasPrefix(p.out.String(), line) || p.errOut.String() != says {
				t.Errorf("to a file: status %d, %q, %q", got, p.out.String(), p.errOut.String())
			}
			want := dumpText
			if test.stays {
				want = "before"
			}
			left, err := os.ReadDir(dir)
			if got, _ := os.ReadFile(file); string(got) != want || err != nil || len(left) != 1 {
				t.Errorf("the file is %q, among %v, %v", got, left, err)
			}
			p = start(t, path, nil, "dump")
			p.Wait()
			if got := p.ProcessState.ExitCode(); got != test.status || p.out.String() != dumpText || !strings.Contains(p.errOut.String(), test.line) || !strings.Contains(p.errOut.String(), strings.ReplaceAll(test.says, "TARGET", "standard output")) {
				t.Errorf("to standard output: status %d, %q, %q", got, p.out.String(), p.errOut.String())
			}
		})
	}
}

// TestDumpUnsynced: if fsync fails, no item counts as written. Linux has no fsync for files of /proc.
func TestDumpUnsynced(t *testing.T) {
	path, _ := writing(t, "client.test", door.Reply{Dump: &whole})
	file, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := start(t, path, func(c *exec.Cmd) { c.Stdout = file }, "dump")
	p.ends(1, "", removedLine+"error: standard output: invalid argument\n")
}

// TestDumpLost: memcached ends before it answers.
func TestDumpLost(t *testing.T) {
	path := serve(t, func(*door.Call, door.Request) {})
	file := filepath.Join(t.TempDir(), "dump")
	start(t, path, nil, "dump", file).ends(1, "", "error: memcached went away during the dump\nhint: see what memcached says on its standard error\n")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
}

// TestDumpJSON: the outcome as a document, not in the stream of the dump.
func TestDumpJSON(t *testing.T) {
	path, _ := writing(t, dumpText, door.Reply{Dump: &partly})
	p := start(t, path, nil, "--json", "dump")
	p.Wait()
	var got dumpDocument
	if err := json.Unmarshal(p.errOut.Bytes(), &got); err != nil || !reflect.DeepEqual(got, dumpDocument{Dump: &partly}) {
		t.Errorf("%s, %v", p.errOut.String(), err)
	}
	if p.out.String() != dumpText || p.ProcessState.ExitCode() != 3 {
		t.Errorf("status %d, %q", p.ProcessState.ExitCode(), p.out.String())
	}
}

// TestDumpSignal: an interrupted dump reports its counts, also if its target is a device.
func TestDumpSignal(t *testing.T) {
	called := make(chan struct{}, 1)
	path := serve(t, func(c *door.Call, _ door.Request) {
		called <- struct{}{}
		if _, err := c.Wait(false, -1, -1); err != nil {
			t.Errorf("Wait: %v", err)
		}
		c.Finish(door.Reply{Dump: &door.Dump{Engine: door.EngineNative, Canceled: true}})
	})
	for _, file := range []string{filepath.Join(t.TempDir(), "dump"), "/dev/null"} {
		p := start(t, path, nil, "dump", file)
		take(t, called)
		p.signal(syscall.SIGINT)
		p.ends(130, nothingLine+", interrupted\n", "")
	}
}

// TestDumpTerminal: a dump to a file has a progress line; a dump to the terminal has none, and the client writes it.
func TestDumpTerminal(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	path := serve(t, func(c *door.Call, req door.Request) {
		if req.Progress != (req.Items.Format == "jsonl") {
			t.Errorf("progress was asked for: %t", req.Progress)
		}
		if req.Progress {
			c.Progress(door.Reply{Dump: &door.Dump{Items: 500, Written: 500, Bytes: 80, Part: 0.25, Seconds: 2}})
			<-end
		}
		io.WriteString(c.Output, "key:1\nkey:2\n")
		c.Finish(door.Reply{Dump: &whole})
	})
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("clear; client dump --format jsonl " + filepath.Join(t.TempDir(), "dump"))
	term.becomes("500 items, 25%, ETA 0:06, 250 items/s, 0:02 elapsed")
	end <- struct{}{}
	term.becomes(dumpedLine + "$")
	term.run("clear; client dump --keys-only")
	term.becomes("key:1\nkey:2\n" + dumpedLine + "$")
}

// TestRestore: the request, and the error for a truncated dump.
func TestRestore(t *testing.T) {
	requests := make(chan door.Request, 2)
	path := serve(t, func(c *door.Call, req door.Request) {
		requests <- req
		io.Copy(io.Discard, c.Input)
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1, Bytes: 25, Seconds: 1, Incomplete: true}})
	})
	const (
		line = "1 item read: 1 stored, 0 rejected, 0 skipped (25 B in 1.00 s, 1 items/s)\n"
		says = "error: the dump is not complete: what is there of it is stored, its end is missing\nhint: take another dump; it is complete when its last line is mn\n"
	)
	runWith(t, path, dumpText, "restore").ends(1, line, says)
	if got := take(t, requests); got != (door.Request{Version: door.Protocol, Op: door.OpLoad, Rows: door.Rows{Format: "dump"}}) {
		t.Errorf("%+v", got)
	}
	file := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, []byte(dumpText), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, path, nil, "restore", "--mode=add", "--max-errors=5%", "--resume", "--rate=10", "--gentle", file).ends(1, line, says)
	if got := take(t, requests); got != (door.Request{Version: door.Protocol, Op: door.OpLoad, Rows: door.Rows{Format: "dump", Mode: "add"}, Limits: door.Limits{MaxErrors: "5%", Rate: 10, Gentle: true}, Resume: true}) {
		t.Errorf("%+v", got)
	}
}

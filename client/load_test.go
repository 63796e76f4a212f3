package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

const noTab = "no tab between key and value"

func TestLoad(t *testing.T) {
	requests, contents := make(chan door.Request, 1), make(chan string, 1)
	path := serve(t, func(c *door.Call, req door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		requests <- req
		contents <- string(data)
		c.Finish(door.Reply{Load: &door.Load{Rows: 14, Stored: 14, Bytes: 1234, Seconds: 0.01}})
	})
	const content = "user_1\tTrond\nuser_2\tbla\n"
	file := filepath.Join(t.TempDir(), "rows.tsv")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := door.Request{Version: 1, Op: "load"}
	columns := plain
	columns.Rows.Format = "tsv" // from the file extension
	for _, test := range []struct {
		name string
		args []string
		want door.Request
	}{
		{"no arguments", nil, plain},
		{"load", []string{"load"}, plain},
		{"load -", []string{"load", "-"}, plain},
		{"file", []string{"load", file}, columns},
		{"file without load", []string{file}, columns},
		{"door", []string{"--door", path}, plain},
		{"options", []string{"--ttl", "30d", "--flags", "4294967295", "--mode", "add", "--rate", "5000", "--gentle", "--detach"},
			door.Request{Version: 1, Op: "load", Rows: door.Rows{TTL: 2592000, Flags: 1<<32 - 1, Mode: "add"}, Limits: door.Limits{Rate: 5000, Gentle: true}, Detach: true}},
		{"options of load", []string{"load", "--ttl=90", "--mode=replace", "-"},
			door.Request{Version: 1, Op: "load", Rows: door.Rows{TTL: 90, Mode: "replace"}}},
		{"options of rows", []string{"--from=csv", "--null=skip", "--header", "--key=user:{id}", "--value=json", "--ttl-column=t",
			"--expires-column=5", "--flags-column=f", "--max-errors=5%"},
			door.Request{Version: 1, Op: "load", Rows: door.Rows{Format: "csv", Null: "skip", Header: true, Key: "user:{id}", Value: "json", TTLColumn: "t", ExpiresColumn: "5", FlagsColumn: "f"}, Limits: door.Limits{MaxErrors: "5%"}}},
		{"no progress", []string{"-", "--progress=none"}, plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			at := path
			if test.args != nil && test.args[0] == "--door" {
				at = "/nowhere"
			}
			runWith(t, at, content, test.args...).ends(0,
				"14 rows read: 14 stored, 0 rejected, 0 skipped (1.2 kB in 0.01 s, 1400 rows/s)\n", "")
			if got := take(t, requests); got != test.want {
				t.Errorf("request is %+v, want %+v", got, test.want)
			}
			if got := take(t, contents); got != content {
				t.Errorf("the input was %q", got)
			}
		})
	}
}

// TestFormat: the format is that of --from, else it follows from the file extension.
func TestFormat(t *testing.T) {
	formats := make(chan record.Format, 1)
	path := serve(t, func(c *door.Call, req door.Request) {
		formats <- req.Rows.Format
		c.Finish(door.Reply{Load: &door.Load{Bytes: 1}})
	})
	dir := t.TempDir()
	for name, want := range map[string]string{
		"a.csv": "csv", "a.CSV": "csv", "a.tsv": "tsv", "a.json": "jsonl", "a.jsonl": "jsonl", "a.ndjson": "jsonl",
		"a.memcached": "memcached", "a.txt": "", "csv": "", "a.csv.bak": "",
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"", "mysql"} {
			args := []string{file}
			if from != "" {
				args, want = append(args, "--from", from), from
			}
			start(t, path, nil, args...).ends(0, "0 rows read: 0 stored, 0 rejected, 0 skipped (1 B in 0.00 s)\n", "")
			if got := take(t, formats); string(got) != want {
				t.Errorf("%s: the format is %q, want %q", args, got, want)
			}
		}
	}
}

// rejects makes n rejected rows, at most as many as a result lists.
func rejects(n int) []door.Reject {
	var list []door.Reject
	for i := range min(n, door.MaxRejects) {
		list = append(list, door.Reject{Line: uint64(i + 3), Reason: noTab})
	}
	return list
}

func lines(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "line %d: %s\n", i+3, noTab)
	}
	return s.String()
}

func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		name   string
		reply  door.Reply
		status int
		out    string
		err    string
	}{
		{
			name:  "nothing",
			reply: door.Reply{Load: &door.Load{Bytes: 1}},
			out:   "0 rows read: 0 stored, 0 rejected, 0 skipped (1 B in 0.00 s)\n",
		},
		{
			name:  "one row",
			reply: door.Reply{Load: &door.Load{Rows: 1, Stored: 1, Bytes: 4, Seconds: 1}},
			out:   "1 row read: 1 stored, 0 rejected, 0 skipped (4 B in 1.00 s, 1 rows/s)\n",
		},
		{
			name: "rejected",
			reply: door.Reply{Load: &door.Load{Rows: 5, Stored: 3, Rejected: 2, Rejects: []door.Reject{
				{Line: 3, Reason: noTab},
				{Line: 5, Reason: "key is longer than 250 bytes", Key: `"aaa\x1b"`},
			}, Reasons: map[string]uint64{noTab: 1, "key is longer than 250 bytes": 1}}},
			status: 3,
			out:    "5 rows read: 3 stored, 2 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    "line 3: no tab between key and value\nline 5: key is longer than 250 bytes (key \"aaa\\x1b\")\n",
		},
		{
			name: "many rejected",
			reply: door.Reply{Load: &door.Load{Rows: 20, Stored: 5, Rejected: 15, Rejects: rejects(15),
				Reasons: map[string]uint64{noTab: 12, "empty key": 1, "a space in the key": 2}}},
			status: 3,
			out:    "20 rows read: 5 stored, 15 rejected, 0 skipped (0 B in 0.00 s)\n",
			err: lines(10) + "... and 5 more\n12 rows: no tab between key and value\n" +
				"2 rows: a space in the key\n1 row: empty key\nhint: " + hintFormat + "\n",
		},
		{
			name:  "skipped",
			reply: door.Reply{Load: &door.Load{Rows: 5, Stored: 3, Skipped: 2, Reasons: map[string]uint64{"key exists": 2}}},
			out:   "5 rows read: 3 stored, 0 rejected, 2 skipped (0 B in 0.00 s)\n",
			err:   "2 rows: key exists\n",
		},
		{
			name:   "a row unaccounted for",
			reply:  door.Reply{Load: &door.Load{Rows: 5, Stored: 3, Rejected: 1, Rejects: rejects(1)}},
			status: 1,
			out:    "5 rows read: 3 stored, 1 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    lines(1) + "error: the counts do not add up: 5 rows read, but 3 stored, 1 rejected and 0 skipped\n",
		},
		{
			name:   "ended by memcached",
			reply:  door.Reply{Load: &door.Load{Rows: 5, Stored: 5, Canceled: true}},
			status: 1,
			out:    "5 rows read: 5 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n",
			err: "error: memcached ended the load before its input did\n" +
				"hint: see what memcached says on its standard error, then load again\n",
		},
		{
			name:   "unsupported host",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeHost, Message: "memcached 9.9 is not known", Hint: "see the list"}},
			status: 11,
			err:    "error: memcached 9.9 is not known\nhint: see the list\n",
		},
		{
			name:   "refused request",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeRequest, Message: `there is no format "xml"`, Hint: "the formats are raw, csv"}},
			status: 80,
			err:    "error: there is no format \"xml\"\nhint: the formats are raw, csv\n",
		},
		{
			name:   "header that does not fit",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeRequest, Message: "no column is id", Load: &door.Load{Rows: 2, Stored: 2}}},
			status: 80,
			out:    "2 rows read: 2 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    "error: no column is id\n",
		},
		{
			name: "too many rejected",
			reply: door.Reply{Load: &door.Load{Rows: 5, Stored: 3, Rejected: 2, Limited: true, Rejects: rejects(2),
				Reasons: map[string]uint64{noTab: 2}}},
			status: 4,
			out:    "5 rows read: 3 stored, 2 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    lines(2) + "error: more rows were rejected than --max-errors allows: the load has ended before its input\n",
		},
		{
			name:   "rejects that cannot be written",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeWrite, Message: "write: no space left on device", Load: &door.Load{Rows: 1, Stored: 1}}},
			status: 1,
			out:    "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    "error: write: no space left on device\n",
		},
		{
			name:   "old library",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeVersion, Message: "this library speaks version 0", Hint: "restart memcached"}},
			status: 1,
			err:    "error: this library speaks version 0\nhint: restart memcached\n",
		},
		{
			name:   "failed in mid-load",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeRead, Message: "read: input/output error", Load: &door.Load{Rows: 2, Stored: 2}}},
			status: 1,
			out:    "2 rows read: 2 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    "error: standard input: read: input/output error\n",
		},
		{
			name:   "failed in mid-load with rejects",
			reply:  door.Reply{Error: &door.Error{Code: door.CodeHost, Message: "no", Load: &door.Load{Rows: 2, Stored: 1, Rejected: 1, Rejects: rejects(1)}}},
			status: 11,
			out:    "2 rows read: 1 stored, 1 rejected, 0 skipped (0 B in 0.00 s)\n",
			err:    lines(1) + "error: no\n",
		},
		{
			name:   "an answer to something else",
			reply:  door.Reply{Status: &door.Status{}},
			status: 1,
			err:    "error: memcached answered a load with \"status\"\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			runWith(t, answering(t, test.reply), "a\t1\n").ends(test.status, test.out, test.err)
		})
	}
}

func TestLost(t *testing.T) {
	path := serve(t, func(*door.Call, door.Request) {})
	runWith(t, path, "a\t1\n").ends(1, "", "error: memcached went away; what was stored before is in an unknown state\n"+
		"hint: see what memcached says on its standard error, then load again\n")
	runWith(t, path, "", "status").ends(1, "", "error: memcached went away before it answered\n"+
		"hint: see what memcached says on its standard error\n")
}

// files makes files with these numbers of rows, and serves a door that stores the rows
// with a tab.
func files(t *testing.T, contents map[string]string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, serve(t, func(c *door.Call, _ door.Request) {
		data, _ := io.ReadAll(c.Input)
		l := &door.Load{Bytes: uint64(len(data))}
		for row := range strings.Lines(string(data)) {
			l.Rows++
			switch {
			case strings.Contains(row, "\t"):
				l.Stored++
			case row == "fail\n":
				l.Rows--
				c.Finish(door.Reply{Error: &door.Error{Code: door.CodeRead, Message: "out of luck", Load: l}})
				return
			default:
				l.Rejected++
				if len(l.Rejects) < door.MaxRejects {
					l.Rejects = append(l.Rejects, door.Reject{Line: l.Rows, Reason: noTab})
				}
				l.Reasons = map[string]uint64{noTab: l.Rejected}
			}
		}
		c.Finish(door.Reply{Load: l})
	})
}

func in(dir string) func(*exec.Cmd) { return func(c *exec.Cmd) { c.Dir = dir } }

func TestSeveralFiles(t *testing.T) {
	dir, path := files(t, map[string]string{
		"a.tsv": "a\t1\nb\t2\n",
		"b.tsv": "c\t3\nd\n" + strings.Repeat("e\n", 7),
		"c.tsv": "f\n\ng\t4\n" + strings.Repeat("h\n", 3),
		"fail":  "x\t1\nfail\n",
	})
	var bad strings.Builder
	for i := range 8 {
		fmt.Fprintf(&bad, "b.tsv:%d: %s\n", i+2, noTab)
	}
	start(t, path, in(dir), "a.tsv", "b.tsv").ends(3, "11 rows read: 3 stored, 8 rejected, 0 skipped (28 B in 0.00 s)\n", bad.String()+"hint: "+hintFormat+"\n")
	start(t, path, in(dir), "load", "a.tsv", "b.tsv", "c.tsv").ends(3, "17 rows read: 4 stored, 13 rejected, 0 skipped (41 B in 0.00 s)\n",
		bad.String()+"c.tsv:1: "+noTab+"\nc.tsv:2: "+noTab+"\n... and 3 more\n13 rows: "+noTab+"\nhint: "+hintFormat+"\n")
	// After a failure no file is sent.
	start(t, path, in(dir), "a.tsv", "fail", "b.tsv").ends(1, "3 rows read: 3 stored, 0 rejected, 0 skipped (17 B in 0.00 s)\n",
		"error: fail: out of luck\n")
	// A missing file is an error before any file is sent.
	start(t, path, in(dir), "a.tsv", "missing.tsv").ends(1, "", "error: missing.tsv: no such file or directory\n")
}

func TestJSON(t *testing.T) {
	dir, path := files(t, map[string]string{"a.tsv": "a\t1\nb\n", "b.tsv": "c\t3\n", "fail": "x\t1\nfail\n"})
	check := func(p *process, status int, errOut string, want document) {
		t.Helper()
		p.Wait()
		if got := p.ProcessState.ExitCode(); got != status || p.errOut.String() != errOut {
			t.Errorf("exit status %d, standard error %q; want %d, %q", got, p.errOut.String(), status, errOut)
		}
		var got document
		dec := json.NewDecoder(&p.out)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil || dec.More() {
			t.Fatalf("not one document: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	a := door.Load{Rows: 2, Stored: 1, Rejected: 1, Bytes: 6, Reasons: map[string]uint64{noTab: 1}, Rejects: []door.Reject{{Line: 2, Reason: noTab}}}
	b := door.Load{Rows: 1, Stored: 1, Bytes: 4}
	failed := door.Load{Rows: 1, Stored: 1, Bytes: 9}
	check(start(t, path, in(dir), "--json", "a.tsv"), 3, "", document{Load: a})
	check(start(t, path, in(dir), "--json", "b.tsv"), 0, "", document{Load: b})
	check(start(t, path, in(dir), "--json", "a.tsv", "b.tsv"), 3, "", document{
		Load:  door.Load{Rows: 3, Stored: 2, Rejected: 1, Bytes: 10, Reasons: map[string]uint64{noTab: 1}},
		Files: []fileLoad{{File: "a.tsv", Load: a}, {File: "b.tsv", Load: b}},
	})
	check(start(t, path, in(dir), "--json", "fail"), 1, "error: fail: out of luck\n", document{Load: failed, Error: "fail: out of luck"})
}

func TestOutputFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	path := answering(t, door.Reply{Load: &door.Load{Rows: 1, Rejected: 1}})
	status := answering(t, door.Reply{Status: &door.Status{}})
	toFull := func(c *exec.Cmd) { c.Stdout = full }
	const message = "error: standard output: no space left on device\n"
	start(t, path, toFull, "--json").ends(1, "", message)
	start(t, path, toFull).ends(1, "", "... and 1 more\n"+message)
	start(t, status, toFull, "status").ends(1, "", message)
	start(t, status, toFull, "status", "--json").ends(1, "", message)
}

func TestSize(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234: "1.2 kB", 999949: "999.9 kB", 999950: "1.0 MB",
		123456789: "123.5 MB", 1e12: "1.0 TB", 1<<64 - 1: "18.4 EB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}

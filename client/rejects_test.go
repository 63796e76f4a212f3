package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

// rejecting serves a door that rejects every row "bad\n".
func rejecting(t *testing.T) string {
	return serve(t, func(c *door.Call, req door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil || !req.Rejects || c.Rejects == nil || c.Reasons == nil {
			t.Errorf("read: %v; request: %+v", err, req)
		}
		l := &door.Load{Rows: 1, Stored: 1}
		if string(data) == "bad\n" {
			l = &door.Load{Rows: 1, Rejected: 1, Rejects: rejects(1)}
			if _, err := c.Rejects.Write(data); err != nil {
				t.Error(err)
			}
			if _, err := c.Reasons.Write([]byte("1\t1\t" + noTab + "\t\n")); err != nil {
				t.Error(err)
			}
		}
		c.Finish(door.Reply{Load: l})
	})
}

// TestRejects: empty files are removed.
func TestRejects(t *testing.T) {
	dir, path := t.TempDir(), rejecting(t)
	for name, content := range map[string]string{"good": "a\t1\n", "bad": "bad\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for _, name := range []string{"r", "r.log"} {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				got[name] = string(data)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
	}
	start(t, path, in(dir), "--rejects", "r", "good").ends(0, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", "")
	has(nil)
	// The rejects of both files are in one file.
	twice := map[string]string{"r": "bad\nbad\n", "r.log": "1\t1\t" + noTab + "\t\n1\t1\t" + noTab + "\t\n"}
	start(t, path, in(dir), "--rejects", "r", "bad", "good", "bad").ends(3, "3 rows read: 1 stored, 2 rejected, 0 skipped (0 B in 0.00 s)\n",
		"bad:3: "+noTab+"\nbad:3: "+noTab+"\n")
	has(twice)
	// A file that is not empty is not written.
	const hint = "hint: it is not empty: name another file, or remove it\n"
	start(t, path, in(dir), "--rejects", "r", "bad").ends(1, "", "error: r: file already exists\n"+hint)
	has(twice)
	if err := os.Remove(filepath.Join(dir, "r")); err != nil {
		t.Fatal(err)
	}
	start(t, path, in(dir), "--rejects", "r", "bad").ends(1, "", "error: r.log: file already exists\n"+hint)
	has(map[string]string{"r.log": twice["r.log"]})
	// Nor is the input.
	start(t, path, in(dir), "--rejects", "bad", "bad").ends(1, "", "error: bad: file already exists\n"+hint)
	// An empty file is.
	if err := os.Truncate(filepath.Join(dir, "r.log"), 0); err != nil {
		t.Fatal(err)
	}
	start(t, path, in(dir), "--rejects", "r", "bad").ends(3, "1 row read: 0 stored, 1 rejected, 0 skipped (0 B in 0.00 s)\n", lines(1))
	has(map[string]string{"r": "bad\n", "r.log": "1\t1\t" + noTab + "\t\n"})
}

// TestRejectsNotFiles: what is not a regular file is an error before a door is dialed.
func TestRejectsNotFiles(t *testing.T) {
	dir := t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "rows"), []byte("a\t1\n"), 0o600)
	if err := errors.Join(err, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fifo":      "is not a regular file",
		".":         "is not a regular file",
		"/dev/null": "is not a regular file",
		"nowhere/r": "no such file or directory",
		"rows/r":    "not a directory",
	} {
		start(t, "/nowhere", in(dir), "--rejects", name, "rows").ends(1, "", "error: "+name+": "+want+"\n")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(left, []string{filepath.Join(dir, "fifo"), filepath.Join(dir, "rows")}) {
		t.Errorf("there are %q, %v", left, err)
	}
}

// TestRejectsKept: while a load continues without its client, memcached writes to the files.
func TestRejectsKept(t *testing.T) {
	for _, test := range []struct {
		args []string
		kept bool
	}{{[]string{"--detach"}, true}, {nil, false}} {
		called, ended := make(chan struct{}), make(chan struct{})
		path := serve(t, func(c *door.Call, _ door.Request) {
			close(called)
			if test.kept {
				<-ended
				return
			}
			if _, err := c.Wait(false, -1, -1); err != nil {
				t.Errorf("Wait: %v", err)
			}
			c.Finish(door.Reply{Load: &door.Load{Canceled: true}})
		})
		dir := t.TempDir()
		p := start(t, path, func(c *exec.Cmd) { stalled(t)(c); c.Dir = dir }, append(test.args, "--rejects", "r")...)
		take(t, called)
		p.signal(os.Interrupt)
		p.Wait()
		close(ended)
		for _, name := range []string{"r", "r.log"} {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != test.kept {
				t.Errorf("%v: %s: %v", test.args, name, err)
			}
		}
	}
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// TestProgressEvents: one event a line on standard error, and a result for each file.
func TestProgressEvents(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a.csv": "a,1\n", "b.csv": "b,2\nc\n", "fail": "x\t1\ny\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := serve(t, func(c *door.Call, req door.Request) {
		if !req.Progress {
			t.Error("progress was not asked for")
		}
		c.Progress(door.Reply{Load: &door.Load{Rows: 1, Stored: 1, Bytes: 4, Seconds: 0.25}})
		if req.Rows.Format == "" {
			c.Finish(door.Reply{Error: &door.Error{Code: door.CodeRead, Message: "out of luck", Load: &door.Load{Rows: 1, Stored: 1, Bytes: 4, Seconds: 0.5}}})
			return
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 2, Stored: 1, Skipped: 1, Bytes: 6, Seconds: 0.5}})
	})
	const (
		sofar  = `{"event":"progress","file":"%s","rows":1,"stored":1,"rejected":0,"skipped":0,"bytes":4,%s"seconds":0.25}` + "\n"
		ended  = `{"event":"result","file":"%s","rows":2,"stored":1,"rejected":0,"skipped":1,"bytes":6,%s"seconds":0.5}` + "\n"
		failed = `{"event":"result","file":"%s","rows":1,"stored":1,"rejected":0,"skipped":0,"bytes":4,%s"seconds":0.5}` + "\n"
	)
	start(t, path, in(dir), "--progress", "json", "a.csv", "b.csv").ends(0, "4 rows read: 2 stored, 0 rejected, 2 skipped (12 B in 1.00 s, 4 rows/s)\n",
		fmt.Sprintf(sofar, "a.csv", `"size":4,`)+fmt.Sprintf(ended, "a.csv", `"size":4,`)+
			fmt.Sprintf(sofar, "b.csv", `"size":6,`)+fmt.Sprintf(ended, "b.csv", `"size":6,`))
	// The size of a pipe's content is unknown.
	runWith(t, path, "a,1\n", "--progress", "json", "--from", "csv").ends(0, "2 rows read: 1 stored, 0 rejected, 1 skipped (6 B in 0.50 s, 4 rows/s)\n",
		fmt.Sprintf(sofar, "standard input", "")+fmt.Sprintf(ended, "standard input", ""))
	start(t, path, in(dir), "--progress", "json", "fail").ends(1, "1 row read: 1 stored, 0 rejected, 0 skipped (4 B in 0.50 s, 2 rows/s)\n",
		fmt.Sprintf(sofar, "fail", `"size":6,`)+fmt.Sprintf(failed, "fail", `"size":6,`)+"error: fail: out of luck\n")
}

// TestProgressEventsInterrupted: there is no event between the signal and the result, and
// a second signal ends the client in spite of more progress.
func TestProgressEventsInterrupted(t *testing.T) {
	told, canceled, finishes := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	path := serve(t, func(c *door.Call, _ door.Request) {
		told <- struct{}{}
		if _, err := c.Wait(false, -1, -1); err != nil {
			t.Errorf("Wait: %v", err)
		}
		for range 3 {
			c.Progress(door.Reply{Load: &halfway})
		}
		canceled <- struct{}{}
		if !<-finishes {
			<-canceled
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 3, Stored: 3, Canceled: true}})
	})
	finishes <- true
	p := start(t, path, stalled(t), "--progress", "json")
	take(t, told)
	p.signal(os.Interrupt)
	take(t, canceled)
	p.ends(130, "3 rows read: 3 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n",
		`{"event":"result","file":"standard input","rows":3,"stored":3,"rejected":0,"skipped":0,"bytes":0,"seconds":0}`+"\n")

	finishes <- false
	p = start(t, path, stalled(t), "--progress", "json")
	take(t, told)
	p.signal(os.Interrupt)
	take(t, canceled)
	p.signal(os.Interrupt)
	p.ends(130, "", noOutcome)
	canceled <- struct{}{}
}

// TestProgressLost: without counts there is no result.
func TestProgressLost(t *testing.T) {
	path := serve(t, func(*door.Call, door.Request) {})
	p := runWith(t, path, "", "--progress", "json")
	p.Wait()
	if out := p.errOut.String(); strings.Contains(out, "event") || p.ProcessState.ExitCode() != exitFailure {
		t.Errorf("%s, standard error %q", p.ProcessState, out)
	}
}

// TestProgressEventsUnread: a load continues when nobody reads its events any more.
func TestProgressEventsUnread(t *testing.T) {
	path := serve(t, func(c *door.Call, _ door.Request) {
		for range 3 {
			c.Progress(door.Reply{Load: &halfway})
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 2, Stored: 2}})
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	start(t, path, func(c *exec.Cmd) { c.Stderr = w }, "--progress", "json").ends(0, "2 rows read: 2 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", "")
}

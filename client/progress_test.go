package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// halfway are a door's counts of a file of 400 MB.
var halfway = door.Load{Rows: 500, Stored: 497, Rejected: 3, Bytes: 100e6, Seconds: 2}

// bigFile makes a sparse file: a line, then 400 MB.
func bigFile(t *testing.T, name string) {
	t.Helper()
	const line = "not for us\n"
	err := os.WriteFile(name, []byte(line), 0o600)
	if err := errors.Join(err, os.Truncate(name, 400e6+int64(len(line)))); err != nil {
		t.Fatal(err)
	}
}

// reporting serves a door that sends progress again and again and, when it may, the
// outcome. A call that does not ask for progress fails the test.
func reporting(t *testing.T, progress, result door.Load) (path string, end chan<- struct{}) {
	ended := make(chan struct{})
	return serve(t, func(c *door.Call, req door.Request) {
		if !req.Progress {
			t.Errorf("progress was not asked for: %+v", req)
		}
		for over := false; !over; {
			c.Progress(door.Reply{Load: &progress})
			select {
			case <-ended:
				over = true
			case <-t.Context().Done():
				over = true
			case <-time.After(50 * time.Millisecond):
			}
		}
		c.Finish(door.Reply{Load: &result})
	}), ended
}

func at(path string) []string { return []string{"MEMCACHED_BACKDOOR=" + path} }

// TestProgressLine: the line is shown while the load runs, and is erased then.
func TestProgressLine(t *testing.T) {
	const (
		reject  = "line 7: no tab between key and value\n"
		summary = "900 rows read: 899 stored, 1 rejected, 0 skipped (400.0 MB in 8.00 s, 112 rows/s)\n"
	)
	result := door.Load{Rows: 900, Stored: 899, Rejected: 1, Bytes: 400e6, Seconds: 8, Rejects: []door.Reject{{Line: 7, Reason: noTab}}}
	for _, test := range []struct {
		name    string
		columns int
		command string
		line    string
		after   string
	}{
		{"from an offset", 100, "{ read x; client; } <big", "500 rows, 3 rejected, 25%, ETA 0:06, 250 rows/s, 50.0 MB/s, 0:02 elapsed", reject + summary},
		{"file", 100, "client load big", "500 rows, 3 rejected, 24%, ETA 0:06, 250 rows/s, 50.0 MB/s, 0:02 elapsed", reject + summary},
		{"pipe", 100, "cat rows | client", "500 rows, 3 rejected, 250 rows/s, 50.0 MB/s, 0:02 elapsed", reject + summary},
		{"document", 100, "client load --json big | grep -c stored", "500 rows, 3 rejected, 24%, ETA 0:06, 250 rows/s, 50.0 MB/s, 0:02 elapsed", "1\n"},
		{"narrow", 45, "client load big 2>&1 >/dev/null", "500 rows, 3 rejected, 24%, ETA 0:06", reject},
		{"very narrow", 20, "client load big >/dev/null", "500 rows", reject},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path, end := reporting(t, halfway, result)
			dir := t.TempDir()
			bigFile(t, filepath.Join(dir, "big"))
			if err := os.WriteFile(filepath.Join(dir, "rows"), []byte("a\t1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			term := newTerminal(t, test.columns, at(path), "cd "+dir+" && exec sh")
			term.shows("$")
			term.run("clear; " + test.command)
			term.becomes(test.line)
			end <- struct{}{}
			term.becomes(wrapped(test.after, test.columns) + "$")
		})
	}
}

// wrapped is a text as a terminal of that many columns shows it.
func wrapped(text string, columns int) string {
	var s strings.Builder
	for line := range strings.Lines(text) {
		for len(line) > columns+1 {
			s.WriteString(strings.TrimRight(line[:columns], " ") + "\n")
			line = line[columns:]
		}
		s.WriteString(line)
	}
	return s.String()
}

// TestProgressOfSeveralFiles: each has its line, with its name.
func TestProgressOfSeveralFiles(t *testing.T) {
	t.Parallel()
	path, end := reporting(t, halfway, door.Load{Rows: 1, Stored: 1})
	dir := t.TempDir()
	bigFile(t, filepath.Join(dir, "a.csv"))
	bigFile(t, filepath.Join(dir, "b\x1b[2J.csv"))
	term := newTerminal(t, 100, at(path), "cd "+dir+" && exec sh")
	term.shows("$")
	term.run("clear; client load ./*.csv")
	const line = "500 rows, 3 rejected, 24%, ETA 0:06, 250 rows/s, 50.0 MB/s, 0:02 elapsed, ./"
	term.becomes(line + "a.csv")
	end <- struct{}{}
	term.becomes(line + "b?[2J.csv")
	end <- struct{}{}
	term.becomes("2 rows read: 2 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n$")
}

// TestProgressInterrupted: the first signal erases the line.
func TestProgressInterrupted(t *testing.T) {
	t.Parallel()
	canceled, end := make(chan struct{}), make(chan struct{})
	path := serve(t, func(c *door.Call, _ door.Request) {
		c.Progress(door.Reply{Load: &halfway})
		if _, err := c.Wait(false, -1, -1); err != nil {
			t.Errorf("Wait: %v", err)
		}
		c.Progress(door.Reply{Load: &halfway})
		close(canceled)
		select {
		case <-end:
		case <-t.Context().Done():
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 3, Stored: 3, Canceled: true}})
	})
	dir := t.TempDir()
	bigFile(t, filepath.Join(dir, "big"))
	term := newTerminal(t, 100, at(path), "cd "+dir+" && exec sh")
	term.shows("$")
	term.run("clear; client load big")
	term.shows("elapsed")
	term.keys("C-c")
	take(t, canceled)
	term.becomes("")
	close(end)
	term.becomes("3 rows read: 3 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n" +
		"hint: the same command with --resume continues where this one has ended\n$")
}

// TestProgressInBackground: the terminal belongs to another job.
func TestProgressInBackground(t *testing.T) {
	t.Parallel()
	path, end := reporting(t, halfway, door.Load{Rows: 1, Stored: 1})
	close(end)
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("clear; client </dev/null & wait")
	term.shows("1 row read: ")
	if s := term.written(); strings.Contains(s, "elapsed") {
		t.Errorf("a job in the background wrote %q", s)
	}
}

// TestProgressNotWanted: progress is neither requested nor shown.
func TestProgressNotWanted(t *testing.T) {
	t.Parallel()
	path := serve(t, func(c *door.Call, req door.Request) {
		if req.Progress {
			t.Error("progress was asked for")
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
	})
	const summary = "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n"
	runWith(t, path, "").ends(0, summary, "")
	runWith(t, path, "", "--progress", "auto").ends(0, summary, "")
	for _, command := range []string{"client --progress none </dev/null", "TERM=dumb client </dev/null", "client </dev/null 2>/dev/null"} {
		term := newTerminal(t, 100, at(path), "exec sh")
		term.shows("$")
		term.run("clear; " + command)
		term.becomes(summary + "$")
	}
}

// TestProgressWhileTyping: there is no line where the user types rows.
func TestProgressWhileTyping(t *testing.T) {
	t.Parallel()
	path := serve(t, func(c *door.Call, _ door.Request) {
		c.Progress(door.Reply{Load: &halfway})
		if _, err := io.Copy(io.Discard, c.Input); err != nil {
			t.Error(err)
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
	})
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("client")
	term.shows("^D")
	term.run("a\t1")
	term.keys("C-d")
	term.shows("1 row read: ")
	if s := term.written(); strings.Contains(s, "elapsed") {
		t.Errorf("there is a line where rows are typed: %q", s)
	}
}

// TestRedraws: the line is redrawn at most once in redrawEvery.
func TestRedraws(t *testing.T) {
	master, slave := pty(t)
	p := &progressLine{terminal: slave, unit: "row"}
	s := &source{name: "rows", file: os.Stdin}
	since := time.Now()
	for i := range uint64(1000) {
		p.show(s, &door.Load{Rows: i, Seconds: float64(i)})
	}
	most := 1 + int(time.Since(since)/redrawEvery)
	p.clear()
	fmt.Fprint(slave, "\nend\n")
	data := make([]byte, 64<<10)
	var out string
	for !strings.Contains(out, "end") {
		n, err := master.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		out += string(data[:n])
	}
	if n := strings.Count(out, "elapsed"); n < 1 || n > most {
		t.Errorf("%d lines were drawn, at most %d may be: %q", n, most, out)
	}
	if !strings.HasSuffix(out, erase+"\r\nend\r\n") {
		t.Errorf("the line is not erased: %q", out)
	}
}

// TestFields: the speed is that of the last seconds; unknown fields are left out.
func TestFields(t *testing.T) {
	name := filepath.Join(t.TempDir(), "big")
	bigFile(t, name)
	big, err := openSource(name)
	if err != nil {
		t.Fatal(err)
	}
	defer big.file.Close()
	pipe, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	piped := &source{name: "pipe", file: pipe}
	for _, test := range []struct {
		name   string
		source *source
		counts []door.Load
		want   string
	}{
		{"first", big, []door.Load{{Rows: 100, Bytes: 1e6, Seconds: 0.2}}, "100 rows, 0%, ETA 1:19, 500 rows/s, 5.0 MB/s, 0:00 elapsed"},
		{"pipe", piped, []door.Load{{Rows: 1, Bytes: 1e6, Seconds: 0.5}}, "1 row, 2 rows/s, 2.0 MB/s, 0:00 elapsed"},
		{"nothing yet", big, []door.Load{{Seconds: 0.2}}, "0 rows, 0%, 0 rows/s, 0:00 elapsed"},
		{"listed keys", &source{name: "the cache"}, []door.Load{{Rows: 10, Seconds: 1}}, "10 rows, 10 rows/s, 0:01 elapsed"},
		{"no time", big, []door.Load{{Rows: 1}}, "1 row, 0%, 0:00 elapsed"},
		{
			"slower", big,
			[]door.Load{{Rows: 1e6, Bytes: 1e8, Seconds: 1}, {Rows: 1000100, Bytes: 1e8 + 1e6, Seconds: 6}, {Rows: 1000200, Bytes: 1e8 + 2e6, Seconds: 11}},
			"1000200 rows, 25%, ETA 24:50, 20 rows/s, 0.2 MB/s, 0:11 elapsed",
		},
		{
			"stalled", big,
			[]door.Load{{Rows: 1e6, Bytes: 1e8, Seconds: 1}, {Rows: 1e6, Bytes: 1e8, Seconds: 3700}, {Rows: 1e6, Bytes: 1e8, Seconds: 3725}},
			"1000000 rows, 24%, 0 rows/s, 0.0 MB/s, 1:02:05 elapsed",
		},
		{"longer than it was", big, []door.Load{{Rows: 1, Bytes: 5e8, Seconds: 1}}, "1 row, 100%, 1 rows/s, 500.0 MB/s, 0:01 elapsed"},
		{"resumed", big, []door.Load{{Rows: 1, Bytes: 1e8, ResumedBytes: 2e8, Seconds: 1}}, "1 row, 49%, ETA 0:01, 1 rows/s, 100.0 MB/s, 0:01 elapsed"},
		{"for ever", big, []door.Load{{Rows: 1, Bytes: 1, Seconds: 60}}, "1 row, 0%, 0 rows/s, 0.0 MB/s, 1:00 elapsed"},
	} {
		p := &progressLine{terminal: os.Stderr, unit: "row", last: time.Now().Add(time.Hour)} // never drawn
		for _, counts := range test.counts {
			p.show(test.source, &counts)
		}
		if got := strings.Join(p.fields(), ", "); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestFit(t *testing.T) {
	fields := []string{"12 rows", "34%", "ü"}
	for columns, want := range map[int]string{
		0: "", 6: "", 7: "12 rows", 11: "12 rows", 12: "12 rows, 34%", 14: "12 rows, 34%", 15: "12 rows, 34%, ü", 80: "12 rows, 34%, ü",
	} {
		if got := fit(fields, columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}

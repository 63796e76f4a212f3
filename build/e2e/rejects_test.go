package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// Rejected rows are a file of their own that has the header and their bytes as they were; once it is put right, it
// loads like the first.
func TestRejectedRows(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 6000
		var all, bad, reasons strings.Builder
		header := "id,name,\"the\nbio\"\r\n"
		all.WriteString(header)
		bad.WriteString(header)
		var n account
		line := 3
		row := func(text string, column int, reason, key string) {
			all.WriteString(text)
			if n.rows++; reason == "" {
				n.stored++
			} else {
				n.rejected++
				bad.WriteString(text)
				fmt.Fprintf(&reasons, "%d\t%d\t%s\t%q\n", line, column, reason, key)
			}
			line += strings.Count(text, "\n")
		}
		want := map[string]string{}
		for i := range rows {
			id := fmt.Sprint(i)
			want["user:"+id] = "a \"bio\"\nof " + id
			before, first, second := id+",name,", `"a ""bio""`+"\n", "of "+id+`"`
			switch {
			case i%600 == 199:
				row(id+" BAD,name,"+first+second+"\r\n", 1, "space or control byte in the key", "user:"+id+" BAD")
			case i%600 == 399:
				row(before+first+second+",BAD\n", len(before+first+second)+2, "more columns than expected: 4 instead of 3", "")
			case i%600 == 599: // it does not begin with a quote, so that each line is a row
				row(before+"BAD"+first, len(before+"BAD")+1, `a quote in a field that does not begin with one: "\"a \"\"bio\"\""`, "")
				row(second+"\r\n", len(second), `a quote in a field that does not begin with one: "\""`, "")
			default:
				row(before+first+second+"\r\n", 0, "", "")
			}
		}
		s := start(t, h.program)
		file, rejects := written(t, "users.csv", []byte(all.String())), filepath.Join(t.TempDir(), "rejects.csv")
		load := []string{"--header", "--key", "user:{id}", "--value", "the\nbio"}
		s.outcome(nil, n, append(load, "--rejects", rejects, file)...)
		if got := read(t, rejects); got != bad.String() {
			t.Errorf("the rejects are\n%.500q, want\n%.500q", got, bad.String())
		}
		if got := read(t, rejects+".log"); got != reasons.String() {
			t.Errorf("the reasons are\n%.500s, want\n%.500s", got, reasons.String())
		}
		if out, err := exec.Command("sed", "-i", "s/ BAD//; s/,BAD$//; s/BAD//", rejects).CombinedOutput(); err != nil {
			t.Fatalf("sed: %v: %s", err, out)
		}
		const fixed = rows / 200
		again := filepath.Join(t.TempDir(), "again")
		s.outcome(nil, account{rows: fixed, stored: fixed}, append(load, "--rejects", again, rejects)...)
		if left, _ := filepath.Glob(again + "*"); left != nil {
			t.Errorf("%q are there, though nothing was rejected", left)
		}
		s.holds(want)
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// With --max-errors a load ends where the rows are that are one too many, and says so: those before it are stored.
func TestMaxErrors(t *testing.T) {
	t.Parallel()
	lines := func(n, bad int) []byte { // every so many of them
		var b bytes.Buffer
		for i := range n {
			if i%bad == bad-1 {
				fmt.Fprintf(&b, "bad %d\tx\n", i)
			} else {
				fmt.Fprintf(&b, "k_%d\t%d\n", i, i)
			}
		}
		return b.Bytes()
	}
	const tab = "space or control byte in the key"
	for name, test := range map[string]struct {
		input []byte
		limit string
		want  account
	}{
		"none":              {lines(100, 10), "0", account{rows: 10, stored: 9, rejected: 1}},
		"as many as may be": {lines(100, 10), "10", account{rows: 100, stored: 90, rejected: 10}},
		"one more":          {lines(100, 10), "9", account{rows: 100, stored: 90, rejected: 10}},
		"far from the end":  {lines(50_000, 10), "99", account{rows: 1000, stored: 900, rejected: 100}},
		"a part":            {lines(50_000, 10), "10%", account{rows: 50_000, stored: 45_000, rejected: 5000}},
		// A part of fewer than 1000 rows says nothing yet.
		"more than a part":    {lines(50_000, 10), "9.9%", account{rows: 1000, stored: 900, rejected: 100}},
		"a part of few lines": {lines(100, 10), "1%", account{rows: 100, stored: 90, rejected: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t))
			for from, input := range map[string]io.Reader{"file": fileOf(t, test.input), "pipe": pipeOf(t, test.input)} {
				rejects := filepath.Join(t.TempDir(), "rejects")
				l := s.outcome(input, test.want, "--rejects", rejects, "--max-errors", test.limit)
				if ended := name != "as many as may be" && name != "a part"; l.Limited != ended || l.Canceled {
					t.Errorf("%s: limited %v, canceled %v", from, l.Limited, l.Canceled)
				}
				n := uint64(strings.Count(read(t, rejects), "\n"))
				if log := read(t, rejects+".log"); n != test.want.rejected || uint64(strings.Count(log, tab)) != n {
					t.Errorf("%s: %d rejects, want %d: %.300s", from, n, test.want.rejected, log)
				}
				if got := s.stat("", "curr_items"); uint64(got) != test.want.stored {
					t.Errorf("%s: %d items", from, got)
				}
			}
			s.lives()
		})
	}
}

// A load that continues without its client writes its rejects, too.
func TestRejectsDetached(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	rejects := filepath.Join(t.TempDir(), "rejects")
	client := exec.Command(built(t, "client"), "--door", s.door, "load", "--detach", "--rejects", rejects)
	client.Stdin = r
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	// Once a row is there, the load has begun.
	io.WriteString(w, "first\tvalue\nfirst bad\n")
	wait(t, "the first row", func() error { _, err := s.cache().Get("first"); return err })
	client.Process.Kill()
	client.Wait()
	io.WriteString(w, "second\tvalue\nsecond bad\n")
	w.Close()
	wait(t, "the load's end", func() error {
		reply, err := call(s.door, door.Request{Op: door.OpStatus})
		if err == nil && reply.Status.Active > 0 {
			err = fmt.Errorf("%d loads run", reply.Status.Active)
		}
		return err
	})
	s.holds(map[string]string{"first": "value", "second": "value"})
	status := s.waitDoor()
	if status.Stored != 2 || status.Rejected != 2 || status.Skipped != 0 {
		t.Errorf("status %+v", status)
	}
	if got := read(t, rejects); got != "first bad\nsecond bad\n" {
		t.Errorf("the rejects are %q", got)
	}
	log := strings.Split(read(t, rejects+".log"), "\n")
	want := []string{"2\t1\tno tab between key and value\t\"first bad\"", "4\t1\tno tab between key and value\t\"second bad\"", ""}
	if !slices.Equal(log, want) {
		t.Errorf("the reasons are %q, want %q", log, want)
	}
}

// Where the rejects have no room a load fails, with what was done until then; memcached continues, also when it is its own
// limit that forbids to write (setrlimit(2): SIGXFSZ would end it).
func TestRejectsNoRoom(t *testing.T) {
	t.Parallel()
	s := newServer(t, stock(t))
	s.wrap = []string{"prlimit", "--fsize=100000:100000"}
	s.start()
	s.waitDoor()
	bad := bytes.Repeat([]byte("no tab in this row\n"), 100_000)
	rejects := filepath.Join(t.TempDir(), "rejects")
	stdout, stderr, status := s.client(append([]byte("first\tvalue\n"), bad...), "load", "--rejects", rejects)
	if status != 1 || !accounts(t, stdout) || !strings.Contains(stderr, "error: "+rejects+" or "+rejects+".log: writing the rejects: write: file too large\nhint: ") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	s.outcome(strings.NewReader("second\tvalue\n"), account{rows: 1, stored: 1})
	s.holds(map[string]string{"first": "value", "second": "value"})
	s.lives()
}

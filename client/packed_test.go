package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// gzipped compresses a text.
func gzipped(t *testing.T, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// loaded is what a call had.
type loaded struct {
	format  record.Format
	content string
}

// reading serves a door that takes each line for a row.
func reading(t *testing.T) (path string, calls <-chan loaded) {
	got := make(chan loaded, 1)
	return serve(t, func(c *door.Call, req door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		got <- loaded{req.Rows.Format, string(data)}
		n := uint64(bytes.Count(data, []byte("\n")))
		c.Finish(door.Reply{Load: &door.Load{Rows: n, Stored: n}})
	}), got
}

func summaryOf(rows int) string {
	return fmt.Sprintf("%d rows read: %d stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", rows, rows)
}

// TestPacked: memcached gets the plain rows of a compressed file, of a pipe and of UTF-16, in the format of the name.
func TestPacked(t *testing.T) {
	path, calls := reading(t)
	dir := t.TempDir()
	const plain = "id,bio\n1,Grüße\n"
	packed := gzipped(t, plain)
	name := filepath.Join(dir, "rows.csv.gz")
	for file, content := range map[string][]byte{name: packed, filepath.Join(dir, "plain.csv.gz"): []byte(plain),
		filepath.Join(dir, "wide.csv"): []byte("\xff\xfe" + "i\x00d\x00,\x00b\x00i\x00o\x00\n\x001\x00,\x00G\x00r\x00\xfc\x00\xdf\x00e\x00\n\x00")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, path, nil, file).ends(0, summaryOf(2), "")
		if got := take(t, calls); got != (loaded{record.CSV, plain}) {
			t.Errorf("%s: %+v", file, got)
		}
	}
	runWith(t, path, string(packed)+string(packed)).ends(0, summaryOf(4), "")
	if got := take(t, calls); got != (loaded{"", plain + plain}) {
		t.Errorf("by pipe: %+v", got)
	}
	start(t, path, func(c *exec.Cmd) { inShell(t, c, "exec client load --from csv <"+name) }).ends(0, summaryOf(2), "")
	if got := take(t, calls); got != (loaded{record.CSV, plain}) {
		t.Errorf("by standard input: %+v", got)
	}
	for _, option := range []string{"--resume", "--detach"} {
		start(t, path, nil, option, name).ends(1, "", fmt.Sprintf("error: %s: %s needs a file that memcached reads itself, and this one is gzip, which the client unpacks\n"+
			"hint: make a plain file of it first, and load that\n", name, option))
	}
}

// TestPackedBroken: what was stored is counted, and the error says what is wrong. A part of a row is not passed.
func TestPackedBroken(t *testing.T) {
	path, calls := reading(t)
	var rows strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&rows, "key_%d\tvalue of %x\n", i, i*7919)
	}
	packed := string(gzipped(t, rows.String()))
	for _, test := range []struct{ input, want string }{
		{packed[:len(packed)/2], "the gzip data is truncated: its end is missing"},
		{packed + "more", "the gzip data is truncated: its end is missing"}, // the header of another one
		{packed + "something else", "behind the end of the gzip data there is something else, which is not loaded"},
	} {
		p := runWith(t, path, test.input)
		got := take(t, calls)
		n := strings.Count(got.content, "\n")
		p.ends(1, summaryOf(n), "error: standard input: "+test.want+"\n")
		if n == 0 || !strings.HasPrefix(rows.String(), got.content) || !strings.HasSuffix(got.content, "\n") {
			t.Errorf("%d rows: ... %q", n, got.content[max(0, len(got.content)-20):])
		}
	}
}

// TestPackedHeaderBroken: the message names the file, and what it is.
func TestPackedHeaderBroken(t *testing.T) {
	path, calls := reading(t)
	name := filepath.Join(t.TempDir(), "rows.tsv.gz")
	if err := os.WriteFile(name, []byte("\x1f\x8b\x08\x08rubbish"+strings.Repeat("x", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, path, nil, name)
	if got := take(t, calls); got.content != "" {
		t.Errorf("memcached gets %q", got.content)
	}
	p.ends(1, summaryOf(0), "error: "+name+": the gzip data is damaged: its header is malformed\n")
}

// TestPackedEnded: memcached ends the load before its input, of which there is more than fits into pipes.
func TestPackedEnded(t *testing.T) {
	path := serve(t, func(c *door.Call, _ door.Request) {
		if _, err := io.ReadFull(c.Input, make([]byte, 100)); err != nil {
			t.Error(err)
		}
		c.Finish(door.Reply{Load: &door.Load{Limited: true}})
	})
	packed := gzipped(t, strings.Repeat("a row without a tab\n", 1<<20))
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = bytes.NewReader(packed) })
	p.ends(4, summaryOf(0), "error: more rows were rejected than --max-errors allows: the load has ended before its input\n")
}

// TestSilentPipe: while a pipe has no byte yet, no connection waits at the door.
func TestSilentPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	fd, err := listen(unix.SOCK_SEQPACKET, path, 8)
	if err != nil {
		t.Fatal(err)
	}
	l, err := door.NewListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = r })
	for _, want := range []error{door.ErrGone, nil} {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Receive(); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		if want == nil {
			c.Finish(door.Reply{Load: &door.Load{Rows: 2, Stored: 2}})
			continue
		}
		c.Close()
		if _, err := w.Write(gzipped(t, "k\tv\nl\tw\n")); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	p.ends(0, summaryOf(2), "")
}

// TestPackedProgress: progress is over the compressed size.
func TestPackedProgress(t *testing.T) {
	packed := gzipped(t, strings.Repeat("k\tv\n", 1000))
	name := filepath.Join(t.TempDir(), "rows.gz")
	if err := os.WriteFile(name, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	path := serve(t, func(c *door.Call, _ door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		counts := &door.Load{Rows: 1000, Stored: 1000, Bytes: uint64(len(data)), Seconds: 1}
		c.Progress(door.Reply{Load: counts})
		c.Finish(door.Reply{Load: counts})
	})
	p := start(t, path, nil, "--progress", "json", name)
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	dec, events := json.NewDecoder(&p.errOut), 0
	for ; dec.More(); events++ {
		var e event
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Bytes != uint64(len(packed)) || e.Size == nil || *e.Size != uint64(len(packed)) {
			t.Errorf("%+v", e)
		}
	}
	if events != 2 {
		t.Errorf("%d events", events)
	}
	if out := p.out.String(); !strings.Contains(out, "(4.0 kB in 1.00 s") {
		t.Errorf("the summary is %q", out)
	}
}

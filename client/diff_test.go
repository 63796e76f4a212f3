package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"memcached-backdoor/preload/walk"
)

var before = cache{
	kept("same", "value"),
	lasting("same for an hour", 3600),
	kept("value", "one"),
	{Key: []byte("flags"), Value: []byte("value"), TTL: -1, Flags: 1},
	lasting("ttl", 3600),
	lasting("within", 3600),
	lasting("never", 3600),
	lasting("ever", 0),
	lasting("all", 3600),
	kept("missing", "value"),
	kept("user:missing\n", "\x00\r\nmn\r\n"),
	lasting("expired", 0),
	{Key: []byte("\xff\x00binary"), Value: make([]byte, 3<<20), TTL: -1},
}

var after = cache{
	kept("same", "value"),
	lasting("same for an hour", 3600),
	kept("value", "two"),
	{Key: []byte("flags"), Value: []byte("value"), TTL: -1, Flags: 2},
	lasting("ttl", 1800),
	lasting("within", 3550),
	kept("never", "value"),
	lasting("ever", 7200),
	{Key: []byte("all"), Value: []byte{}, TTL: 60, Flags: 3},
	kept("added", "value"),
	kept("user:added\x00", ""),
	{Key: []byte("\xff\x00binary"), Value: make([]byte, 3<<20), TTL: -1},
}

// timeless is the output without its duration.
func timeless(p *process) string {
	text, rest, _ := strings.Cut(p.out.String(), " (")
	return text + strings.TrimLeft(rest, "0123456789. s")
}

func TestDiff(t *testing.T) {
	file, path := before.dumped(t, nil), after.serve(t, nil)
	for _, tt := range []struct{ args, lines, summary string }{
		{"--ttl-tolerance 1m", "~ value value\n~ flags flags\n~ ttl ttl\n~ never ttl\n~ ever ttl\n~ all value,flags,ttl\n+ added\n+ \"user:added\\x00\"\n" +
			"- missing\n- \"user:missing\\n\"\n",
			"13 items in the dump, 12 in the cache: 4 same, 6 changed, 2 missing, 2 added, 1 expired since the dump"},
		{"--prefix user:", "+ \"user:added\\x00\"\n- \"user:missing\\n\"\n",
			"1 item in the dump, 1 in the cache: 0 same, 0 changed, 1 missing, 1 added, 0 expired since the dump"},
		{"--match *within*", "~ within ttl\n", "1 item in the dump, 1 in the cache: 0 same, 1 changed, 0 missing, 0 added, 0 expired since the dump"},
		{"--match *added", "+ added\n", "0 items in the dump, 1 in the cache: 0 same, 0 changed, 0 missing, 1 added, 0 expired since the dump"},
	} {
		p := start(t, path, nil, append([]string{"diff", file}, strings.Fields(tt.args)...)...)
		err := p.Wait()
		if got := p.ProcessState.ExitCode(); got != 3 || p.errOut.Len() > 0 {
			t.Errorf("%s: %v: %s", tt.args, err, &p.errOut)
		}
		if got, want := timeless(p), tt.lines+tt.summary+")\n"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.args, got, want)
		}
	}
}

// Items that have expired since the dump, and unchanged items, are no difference.
func TestDiffSame(t *testing.T) {
	file := before.dumped(t, nil)
	now := slices.DeleteFunc(slices.Clone(before), func(i walk.Item) bool { return i.TTL == 0 })
	slices.Reverse(now)
	p := start(t, now.serve(t, nil), func(c *exec.Cmd) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		c.Stdin = f
	}, "diff", "-")
	err := p.Wait()
	const want = "13 items in the dump, 11 in the cache: 11 same, 0 changed, 0 missing, 0 added, 2 expired since the dump)\n"
	if got := timeless(p); err != nil || got != want {
		t.Errorf("%v: %s%s\nwant %s", err, got, &p.errOut, want)
	}
}

// An item that is stale now, or whose token was won, differs.
func TestDiffMarks(t *testing.T) {
	item := func(key string, stale, won bool) walk.Item {
		return walk.Item{Key: []byte(key), Value: []byte("v"), TTL: -1, Stale: stale, Won: won}
	}
	was := cache{item("fresh", false, false), item("both", true, true), item("invalidated", false, false), item("taken", true, false), item("renewed", true, true)}
	is := cache{item("fresh", false, false), item("both", true, true), item("invalidated", true, false), item("taken", true, true), item("renewed", false, false)}
	p := start(t, is.serve(t, nil), nil, "diff", was.dumped(t, nil))
	p.Wait()
	const want = "~ invalidated stale\n~ taken won\n~ renewed stale,won\n" +
		"5 items in the dump, 5 in the cache: 2 same, 3 changed, 0 missing, 0 added, 0 expired since the dump)\n"
	if got := timeless(p); got != want || p.ProcessState.ExitCode() != 3 {
		t.Errorf("%s%s\nwant %s", got, &p.errOut, want)
	}
}

func TestDiffJSON(t *testing.T) {
	for _, tt := range []struct {
		cache  cache
		status int
		want   string
	}{
		{after, 3, `[{changed value <nil> [value]} {changed flags <nil> [flags]} {changed ttl <nil> [ttl]} {changed within <nil> [ttl]} {changed never <nil> [ttl]} ` +
			`{changed ever <nil> [ttl]} {changed all <nil> [value flags ttl]} {added added <nil> []} {added user:added` + "\x00" + ` <nil> []} {missing missing <nil> []} ` +
			`{missing user:missing` + "\n" + ` <nil> []}] {13 12 3 7 2 1 2 0 0 true 0}`},
		{before, 0, `[] {13 13 13 0 0 0 0 0 0 true 0}`},
		{before[:12], 3, `[{missing  [255 0 98 105 110 97 114 121] []}] {13 12 12 0 1 0 0 0 0 true 0}`},
	} {
		p := start(t, tt.cache.serve(t, nil), nil, "diff", "--json", before.dumped(t, nil))
		p.Wait()
		if got := p.ProcessState.ExitCode(); got != tt.status {
			t.Errorf("%d, want %d: %s", got, tt.status, &p.errOut)
		}
		var got struct {
			Differences []struct {
				Is, Key string
				Base64  any `json:"-"`
				Differs []string
			}
			diffCounts
		}
		var raw struct {
			Differences []struct {
				Base64 []byte `json:"key_base64"`
			}
		}
		if err := errors.Join(json.Unmarshal(p.out.Bytes(), &got), json.Unmarshal(p.out.Bytes(), &raw)); err != nil {
			t.Fatalf("%v: %s", err, p.out.String())
		}
		for i, d := range raw.Differences {
			if d.Base64 != nil {
				got.Differences[i].Base64 = d.Base64
			}
		}
		got.Seconds = 0
		if s := fmt.Sprint(got.Differences, " ", got.diffCounts); s != tt.want {
			t.Errorf("%s\nwant\n%s", s, tt.want)
		}
	}
}

// Damaged parts of a dump are reported; the others are compared.
func TestDiffDamaged(t *testing.T) {
	c := cache{kept("a", "first"), kept("b", "second"), kept("c", "third")}
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
		status int
		out    string
		errOut string
	}{
		{"one bit", func(b []byte) []byte { return bytes.Replace(b, []byte("second"), []byte("sekond"), 1) }, 3,
			"+ b\n2 items in the dump, 3 in the cache: 2 same, 0 changed, 0 missing, 1 added, 0 expired since the dump; 1 damaged in the dump; those in the cache count as added)\n", ""},
		{"no end", func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("mn\r\n")) }, 1,
			"3 items in the dump, 3 in the cache: 3 same, 0 changed, 0 missing, 0 added, 0 expired since the dump)\n",
			"error: the dump is not complete: what is there of it was compared, its end is missing\nhint: take another dump; it is complete when its last line is mn\n"},
		{"twice", func(b []byte) []byte { return append(b, b...) }, 0,
			"3 items in the dump, 3 in the cache: 3 same, 0 changed, 0 missing, 0 added, 0 expired since the dump)\n", ""},
		{"none", func([]byte) []byte { return []byte("a\tb\nc\td\n") }, 1, "", "error: FILE: is not a dump\nhint: dump without --format writes one\n"},
		{"nothing", func([]byte) []byte { return nil }, 1, "", "error: FILE: is not a dump\nhint: dump without --format writes one\n"},
		{"of an empty cache", func([]byte) []byte { return []byte("mn\r\n") }, 3,
			"+ a\n+ b\n+ c\n0 items in the dump, 3 in the cache: 0 same, 0 changed, 0 missing, 3 added, 0 expired since the dump)\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := c.dumped(t, tt.change)
			p := start(t, c.serve(t, nil), nil, "diff", file)
			p.Wait()
			if got := timeless(p); got != tt.out || p.ProcessState.ExitCode() != tt.status {
				t.Errorf("%s: %s, want %s", p.ProcessState, got, tt.out)
			}
			if got := strings.ReplaceAll(p.errOut.String(), file, "FILE"); got != tt.errOut {
				t.Errorf("%s, want %s", got, tt.errOut)
			}
		})
	}
}

// Of several items with one key the last is compared.
func TestDiffLast(t *testing.T) {
	older, newer := cache{kept("a", "1")}, cache{kept("a", "2")}
	file := older.dumped(t, func(b []byte) []byte {
		text, err := os.ReadFile(newer.dumped(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		return append(b, text...)
	})
	for _, tt := range []struct {
		cache  cache
		status int
	}{{older, 3}, {newer, 0}} {
		p := start(t, tt.cache.serve(t, nil), nil, "diff", file)
		if p.Wait(); p.ProcessState.ExitCode() != tt.status {
			t.Errorf("%s: %s", p.ProcessState, p.out.String())
		}
	}
}

// Values that could not be read do not count as compared.
func TestDiffLost(t *testing.T) {
	c := cache{{Key: []byte("outside"), TTL: -1, External: true}}
	p := start(t, c.serve(t, nil), nil, "diff", cache{kept("outside", "value")}.dumped(t, nil))
	p.Wait()
	if got := p.errOut.String(); got != "error: the values of 1 item of the cache could not be read: they are not compared\n" || p.ProcessState.ExitCode() != 1 {
		t.Errorf("%s: %s", p.ProcessState, got)
	}
}

// Keys are found by their own hashes.
func TestNotes(t *testing.T) {
	n := newDigests()
	i := item{value: []byte("v")}
	const count = 100_000
	for k := range count {
		i.key = fmt.Append(nil, k)
		n.add(&i)
	}
	if got := n.sort(); got != count {
		t.Errorf("%d digests", got)
	}
	for k := range 2 * count {
		if found := n.find(fmt.Append(nil, k)) != nil; found != (k < count) {
			t.Fatalf("%d: %t", k, found)
		}
	}
	if size := unsafe.Sizeof(digest{}); size != 24 {
		t.Errorf("a digest takes %d bytes", size)
	}
}

// The hint of a bad condition is that of the condition.
func TestDiffRegex(t *testing.T) {
	runWith(t, "/nowhere", "", "diff", "--regex", "(", "dump").ends(80, "",
		"error: the regular expression \"(\": missing closing ): \"(\"\nhint: the syntax is that of RE2\n")
}

package dump

import (
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/walk"
)

// A line of a list says what the item is.
func TestList(t *testing.T) {
	source := items{
		{Key: []byte("plain"), Value: []byte("value"), TTL: -1, Idle: 61, Class: 1, Total: 70},
		{Key: []byte("100% \x00\n\xffключ"), Value: []byte{}, TTL: 0, Flags: 1<<32 - 1},
		{Key: []byte(strings.Repeat("k", 250)), Value: make([]byte, 1<<20), TTL: 3600},
		{Key: []byte("stale"), TTL: -1, Stale: true}, {Key: []byte("won"), TTL: -1, Won: true}, {Key: []byte("both"), TTL: -1, Stale: true, Won: true},
	}
	for _, format := range []Format{List, Classes} {
		testList(t, source, format)
	}
}

func testList(t *testing.T, source items, format Format) {
	t.Helper()
	before := time.Now().Unix()
	text, _ := dumped(t, source, Options{Format: format})
	took := time.Now().Unix() - before
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(source) {
		t.Fatalf("%q", text)
	}
	for n, line := range lines {
		var got Listed
		if err := got.Parse([]byte(line)); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want := &source[n]
		var class, total int
		if format == Classes {
			class, total = want.Class, want.Total
		}
		if string(got.Key) != string(want.Key) || got.Size != uint64(len(want.Value)) || got.Flags != want.Flags ||
			got.Class != uint64(class) || got.Total != uint64(total) || got.Stale != want.Stale || got.Won != want.Won || !dated(got.Used, before-want.Idle, took) || !dated(got.Expires, expires(want, before), took) {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

// dated reports whether a date is the expected one, or up to some seconds later; 0 is never.
func dated(date, want, later int64) bool {
	return date == want || want > 0 && date > want && date <= want+later
}

func TestListErrors(t *testing.T) {
	for _, line := range []string{
		"", "k", "k 1 2 3", "k 1 2 3 ", "k 1 2 3 4 5", "k 1 2 3 4 5 ", "k 1 2 3 4 5 stale", "k 1 2 3 4 5 6 7", "k 1 2 3 4 5 -6", "k 1 2 3 4 won stale", "k 1 2 3 4 stale x", "k 1 2 3 4 stalewon", "k 1 2 3 4 stale ", "k 1 2 3 4 won ", "k  1 2 3 4", "k -1 2 3 4", "k x 2 3 4", "k% 1 2 3 4", "k%4 1 2 3 4",
		"k%xy 1 2 3 4", "k 1 2 3 9223372036854775808",
	} {
		var got Listed
		if err := got.Parse([]byte(line)); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func FuzzListed(f *testing.F) {
	f.Add([]byte("a%20b"), uint(3), uint32(7))
	f.Fuzz(func(t *testing.T, key []byte, size uint, flags uint32) {
		i := walk.Item{Key: key, Size: int(size >> 1), Flags: uint64(flags), TTL: -1}
		var got Listed
		line := list{}.item(nil, &i, 1)
		if err := got.Parse(line[:len(line)-1]); err != nil || string(got.Key) != string(key) || got.Size != uint64(size>>1) || got.Flags != uint64(flags) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	})
}

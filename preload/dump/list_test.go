package dump

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
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
	for _, format := range []Format{List, Details} {
		testList(t, source, format)
	}
}

func testList(t *testing.T, source items, format Format) {
	t.Helper()
	before := time.Now().Unix()
	text, _ := dumped(t, source, Options{Format: format, KeysOnly: true})
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
		if format == Details {
			class, total = want.Class, want.Total
		}
		if string(got.Key) != string(want.Key) || got.Size != uint64(len(want.Value)) || got.Flags != want.Flags ||
			got.Class != uint64(class) || got.Total != uint64(total) || got.Stale != want.Stale || got.Won != want.Won || !dated(got.Used, before-want.Idle, took) || !dated(got.Expires, expires(want, before), took) {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

// What is known of items, and their values, are in the order of the walk, also if the values of some are fetched.
func TestDetails(t *testing.T) {
	source := items{
		{Key: []byte("a b"), Value: []byte("line\nfeed"), TTL: -1, Class: 63, CAS: 1<<64 - 1, Flags: 3},
		{Key: []byte("gone"), Gone: true},
		{Key: []byte("outside"), External: true, Extstore: true, TTL: 10, Stale: true, Won: true},
		{Key: []byte("behind"), Value: []byte{}, TTL: -1},
		{Key: []byte("away"), External: true, TTL: -1},
		{Key: []byte("gone"), Gone: true, External: true},
		{Key: []byte("unread"), External: true, TTL: -1},
		{Key: []byte("last"), Value: []byte("x"), TTL: -1},
		{Key: []byte("large"), Value: bytes.Repeat([]byte("\n"), writeBytes+1), TTL: -1},
		{Key: []byte("end"), Value: []byte("y"), TTL: -1},
	}
	fetch := func(items []*walk.Item) error {
		for _, i := range items {
			switch string(i.Key) {
			case "outside":
				i.Value, i.Size, i.External = []byte("fetched"), 7, false
			case "away":
				i.Gone = true
			case "unread":
			default:
				t.Errorf("%s is to be fetched", i.Key)
			}
		}
		return nil
	}
	const want = `a b 9 3 class=63 cas=18446744073709551615 "line\nfeed", gone gone, outside 7 0 class=0 cas=0 extstore stale won "fetched", ` +
		`behind 0 0 class=0 cas=0 "", away gone, gone gone, last 1 0 class=0 cas=0 "x", large 262145 0 class=0 cas=0 LARGE, end 1 0 class=0 cas=0 "y"`
	for _, keysOnly := range []bool{false, true} {
		var out bytes.Buffer
		counts, err := Dump(walk.Listed(source, nil), nil, &out, Options{Format: Details, KeysOnly: keysOnly}, Hooks{Fetch: fetch})
		if err != nil || counts.Unwritten() != 0 || counts.Bytes != uint64(out.Len()) {
			t.Fatal(counts, err)
		}
		if keysOnly {
			if counts.Items != 8 || counts.Written != 8 || counts.Gone != 2 || strings.Count(out.String(), "\n") != 10 {
				t.Errorf("%+v: %s", counts, out.String())
			}
			continue
		}
		if counts.Items != 7 || counts.Written != 6 || counts.Lost != 1 || counts.Gone != 3 || fmt.Sprint(counts.Keys) != "[unread]" {
			t.Errorf("%+v", counts)
		}
		var got []string
		for text := out.String(); text != ""; {
			line, rest, _ := strings.Cut(text, "\n")
			var i Listed
			if err := i.Parse([]byte(line)); err != nil {
				t.Fatal(line, err)
			}
			if text = rest; i.Gone {
				got = append(got, fmt.Sprintf("%s gone", i.Key))
				continue
			}
			one := fmt.Sprintf("%s %d %d class=%d cas=%d", i.Key, i.Size, i.Flags, i.Class, i.CAS)
			for word, is := range map[string]bool{" extstore": i.Extstore, " stale won": i.Stale && i.Won} {
				if is {
					one += word
				}
			}
			got = append(got, fmt.Sprintf("%s %q", one, rest[:i.Size]))
			text = rest[i.Size+1:]
		}
		if s := strings.ReplaceAll(strings.ReplaceAll(strings.Join(got, ", "), fmt.Sprintf("%q", source[8].Value), "LARGE"), " stale won extstore", " extstore stale won"); s != want {
			t.Errorf("%s\nwant %s", s, want)
		}
	}
	var out bytes.Buffer
	if counts, err := Dump(source[:2], nil, &out, Options{Format: JSONL}, Hooks{}); err != nil || counts.Gone != 1 || counts.Items != 1 || strings.Contains(out.String(), "gone") {
		t.Errorf("%+v, %v: %s", counts, err, out.String())
	}
}

// A large value that is not written in full is not written.
func TestDetailsCut(t *testing.T) {
	source := items{
		{Key: []byte("small"), Value: []byte("x"), TTL: -1},
		{Key: []byte("large"), Value: make([]byte, writeBytes+1), TTL: -1},
		{Key: []byte("end"), Value: []byte("y"), TTL: -1},
	}
	for room := range 5 {
		out := &full{room: room * writeBytes / 2}
		counts, err := Dump(source, nil, out, Options{Format: Details}, Hooks{})
		_, cut := errors.AsType[*WriteError](err)
		want := []uint64{0, 1, 1, 3, 3}[room]
		if cut != (want < 3) || counts.Written != want || counts.Bytes != uint64(out.written) {
			t.Errorf("room for %d bytes: %v, %+v", out.room, err, counts)
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
		"k 1 2 3 4 class=1", "k 1 2 3 4 class= cas=1", "k 1 2 3 4 class=256 cas=1", "k 1 2 3 4 class=1 cas=", "k 1 2 3 4 class=1 cas=x", "k 1 2 3 4 class=1 cas=1 ",
		"k 1 2 3 4 class=1 cas=18446744073709551616", "k 1 2 3 4 class=1 cas=1 stale gone", "k 1 2 3 4 class=1 cas=1 x", "k 1 2 3 4 gone ", "k 1 2 3 4 gone gone",
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
		i.Class, i.Total, i.CAS, i.Extstore, i.Gone, i.Stale, i.Won = int(size&63), int(flags), uint64(size)*uint64(flags), size&1 > 0, size&2 > 0, size&4 > 0, size&8 > 0
		for _, l := range []list{{}, {details: true}} {
			want := Listed{Key: key, Size: uint64(size >> 1), Flags: uint64(flags), Used: 1, Stale: i.Stale, Won: i.Won}
			if l.details {
				want.Class, want.Total, want.CAS, want.Extstore, want.Gone = uint64(i.Class), uint64(i.Total), i.CAS, i.Extstore, i.Gone
			}
			var got Listed
			line := l.item(nil, &i, 1)
			if err := got.Parse(line[:len(line)-1]); err != nil || !bytes.Equal(got.Key, key) {
				t.Errorf("%q: %+v, %v", line, got, err)
			}
			if got.Key = key; !reflect.DeepEqual(got, want) {
				t.Errorf("%q: %+v, want %+v", line, got, want)
			}
		}
	})
}

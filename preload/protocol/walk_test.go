package protocol

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/walk"
)

// What memcached answers to meta gets, and what no memcached does.
func TestFetch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answers, want, err string
	}{
		{name: "all there is", answers: "VA 1 f5 t60 s1 c7\r\nv\r\nEN\r\nMN\r\n", want: `"v" f5 t60 s1 c7 false, "" f0 t0 s0 c0 true`},
		{name: "for ever, empty, and in base64", answers: "VA 0 f0 t-1 s0 c8 b\r\n\r\nVA 2 t-1\r\n\r\n\r\nMN\r\n", want: `"" f0 t-1 s0 c8 false, "\r\n" f0 t-1 s2 c0 false`},
		{name: "without a value", answers: "HD f1 t-1 s100 c1\r\nEN\r\nMN\r\n", want: `"" f1 t-1 s100 c1 false, "" f0 t0 s0 c0 true`},
		{name: "stale", answers: "HD f0 t-1 s1 c1 X W\r\nVA 1 f0 t-1 s1 c2 W X\r\nv\r\nMN\r\n",
			want: `"" f0 t-1 s1 c1 false, stale true, won false, taken true, "v" f0 t-1 s1 c2 false, stale true, won false, taken true`},
		{name: "won by others", answers: "HD f0 t-1 s1 c1 Z\r\nHD f0 t-1 s1 c2 Z X\r\nMN\r\n",
			want: `"" f0 t-1 s1 c1 false, stale false, won true, taken false, "" f0 t-1 s1 c2 false, stale true, won true, taken false`},
		{name: "an error", answers: "SERVER_ERROR out of memory\r\n", err: "SERVER_ERROR"},
		{name: "too long", answers: "VA 1048577 f0\r\n", err: "VA 1048577"},
		{name: "negative", answers: "VA -1 f0\r\n", err: "VA -1"},
		{name: "no length", answers: "VA\r\n", err: `"VA"`},
		{name: "a flag that is no number", answers: "VA 1 fx\r\nv\r\n", err: "VA 1 fx"},
		{name: "a value that ends elsewhere", answers: "VA 1 f0\r\nvvv\r\n", err: "no end after 1 bytes"},
		{name: "closed in the middle", answers: "VA 10 f0\r\nvvv", err: "closes the connection"},
		{name: "more than was asked", answers: "EN\r\nEN\r\nEN\r\n", err: `"EN"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			items := []*walk.Item{{Key: []byte("a"), External: true}, {Key: []byte("\x00"), External: true}}
			c := peer(t, "mg a u f l t s c h v\r\nmg AA== b u f l t s c h v\r\nmn\r\n", tt.answers)
			taken, err := c.fetch(items, true)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %q", err, tt.err)
				}
				return
			}
			var got []string
			for _, i := range items {
				got = append(got, fmt.Sprintf("%q f%d t%d s%d c%d %t", i.Value, i.Flags, i.TTL, i.Size, i.CAS, i.External))
				if i.Stale || i.Won || slices.Contains(taken, i) {
					got = append(got, fmt.Sprintf("stale %t, won %t, taken %t", i.Stale, i.Won, slices.Contains(taken, i)))
				}
			}
			if s := strings.Join(got, ", "); err != nil || s != tt.want {
				t.Errorf("%s, %v, want %s", s, err, tt.want)
			}
		})
	}
}

// Of items that memcached did not answer some are there all the same.
func TestTellGone(t *testing.T) {
	t.Parallel()
	items := []*walk.Item{{Key: []byte("a"), External: true}, {Key: []byte("here")}, {Key: []byte("\x00"), External: true}}
	if err := peer(t, "me a\r\nme AA== b b\r\nmn\r\n", "EN\r\nME AA== exp=-1 la=1 cas=2 fetch=no cls=7 size=100\r\nMN\r\n").tellGone(items); err != nil {
		t.Fatal(err)
	}
	if !items[0].Gone || items[1].Gone || items[2].Gone || !items[2].External || items[2].Class != 7 || items[2].Size != 99-slabs.ItemOverhead {
		t.Errorf("%+v %+v %+v", items[0], items[1], items[2])
	}
	for _, answer := range []string{"SERVER_ERROR x", "ME", "ME a cls=256", "ME a cls=", "ME a size=x", "ME a size=-1", "MEa cls=1"} {
		items := []*walk.Item{{Key: []byte("a"), External: true}}
		if err := peer(t, "me a\r\nmn\r\n", answer+"\r\nMN\r\n").tellGone(items); err == nil {
			t.Errorf("%q is no answer", answer)
		}
	}
	if err := peer(t, "", "").tellGone(items[1:2]); err != nil { // nothing is asked
		t.Error(err)
	}
}

// An item that was replaced while its old value was read from extstore is asked for again; one that is there and is never
// answered stays as it is.
func TestFetchReplaced(t *testing.T) {
	t.Parallel()
	get, debug := func(key string) string { return "mg " + key + " u f l t s c h v\r\n" }, func(key string) string { return "me " + key + "\r\n" }
	var want, answers []string
	for try := range tries {
		if try == 0 {
			want = append(want, get("a")+get("b")+get("c")+"mn\r\n", debug("a")+debug("b")+debug("c")+"mn\r\n")
			answers = append(answers, "EN\r\nEN\r\nEN\r\nMN\r\n", "ME a exp=-1\r\nEN\r\nME c exp=-1\r\nMN\r\n")
			continue
		}
		keys, value := []string{"c"}, ""
		if try == 1 {
			keys, value = []string{"a", "c"}, "VA 3 f0 t-1 s3 c9\r\nnew\r\n"
		}
		var gets string
		for _, key := range keys {
			gets += get(key)
		}
		want = append(want, gets+"mn\r\n", debug("c")+"mn\r\n")
		answers = append(answers, value+"EN\r\nMN\r\n", "ME c exp=-1\r\nMN\r\n")
	}
	items := []*walk.Item{{Key: []byte("a"), External: true}, {Key: []byte("b"), External: true}, {Key: []byte("c"), External: true}}
	c := peer(t, strings.Join(want, "|"), strings.Join(answers, "|"))
	if taken, err := c.fetchAll(items, true); err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	if a, b, c := items[0], items[1], items[2]; a.External || string(a.Value) != "new" || !b.Gone || !c.External || c.Gone {
		t.Errorf("%+v %+v %+v", a, b, c)
	}
}

// Items with keys that no command can have are not asked for.
func TestAskable(t *testing.T) {
	t.Parallel()
	items := []*walk.Item{{Key: []byte("a")}, {Key: bytes.Repeat([]byte{' '}, 187)}, {Key: bytes.Repeat([]byte{'k'}, 250)}}
	if got := askable(items); len(got) != 2 || got[0] != items[0] || got[1] != items[2] || items[1] == nil {
		t.Errorf("%+v", got)
	}
	if got := askable(items[:1]); len(got) != 1 || got[0] != items[0] {
		t.Errorf("%+v", got)
	}
}

// Lines of memcached's lists of keys, of all versions.
func TestParseLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"key=a exp=-1 la=1 cas=2 fetch=no cls=1 size=64":                                      "a",
		"key=a%20b%25 exp=1795676778 la=1795673178 cas=2 fetch=yes cls=1 size=64 ":            "a b%",
		"key=%D0%BA exp=-1 la=1 cas=2 fetch=no cls=1 size=64 flags=7 ext_page=0 ext_offset=5": "к",
		"exp=-1 la=1":      "",
		"key= exp=-1":      "",
		"key=%2":           "",
		"key=%zz exp=-1":   "",
		"key=a exp=-1 la=": "",
	} {
		i, err := parseLine([]byte(line))
		if want == "" {
			if err == nil {
				t.Errorf("%q: %+v", line, i)
			}
			continue
		}
		if err != nil || string(i.Key) != want || !i.External || i.Idle < 0 || i.Size > 64 || i.TTL < -1 || i.Fetched != strings.Contains(line, "fetch=yes") || (i.TTL == -1) != strings.Contains(line, "exp=-1") {
			t.Errorf("%q: %+v, %v", line, i, err)
		}
	}
}

// keys are listed in memory.
type keys []string

func (k *keys) Next() ([]byte, error) {
	if len(*k) == 0 {
		return nil, io.EOF
	}
	key := (*k)[0]
	*k = (*k)[1:]
	return []byte(key), nil
}

// Items of listed keys come in their order; the values of large ones are fetched one after the other.
func TestLister(t *testing.T) {
	t.Parallel()
	s := listens(t, "1.6.45",
		dialogue{"me a\r\nme b\r\nme c\r\nme d\r\nmn\r\n", "ME a cls=39 size=4000000\r\nEN\r\nME c cls=39 size=4000000\r\nME d cls=1 size=60\r\nMN\r\n"},
		dialogue{"mg a u f l t s c h v\r\nmn\r\n", "VA 1 f0 t-1 s1 c7\r\nA\r\nMN\r\n"},
		dialogue{"mg c u f l t s c h v\r\nmg d u f l t s c h v\r\nmn\r\n", "VA 1 f0 t-1 s1 c8\r\nC\r\nVA 1 f0 t-1 s1 c9\r\nD\r\nMN\r\n"})
	w, err := s.Walk(walk.Options{Keys: &keys{"a", "b", "c", "d"}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var got []string
	for err == nil {
		err = w.Next(func(i *walk.Item) error {
			got = append(got, fmt.Sprintf("%s=%s class %d, CAS %d, gone %t", i.Key, i.Value, i.Class, i.CAS, i.Gone))
			return nil
		})
	}
	const want = "a=A class 39, CAS 7, gone false; b= class 0, CAS 0, gone true; c=C class 39, CAS 8, gone false; d=D class 1, CAS 9, gone false"
	if s := strings.Join(got, "; "); err != io.EOF || s != want {
		t.Errorf("%s, %v\nwant %s", s, err, want)
	}
}

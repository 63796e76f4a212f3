package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/walk"
)

// hour is some seconds more than an hour, so that it, and twice it, is shown as hours for a while.
const hour = 3600 + 14

var prefixed = cache{
	{Key: []byte("user:1"), Size: 1500, TTL: hour, Flags: 1},
	{Key: []byte("user:2:x"), Size: 500, TTL: -1},
	{Key: []byte("user:3:x"), Size: 0, TTL: 2 * hour},
	{Key: []byte("page:1"), Size: 1999, TTL: -1},
	{Key: []byte("\x1b[31m:1"), Size: 1, TTL: hour},
	{Key: []byte("plain"), Size: 2, TTL: -1},
}

func TestKeys(t *testing.T) {
	const header = "  keys  values  least TTL  most TTL  never expire  prefix\n"
	path := prefixed.serve(t, nil)
	for _, tt := range []struct{ args, out, errOut string }{
		{"", header +
			"     3  2.0 kB         1h        2h             1  user:\n" +
			"     1  2.0 kB          -         -             1  page:\n" +
			"     1     2 B          -         -             1  (none)\n" +
			"     1     1 B         1h        1h             0  \"\\x1b[31m:\"\n" +
			"6 items: 6 shown, 0 in the rest (4.0 kB of values, 0.00 s, native)\n", ""},
		{"--depth 2 --limit 2", header +
			"     1  2.0 kB          -         -             1  page:\n" +
			"     1  1.5 kB         1h        1h             0  user:\n" +
			"     4   503 B         1h        2h             2  (the rest: 4)\n" +
			"6 items: 2 shown, 4 in the rest (4.0 kB of values, 0.00 s, native)\n", ""},
		{"--sort keys --limit 1", header +
			"     3  2.0 kB         1h        2h             1  user:\n" +
			"     3  2.0 kB         1h        1h             2  (the rest: 3)\n" +
			"6 items: 3 shown, 3 in the rest (4.0 kB of values, 0.00 s, native)\n", ""},
		{"--sort prefix --prefix user: --depth 9 --limit 0", header +
			"     1  1.5 kB         1h        1h             0  user:\n" +
			"     1   500 B          -         -             1  user:2:\n" +
			"     1     0 B         2h        2h             0  user:3:\n" +
			"3 items: 3 shown, 0 in the rest (2.0 kB of values, 0.00 s, native)\n", ""},
		{"--sort ttl --limit 2", header +
			"     1     1 B         1h        1h             0  \"\\x1b[31m:\"\n" +
			"     3  2.0 kB         1h        2h             1  user:\n" +
			"     2  2.0 kB          -         -             2  (the rest: 2)\n" +
			"6 items: 4 shown, 2 in the rest (4.0 kB of values, 0.00 s, native)\n", ""},
		{"--delimiter :2: --match *r:*", header +
			"     2  1.5 kB         1h        2h             0  (none)\n" +
			"     1   500 B          -         -             1  user:2:\n" +
			"3 items: 3 shown, 0 in the rest (2.0 kB of values, 0.00 s, native)\n",
			"hint: 2 of 3 keys have no \":2:\" in them: --delimiter sets what separates the parts of a key\n"},
		{"--prefix nothing", header + "0 items: 0 shown, 0 in the rest (0 B of values, 0.00 s, native)\n", ""},
	} {
		runWith(t, path, "", append([]string{"keys"}, strings.Fields(tt.args)...)...).ends(0, tt.out, tt.errOut)
	}
}

func TestKeysJSON(t *testing.T) {
	c := append(cache{{Key: []byte("\xff:1"), Size: 7, TTL: 0}}, prefixed...)
	p := start(t, c.serve(t, nil), nil, "keys", "--json", "--limit", "4")
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	var got prefixDocument
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	sum := got.Rest.Keys
	for _, g := range got.Prefixes {
		sum += g.Keys
	}
	if got.Items != 7 || sum != 7 || got.Bytes != 4009 || len(got.Prefixes) != 4 || got.Rest.Bytes != 1 || got.Merged {
		t.Errorf("%s", p.out.String())
	}
	if g := got.Prefixes[2]; g.Prefix != nil || string(g.Base64) != "\xff:" || g.Least == nil || *g.Least != 0 {
		t.Errorf("%+v", g)
	}
	if g := got.Prefixes[3]; g.Prefix == nil || *g.Prefix != "" || g.Least != nil || g.Never != 1 {
		t.Errorf("%+v", g)
	}
}

// With too many prefixes the largest are shown, and every item is counted.
func TestPrefixesMerged(t *testing.T) {
	for _, order := range []prefixOrder{"bytes", "memory", "keys", "prefix"} {
		p := newPrefixes(order)
		add := func(prefix string, size uint64) { p.add([]byte(prefix), &dump.Listed{Size: size}, 0, size) }
		const n = 5 * prefixesMax
		for i := range n {
			add(fmt.Sprintf("%d:", i), 1)
			if i%1000 == 0 {
				add("large:", 1000)
				add("", 0)
			}
			if len(p.groups) > 2*prefixesMax {
				t.Fatalf("%d prefixes are kept", len(p.groups))
			}
		}
		table := p.table(1)
		if err := table.check(&door.Dump{Written: n + 2*n/1000}); err != nil {
			t.Error(err)
		}
		if !table.merged || table.none.keys != n/1000 || table.all.bytes != n+n || table.shown[0].keys+table.rest.keys != table.all.keys {
			t.Errorf("%s: %+v", order, table)
		}
		if order != "prefix" && table.shown[0].keys != n/1000 {
			t.Errorf("%s: %+v is the largest", order, table.shown[0])
		}
		if err := table.check(&door.Dump{Written: n}); err == nil {
			t.Error("a lost item is not reported")
		}
	}
}

// Merged prefixes are reported.
func TestKeysMerged(t *testing.T) {
	var c cache
	for i := range 2*prefixesMax + 1 {
		c = append(c, walk.Item{Key: fmt.Appendf(nil, "%d:", i), Size: 1, TTL: -1})
	}
	runWith(t, c.serve(t, nil), "", "keys", "--limit", "1").ends(0, `    keys    values  least TTL  most TTL  never expire  prefix
       1       1 B          -         -             1  0:
  200000  200.0 kB          -         -        200000  (the rest)
200001 items: 1 shown, 200000 in the rest (200.0 kB of values, 0.00 s, native)
`, `warning: there are more than 100000 prefixes: the smallest were added to the rest, so the figures shown are lower bounds
hint: --delimiter, --depth and --prefix reduce their number
`)
}

func TestShownKey(t *testing.T) {
	for key, want := range map[string]string{
		"user:1": "user:1", "ключ": "ключ", "a b": `"a b"`, "a\n": `"a\n"`, "\xff": `"\xff"`, `"a"`: `"\"a\""`, `a"b`: `a"b`, "a\\n": "a\\n",
		"\u202egpj": `"\u202egpj"`, "": "", "a\u00a0b": `"a\u00a0b"`, "�": "�",
	} {
		if got := shownKey([]byte(key)); got != want {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0s", 59: "59s", 60: "1m", 61: "1m1s", 3599: "59m59s", 3600: "1h", 5400: "1h30m", 5429: "1h30m", 5430: "1h31m", 86399: "1d", 86369: "23h59m",
		172799: "2d", 2*86400 + 3*3600: "2d3h", record.TTLMax: "24855d3h",
	} {
		if got := span(seconds); got != want {
			t.Errorf("%d: %s, want %s", seconds, got, want)
		}
	}
}

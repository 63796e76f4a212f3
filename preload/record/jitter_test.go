package record

import (
	"fmt"
	"testing"
)

// lives are the times to live of n items that a row makes.
func lives(t *testing.T, o Options, row string, n int) (seconds []int64) {
	t.Helper()
	o.Format, o.ValueMax = JSONL, 1<<20
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		var row1 Row
		if kind := p.Next([]byte(row), true, &row1); kind != Item {
			t.Fatalf("kind %d: %s", kind, row1.Reason)
		}
		seconds = append(seconds, row1.TTL)
	}
	return seconds
}

// TestJitter: times to live are spread evenly over the part that may be taken off, and never are longer than asked.
func TestJitter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n, ttl      int
		jitter      string
		least, most int64
	}{
		{100_000, 1000, "10%", 900, 1000},
		{10_000, 1000, "0.5%", 995, 1000}, {10_000, 1000, "100%", 1, 1000}, {10_000, 3 * 24 * 60 * 60, "12.5%", 226800, 259200}, {10_000, TTLMax, "100%", 1, TTLMax},
		{100, 9, "10%", 9, 9}, {100, 1, "100%", 1, 1}, {100, 0, "10%", 0, 0},
	} {
		row := fmt.Sprintf(`{"key":"user:{n}","size":0,"count":%d,"ttl":%d}`, test.n, test.ttl)
		parts := min(test.most-test.least+1, 101)
		share := make([]int, parts)
		for _, s := range lives(t, Options{TTLJitter: test.jitter}, row, test.n) {
			if s < test.least || s > test.most {
				t.Fatalf("%d s with %s: %d s", test.ttl, test.jitter, s)
			}
			share[(s-test.least)*parts/(test.most-test.least+1)]++
		}
		for part, n := range share {
			// Some hundred items in a part, at least: half of them are five standard deviations.
			if even := test.n / int(parts); n < even/2 || n > even*3/2 {
				t.Errorf("%d s with %s: part %d of %d has %d items, not about %d", test.ttl, test.jitter, part, parts, n, even)
			}
		}
	}
}

// TestJitterIsOfTheKey: it is the same in all formats and from each source of a time to live, also on another day and another machine.
func TestJitterIsOfTheKey(t *testing.T) {
	t.Parallel()
	timed := func(key string, ttl int64) found { return found{kind: Item, key: key, value: "v", ttl: ttl} }
	a, b := timed("user:1", 0), timed("user:2", 0)
	a.ttl, b.ttl = lives(t, Options{TTLJitter: "10%"}, `{"key":"user:1","value":1,"ttl":1000}`, 1)[0], lives(t, Options{TTLJitter: "10%"}, `{"key":"user:2","value":1,"ttl":1000}`, 1)[0]
	if a.ttl != 961 || b.ttl != 934 {
		t.Errorf("%d s and %d s, which is not what it always was", a.ttl, b.ttl)
	}
	o := Options{TTL: 1000, TTLJitter: "10%"}
	with := func(format Format, key, column string, ttl int64) Options {
		return Options{Format: format, TTL: ttl, TTLJitter: "10%", Key: key, Value: "2", TTLColumn: column}
	}
	run(t, "", []parserTest{
		{"raw", o, "user:1\tv\nuser:2\tv\n", []found{a, b}},
		{"csv", with(CSV, "user:{1}", "", 1000), "1,v\n2,v\n", []found{a, b}},
		{"csv, column", with(CSV, "1", "3", 7), "user:1,v,1000\nuser:2,v,1000s\nuser:3,v,0\nuser:4,v,-1\n", []found{a, b, timed("user:3", 0), skip(Expired)}},
		{"jsonl, dates", Options{Format: JSONL, TTLJitter: "10%", TTL: 1000}, fmt.Sprintf(`{"key":"user:1","value":"v"}
{"key":"k","value":"v","expires":%d}
{"key":"l","value":"v","expires":0}
{"key":"m","value":"v","expired":true}`, now+1000), []found{a, timed("k", 1000), timed("l", 0), timed("m", Past)}},
	})
}

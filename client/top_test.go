package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/dump"
)

var ranked = cache{
	{Key: []byte("large"), Size: 5000, TTL: hour, Flags: 7},
	{Key: []byte("small"), Size: 5, TTL: -1, Idle: hour},
	{Key: []byte("old\n"), Size: 50, TTL: 2 * hour, Idle: 3*hour - 20},
	{Key: []byte("user:1"), Size: 500, TTL: -1, Idle: 2 * hour, Flags: 1<<32 - 1},
}

func TestTop(t *testing.T) {
	path := ranked.serve(t, nil)
	for _, tt := range []struct{ args, out string }{
		{"--limit 2", `   value    TTL  idle       flags  key
  5.0 kB     1h    0s           7  large
   500 B  never    2h  4294967295  user:1
2 of 4 items shown (5.5 kB of 5.6 kB of values, 0.00 s, native)
`},
		{"--by ttl --limit 3", `  value    TTL  idle       flags  key
  500 B  never    2h  4294967295  user:1
    5 B  never    1h           0  small
   50 B     2h    3h           0  "old\n"
3 of 4 items shown (555 B of 5.6 kB of values, 0.00 s, native)
`},
		{"--by idle --match *l*", `   value    TTL  idle  flags  key
    50 B     2h    3h      0  "old\n"
     5 B  never    1h      0  small
  5.0 kB     1h    0s      7  large
3 of 3 items shown (5.1 kB of 5.1 kB of values, 0.00 s, native)
`},
		{"--prefix nothing", "  value  TTL  idle  flags  key\n0 of 0 items shown (0 B of 0 B of values, 0.00 s, native)\n"},
	} {
		runWith(t, path, "", append([]string{"top"}, strings.Fields(tt.args)...)...).ends(0, tt.out, "")
	}
}

func TestTopJSON(t *testing.T) {
	c := append(cache{{Key: []byte("\xff"), Size: 1e6, TTL: 0}}, ranked...)
	p := start(t, c.serve(t, nil), nil, "top", "--json", "--limit", "3")
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	var got topDocument
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Items != 5 || got.Bytes != 1e6+5555 || len(got.Top) != 3 {
		t.Fatalf("%s", p.out.String())
	}
	if i := got.Top[0]; i.Key != nil || string(i.Base64) != "\xff" || i.TTL == nil || *i.TTL != 0 {
		t.Errorf("%+v", i)
	}
	if i := got.Top[2]; i.Key == nil || *i.Key != "user:1" || i.TTL != nil || i.Idle < 2*hour || i.Flags != 1<<32-1 {
		t.Errorf("%+v", i)
	}
}

// The items that are kept are the first of all items in the order, and no more.
func TestRanking(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, by := range []string{"size", "ttl", "idle"} {
		for _, limit := range []int{1, 2, 7, 5000} {
			r := ranking{by: by, limit: limit}
			var all []dump.Listed
			key := make([]byte, 0, 8)
			for n := range 3000 {
				key = fmt.Appendf(key[:0], "%d", n)
				i := dump.Listed{Key: key, Size: random.Uint64N(50), Expires: random.Int64N(50), Used: random.Int64N(50)}
				r.add(&i)
				i.Key = []byte(string(key))
				all = append(all, i)
				if len(r.first) > 2*limit {
					t.Fatalf("%d are kept", len(r.first))
				}
			}
			r.cut()
			slices.SortFunc(all, func(a, b dump.Listed) int { return r.compare(&a, &b) })
			if got, want := fmt.Sprint(r.first), fmt.Sprint(all[:min(limit, len(all))]); got != want {
				t.Errorf("%s, %d: %.200s, want %.200s", by, limit, got, want)
			}
		}
	}
}

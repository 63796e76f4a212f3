package main

import (
	"encoding/json"
	"strings"
	"testing"

	"memcached-backdoor/preload/walk"
)

// Every time is in the bin whose name says so, and what is left after the last bin never expires.
func TestHistogram(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "under 10s", 9: "under 10s", 10: "10s to 30s", 59: "30s to 1m", 60: "1m to 2m", 3599: "30m to 1h", 3600: "1h to 2h",
		86399: "12h to 1d", 86400: "1d to 2d", 365*86400 - 1: "90d to 365d", 365 * 86400: "365d or more", 1 << 40: "365d or more",
	} {
		var h histogram
		h.add(seconds, bin{1, 2, 3})
		shown := h.shown()
		if len(shown) != 1 || shown[0].name() != want || shown[0].bin != (bin{1, 2, 3}) || shown[0].left != (bin{}) {
			t.Errorf("%d: %+v", seconds, shown)
		}
	}
	var h histogram
	if len(h.shown()) != 0 || h.within(0.5) != 0 {
		t.Errorf("%+v", h)
	}
	h.add(5, bin{2, 20, 200})
	h.add(45, bin{1, 10, 700})
	h.never = bin{1, 1, 100}
	shown := h.shown()
	if len(shown) != 3 || shown[0].left != (bin{2, 11, 800}) || shown[1].left != (bin{2, 11, 800}) || shown[2].left != h.never {
		t.Errorf("%+v", shown)
	}
	if a, b, c := h.within(0.2), h.within(0.9), h.within(0.91); a != 10 || b != 60 || c != 0 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
}

var expiring = cache{
	{Key: []byte("a"), Size: 1000, TTL: 25}, {Key: []byte("b"), Size: 500, TTL: 100}, {Key: []byte("c"), Size: 2500, TTL: -1}, {Key: []byte("d"), Size: 1, TTL: 100},
}

func TestTTL(t *testing.T) {
	path := expiring.serve(t, nil)
	for _, tt := range []struct{ locale, args, out string }{
		{"C", "", `                                                        keys  values  left then
10s to 30s  #################                              1  1.0 kB      75.0%
30s to 1m                                                  0     0 B      75.0%
1m to 2m    ########                                       2   501 B      62.5%
never       ##########################################     1  2.5 kB      62.5%
4 items: 3 expiring, 1 for ever (4.0 kB of values, 0.00 s, native)
`},
		{"en_US.UTF-8", "--match [ab]", `                                                        keys  values  left then
0 items: 0 expiring, 0 for ever (0 B of values, 0.00 s, native)
`},
		{"en_US.UTF-8", "--prefix b", `                                                        keys  values  left then
1m to 2m  ████████████████████████████████████████████     1   500 B         0%
1 item: 1 expiring, 0 for ever (500 B of values, 0.00 s, native)
`},
	} {
		t.Setenv("LC_ALL", tt.locale)
		runWith(t, path, "", append([]string{"ttl"}, strings.Fields(tt.args)...)...).ends(0, tt.out, "")
	}
}

func TestTTLJSON(t *testing.T) {
	p := start(t, expiring.serve(t, nil), nil, "ttl", "--json")
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	var got ttlDocument
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Items != 4 || got.Bytes != 4001 || got.Never != (ttlNever{1, 2500}) || len(got.TTL) != 3 {
		t.Fatalf("%s", p.out.String())
	}
	if b := got.TTL[2]; b.From != 60 || *b.To != 120 || b.Keys != 2 || b.Bytes != 501 {
		t.Errorf("%+v", b)
	}
	last := start(t, cache{walk.Item{Key: []byte("a"), TTL: 400 * 86400}}.serve(t, nil), nil, "ttl", "--json")
	if err := last.Wait(); err != nil || strings.Contains(last.out.String(), `"to"`) {
		t.Errorf("%v: %s", err, last.out.String())
	}
}

package protocol

import (
	"strings"
	"testing"
)

// A list waits for a growth that is near, and not for a table that is nearly full and stays so.
func TestGrowsSoon(t *testing.T) {
	t.Parallel()
	const most = 98_304 // of 2^16 buckets
	for _, tt := range []struct {
		name        string
		before, now fill
		want        bool
	}{
		{"empty", fill{}, fill{}, false},
		{"half full", fill{items: most / 2}, fill{items: most / 2}, false},
		{"nearly full", fill{items: most * 98 / 100}, fill{items: most * 98 / 100}, false},
		{"full but for a moment", fill{items: most - 900}, fill{items: most - 900}, true},
		{"full", fill{items: most}, fill{items: most}, true},
		{"fuller, memcached's clock has not ticked", fill{items: 2 * most}, fill{items: 2 * most}, true},
		{"fills slowly", fill{items: 20_000}, fill{items: 21_000}, false},
		{"fills fast", fill{items: 20_000}, fill{items: 24_000}, true},
		{"becomes empty", fill{items: most}, fill{items: 0}, false},
		{"grows", fill{items: 1, growing: true}, fill{items: 1}, true},
		{"has begun to grow", fill{items: 1}, fill{items: 1, growing: true}, true},
	} {
		tt.before.most, tt.now.most = most, most
		if got := growsSoon(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// It looks until a growth is over, and what is no statistic is an error.
func TestAwaitGrowth(t *testing.T) {
	t.Parallel()
	answer := func(items, power, growing string) string {
		return "STAT curr_items " + items + "\r\nSTAT hash_power_level " + power + "\r\nSTAT hash_is_expanding " + growing + "\r\nEND\r\n"
	}
	asks := func(n int) string { return strings.TrimSuffix(strings.Repeat("stats\r\n|", n), "|") }
	full, grows, done := answer("98400", "16", "0"), answer("98400", "17", "1"), answer("98400", "17", "0")
	if err := peer(t, asks(5), strings.Join([]string{full, full, grows, done, done}, "|")).awaitGrowth(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{answer("", "16", "0"), answer("1", "x", "0"), answer("1", "63", "0"), "END\r\n", "ERROR\r\n"} {
		if err := peer(t, asks(1), bad).awaitGrowth(); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

package hot

import (
	"fmt"
	"strings"
	"testing"
)

// The lines are memcached's, of 1.6.9 to 1.6.45.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ts=1.2 gid=3 type=item_get key=user%3A1 status=found clsid=5 cfd=31 size=100":                    "1 user%3A1 true 100 true 31",
		"ts=1.2 gid=3 type=item_get key=k status=not_found clsid=0 cfd=31 size=0":                         "1 k false 0 true 31",
		"ts=1.2 gid=3 type=item_get key=k status=flushed clsid=0 cfd=7 size=0":                            "1 k false 0 true 7",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31":                                    "1 k true 0 false 31",
		"ts=1.2 gid=3 type=item_store key=%00%FF status=stored cmd=set ttl=0 clsid=1 cfd=-9 size=2":       "2 %00%FF false 2 true 0",
		"ts=1.2 gid=3 type=item_store key=k status=too_large cmd=na ttl=0 clsid=1 cfd=12 size=1000000000": "2 k false 1000000000 true 12",
		"skipped=17":                   "3  17",
		"skipped=":                     "0",
		"skipped=99999999999999999999": "0",
		"ts=1.2 gid=3 type=eviction key=k fetch=yes ttl=-1 la=2 clsid=1 size=2": "0",
		"ts=1.2 gid=3 type=item_get key= status=found clsid=1 cfd=1 size=2":     "0",
		"ts=1.2 gid=3 type=item_get key=k":                                      "0",
		"":                                                                      "0",
		"OK":                                                                    "0",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31 size=x":                          "1 k true 0 false 31",
		"ts=1.2 gid=3 type=item_get key=k ":                                                            "1 k false 0 false 0",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31 size=" + strings.Repeat("9", 40): "1 k true 0 false 31",
	} {
		l := parse([]byte(text))
		got := fmt.Sprint(int(l.kind))
		switch l.kind {
		case lookup, store:
			size, stated := l.size()
			got = fmt.Sprint(int(l.kind), " ", string(l.key), " ", l.kind == lookup && l.found(), " ", size, " ", stated, " ", l.client())
		case skipped:
			got = fmt.Sprint(int(l.kind), "  ", l.count)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// get and set are the lines of a request of a client.
func get(client int, key, status string, size int) string {
	return fmt.Sprintf("ts=1.2 gid=3 type=item_get key=%s status=%s clsid=5 cfd=%d size=%d\n", key, status, client, size)
}

func set(client int, key, status string, before, size int) string {
	return get(client, key, status, before) +
		fmt.Sprintf("ts=1.2 gid=3 type=item_store key=%s status=stored cmd=set ttl=0 clsid=5 cfd=%d size=%d\n", key, client, size)
}

// A store is one request, however its lines are mixed with others'; with lookups only it is that of its key.
func TestPending(t *testing.T) {
	t.Parallel()
	const both = true
	for _, tt := range []struct {
		name   string
		stores bool
		lines  string
		want   string // of each key: requests, bytes and misses; then own and others
	}{
		{"gets", both, get(1, "a", "found", 5) + get(1, "a", "not_found", 0) + get(2, "b", "expired", 0), "a 2 5 1, b 1 0 1; 0 0"},
		{"a set", both, set(1, "a", "not_found", 0, 7), "a 1 7 0; 1 0"},
		{"a miss and a set of it", both, get(1, "a", "not_found", 0) + set(1, "a", "not_found", 0, 7), "a 2 7 1; 1 0"},
		{"a set over a value", both, set(1, "a", "found", 100, 7), "a 1 7 0; 1 0"},
		{"sets of two workers", both, get(1, "a", "not_found", 0) + get(2, "a", "found", 9) +
			strings.SplitAfter(set(2, "a", "", 0, 7), "\n")[1] + strings.SplitAfter(set(1, "a", "", 0, 8), "\n")[1], "a 2 15 0; 2 0"},
		{"a store whose lookup was lost", both, get(1, "b", "found", 1) + strings.SplitAfter(set(1, "a", "", 0, 8), "\n")[1], "a 1 8 0, b 1 1 0; 0 0"},
		{"the lookup of another store", both, set(1, "a", "found", 1, 2) + strings.SplitAfter(set(1, "a", "", 0, 8), "\n")[1], "a 2 10 0; 1 0"},
		{"lookups only", false, get(1, "a", "not_found", 0) + get(1, "a", "found", 3), "a 2 3 1; 0 0"},
		{"others", both, "ts=1.2 gid=3 type=eviction key=a fetch=no ttl=0 la=0 clsid=1 size=1\n" + get(1, "a", "found", 3), "a 1 3 0; 0 1"},
	} {
		s := &search{pending: newPending(tt.stores)}
		if n := s.count([]byte(tt.lines)); n != uint64(strings.Count(tt.lines, "\n")) || n != s.pending.seen+s.pending.own+s.pending.others {
			t.Errorf("%s: %d lines, %+v", tt.name, n, s.pending)
		}
		var keys []string
		for _, key := range []string{"a", "b"} {
			if place, ok := s.pending.places[key]; ok {
				sum := s.pending.tallies[place]
				keys = append(keys, fmt.Sprint(key, " ", sum.requests, " ", sum.bytes, " ", sum.misses))
			}
		}
		if got := fmt.Sprintf("%s; %d %d", strings.Join(keys, ", "), s.pending.own, s.pending.others); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

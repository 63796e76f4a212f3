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
		"ts=1.2 gid=3 type=item_get key=user%3A1 status=found clsid=5 cfd=31 size=100":        "1 user%3A1 true 100 true",
		"ts=1.2 gid=3 type=item_get key=k status=not_found clsid=0 cfd=31 size=0":             "1 k false 0 true",
		"ts=1.2 gid=3 type=item_get key=k status=flushed clsid=0 cfd=7 size=0":                "1 k false 0 true",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31":                        "1 k true 0 false",
		"ts=1.2 gid=3 type=item_store key=k status=stored cmd=set ttl=0 clsid=1 cfd=9 size=2": "0",
		"skipped=17":                   "2  17",
		"skipped=":                     "0",
		"skipped=99999999999999999999": "0",
		"ts=1.2 gid=3 type=eviction key=k fetch=yes ttl=-1 la=2 clsid=1 size=2": "0",
		"ts=1.2 gid=3 type=item_get key= status=found clsid=1 cfd=1 size=2":     "0",
		"ts=1.2 gid=3 type=item_get key=k":                                      "0",
		"":                                                                      "0",
		"OK":                                                                    "0",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31 size=x":                          "1 k true 0 false",
		"ts=1.2 gid=3 type=item_get key=k ":                                                            "1 k false 0 false",
		"ts=1.2 gid=3 type=item_get key=k status=found clsid=5 cfd=31 size=" + strings.Repeat("9", 40): "1 k true 0 false",
	} {
		l := parse([]byte(text))
		got := fmt.Sprint(int(l.kind))
		switch l.kind {
		case lookup:
			size, stated := l.size()
			got = fmt.Sprint(int(l.kind), " ", string(l.key), " ", l.found(), " ", size, " ", stated)
		case skipped:
			got = fmt.Sprint(int(l.kind), "  ", l.count)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// get is the line of a lookup.
func get(key, status string, size int) string {
	return fmt.Sprintf("ts=1.2 gid=3 type=item_get key=%s status=%s clsid=5 cfd=31 size=%d\n", key, status, size)
}

// Each lookup is a request of its key.
func TestPending(t *testing.T) {
	t.Parallel()
	s := &search{pending: newPending()}
	lines := get("a", "found", 5) + get("a", "not_found", 0) + get("b", "expired", 0) + get("a", "flushed", 0) + get("b", "found", 3) +
		"ts=1.2 gid=3 type=eviction key=a fetch=no ttl=0 la=0 clsid=1 size=1\n"
	if n := s.count([]byte(lines)); n != 6 || s.pending.seen != 5 || s.pending.others != 1 {
		t.Errorf("%d lines, %+v", n, s.pending)
	}
	for key, want := range map[string]tally{"a": {3, 5, 2}, "b": {2, 3, 1}} {
		if got := s.pending.tallies[s.pending.places[key]]; got != want {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

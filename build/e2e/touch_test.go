package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// Items get the time to live that is asked for, and no other item does; where that cannot be had it is refused.
func TestTouch(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.store(map[string]entry{"a": {value: "1"}, "b": {value: "2"}, "c": {value: "3", date: in(5000)}, "d": {value: strings.Repeat("x", 800_000)}})
		s.load(door.Request{}, rowsOf("k", 1000))
		if !h.native() {
			for _, args := range [][]string{{"--yes"}, {"--dry-run"}} {
				_, stderr, status := s.client(nil, append([]string{"touch", "--ttl", "100", "--match", "*"}, args...)...)
				if status != 11 || !strings.Contains(stderr, "cannot touch an item only if it is still the same") {
					t.Errorf("status %d: %s", status, stderr)
				}
			}
			if n := s.metaTTL("a"); n != -1 {
				t.Errorf("a lasts for %d s", n)
			}
			return
		}
		unique, date := s.unique("a"), s.date("c")
		began := s.clock()
		if c := s.change("touch", "--ttl", "1h", "--never-expires", "--match", "?"); c.Changed != 3 || c.Spared != 1001 {
			t.Errorf("%+v", c)
		}
		for _, key := range []string{"a", "b", "d"} {
			s.lasts(key, 3600, began)
		}
		if now := s.date("c"); now != date || s.metaTTL("k_1") != -1 || s.unique("a") != unique {
			t.Errorf("c expires at %d, before at %d, k_1 lasts for %d s", now, date, s.metaTTL("k_1"))
		}
		if c := s.change("touch", "--ttl", "0", "--yes", "--prefix", "a"); c.Changed != 1 {
			t.Errorf("%+v", c)
		}
		if n := s.metaTTL("a"); n != -1 {
			t.Errorf("a lasts for %d s", n)
		}
		touched := time.Now()
		s.change("touch", "--ttl", "100000", "--ttl-jitter", "50%", "--prefix", "k_")
		different := map[int]bool{}
		for i := range 1000 {
			ttl := s.metaTTL(fmt.Sprint("k_", i))
			different[ttl] = true
			if passed := int(time.Since(touched)/time.Second) + 2; ttl < 50_000-passed || ttl > 100_000 { // two clocks that tick
				t.Fatalf("k_%d lasts for %d s", i, ttl)
			}
		}
		if len(different) < 900 {
			t.Errorf("1000 items have %d times to live", len(different))
		}
		same(t, "memcached", s.serves(map[string]entry{"a": {}}), map[string]entry{"a": {value: "1"}})
		// The library's clock may be a second behind memcached's: an item that is to last for 1 s must not expire at once.
		ttl := 0
		s.inOneSecond(func() {
			if c := s.change("touch", "--ttl", "1", "--min-size", "800000"); c.Changed != 1 {
				t.Errorf("%+v", c)
			}
			ttl = s.metaTTL("d")
		})
		if ttl < 1 {
			t.Errorf("d lasts for %d s", ttl)
		}
		wait(t, "the end of d", func() error {
			if lines := s.tells("mg d s u\r\n"); lines[0] != "EN" {
				return fmt.Errorf("%q", lines)
			}
			return nil
		})
	})
}

// Items that are invalidated are served as stale, and one client is told to make the value anew.
func TestInvalidate(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.tells("ms YSBi 1 b\r\n1\r\n")
		s.store(map[string]entry{"a": {value: "1"}, "b": {value: "22", date: in(5000)}, "large": {value: strings.Repeat("x", 700_000)}})
		c := s.change("delete", "--invalidate", "--yes", "--match", "*", "--min-size", "1")
		if c.Changed != 4 || c.Engine != door.EngineProtocol || h.native() && !strings.Contains(c.EngineReason, "by its command md") {
			t.Errorf("%+v", c)
		}
		for _, key := range []string{"a", "b", "large", "YSBi b"} {
			for _, want := range []string{"W X", "X Z"} {
				words := strings.Fields(s.tells("mg " + key + " u s\r\n")[0])
				slices.Sort(words)
				marks := slices.DeleteFunc(words, func(word string) bool { return !slices.Contains([]string{"W", "X", "Z"}, word) })
				if got := strings.Join(marks, " "); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
		}
		s.tells("ms a 1\r\n3\r\n")
		if line := s.tells("mg a s u\r\n")[0]; line != "HD s1" {
			t.Errorf("a is made anew, and %s", line)
		}
	})
}

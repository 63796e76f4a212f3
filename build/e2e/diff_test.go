package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// compared is what diff prints: its lines in order, and its counts.
func (s *server) compared(status int, args ...string) (lines []string, counts map[string]int) {
	s.t.Helper()
	out, errOut, got := s.client(nil, append([]string{"diff"}, args...)...)
	if got != status || errOut != "" {
		s.t.Fatalf("status %d: %.2000s%s", got, out, errOut)
	}
	lines = strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	counts = map[string]int{}
	for _, count := range regexp.MustCompile(`(\d+) (?:items? )?(in the dump|in the cache|same|changed|missing|added|expired|damaged in the dump)`).FindAllStringSubmatch(lines[len(lines)-1], -1) {
		counts[count[2]], _ = strconv.Atoi(count[1])
	}
	lines = lines[:len(lines)-1]
	slices.Sort(lines)
	return lines, counts
}

// What has been changed is what differs, and nothing else.
func TestDiff(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		s.inspect()
		s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(`{"key":"moment","value":"v","ttl":12}`+"\n"))
		file := filepath.Join(t.TempDir(), "dump")
		if out, errOut, status := s.client(nil, "dump", file); status != 0 {
			t.Fatalf("status %d: %s%s", status, out, errOut)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines, counts := s.compared(0, file)
		if len(lines) > 0 || counts["in the dump"] != 200_002 || counts["same"]+counts["expired"] != 200_002 {
			t.Errorf("%q, %v", lines, counts)
		}

		c := s.cache()
		for what, err := range map[string]error{
			"set":    c.Set(&memcache.Item{Key: "user:1", Value: []byte("other"), Flags: 7}),
			"flags":  c.Set(&memcache.Item{Key: "page_1", Value: []byte("1"), Flags: 9}),
			"delete": errors.Join(c.Delete("page_3"), c.Delete("session:eu:77")),
			"touch":  c.Touch("session:us:5", 60),
			"add":    c.Add(&memcache.Item{Key: "user:3", Value: []byte("new")}),
		} {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		s.setBinary("two")
		wait(t, "an item that expires", func() error {
			if _, err := c.Get("moment"); err != memcache.ErrCacheMiss {
				return fmt.Errorf("get: %v", err)
			}
			return nil
		})
		want := []string{`+ user:3`, `- page_3`, `- session:eu:77`, `~ "\x00bin ary\n:\xff" value`, `~ page_1 flags`, `~ session:us:5 ttl`, `~ user:1 value`}
		lines, counts = s.compared(3, file)
		if !slices.Equal(lines, want) {
			t.Errorf("%q\nwant %q", lines, want)
		}
		if s := fmt.Sprint(counts); s != "map[added:1 changed:4 expired:1 in the cache:200000 in the dump:200002 missing:2 same:199995]" {
			t.Error(s)
		}
		lines, _ = s.compared(3, "--prefix", "session:", "--match", "*5", "--ttl-tolerance", "2h", file)
		if want = []string{"~ session:us:5 ttl"}; !slices.Equal(lines, want) { // 3 hours, and now one minute
			t.Errorf("%q", lines)
		}
		lines, counts = s.compared(0, "--prefix", "session:us:", "--ttl-tolerance", "3h", file)
		if len(lines) > 0 || counts["same"] != 49_990 {
			t.Errorf("%q, %v", lines, counts)
		}

		// A bit of an item's value, and then the end of the dump.
		at := strings.Index(string(text), "ms page_3 ") // which is missing
		text[at+strings.Index(string(text[at:]), "\r\n3\r\n")+2] ^= 1
		lines, counts = s.compared(3, written(t, "damaged", text))
		if slices.Contains(lines, "- page_3") || counts["damaged in the dump"] != 1 || counts["missing"] != 1 {
			t.Errorf("%q, %v", lines, counts)
		}
		out, errOut, status := s.client(nil, "diff", written(t, "cut", text[:len(text)/2]))
		if status != 1 || !strings.HasPrefix(errOut, "error: the dump is not complete: ") || !strings.Contains(out, " in the cache: ") {
			t.Errorf("status %d: %.200s%s", status, out, errOut)
		}
		s.lives()
	})
}

// A cache that a dump was restored into is that which was dumped.
func TestDiffRestored(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(inspected)); l.Stored != 200_000 {
			t.Fatalf("%+v", l)
		}
		file := filepath.Join(t.TempDir(), "dump")
		other := start(t, h.program, "-m", "256")
		for _, do := range []func() (string, string, int){
			func() (string, string, int) { return s.client(nil, "dump", file) },
			func() (string, string, int) { return other.client(nil, "restore", file) },
		} {
			if out, errOut, status := do(); status != 0 {
				t.Fatalf("status %d: %s%s", status, out, errOut)
			}
		}
		lines, counts := other.compared(0, file)
		if len(lines) > 0 || counts["same"] != 200_000 {
			t.Errorf("%.1000q, %v", lines, counts)
		}
	})
}

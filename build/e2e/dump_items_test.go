package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// What has expired or was flushed is not in a dump, also while memcached has not noticed it.
func TestDumpWithoutExpired(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-o", "no_lru_crawler")
		if !h.native() { // which lists the keys with its crawler
			s = start(t, h.program)
		}
		rows := `{"key":"expired{n}","value":"v","expired":true,"count":100}
{"key":"moment{n}","value":"v","ttl":1,"count":100}
{"key":"stays{n}","value":"v","ttl":1000,"count":100}
`
		s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows))
		if n := s.stat("", "curr_items"); n < 200 {
			t.Errorf("%d items", n)
		}
		wait(t, "a dump without those of a moment", func() error {
			path, d := s.dump()
			for key := range dumped(t, path) {
				if strings.HasPrefix(key, "expired") {
					t.Fatalf("%s is there", key)
				}
			}
			if d.Items != 100 {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})

		s.ask("flush_all", regexp.MustCompile("^OK"))
		wait(t, "a dump after flush_all", func() error { // which is at the end of memcached's second
			if _, d := s.dump(); d.Items != 0 {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})
		s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows))
		s.ask("flush_all 1", regexp.MustCompile("^OK"))
		flushed := time.Now()
		wait(t, "a dump after flush_all 1", func() error {
			if _, d := s.dump(); d.Items != 0 {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})
		if took := time.Since(flushed); took > 5*time.Second {
			t.Errorf("items were there for %v", took)
		}
		s.lives()
	})
}

// Items whose values memcached has moved to a disk are in the dump with their values, as they were stored.
func TestDumpExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		s := start(t, h.program, "-m", "512", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")
		want := map[string]entry{}
		for i := range 6000 {
			e := entry{value: fmt.Sprintf("%d_%s", i, strings.Repeat("v\r\n", i%1500))}
			if i%3 == 0 {
				e.flags, e.date = uint64(i)+1, in(5000)
			}
			want[fmt.Sprint("k", i)] = e
		}
		want["large"] = entry{value: strings.Repeat("0123456789abcdef", 40_000)}
		s.store(want)
		wait(t, "items on the disk", func() error {
			if n := s.stat("", "extstore_objects_written"); n < 2000 {
				return fmt.Errorf("%d objects are written", n)
			}
			return nil
		})
		path, d := s.dump()
		if d.Items != uint64(len(want)) || d.Lost != 0 {
			t.Errorf("%+v", d)
		}
		same(t, "the dump", dumped(t, path), want, s, s)
		if n := s.stat("", "extstore_objects_read"); n == 0 {
			t.Error("nothing was read from the disk")
		}
		keys, _ := s.dump("--keys-only")
		if n := strings.Count(read(t, keys), "\n"); n != len(want) {
			t.Errorf("%d keys", n)
		}
		same(t, "memcached", s.serves(want), want, s)
		s.lives()
	})
}

// What is removed from extstore does not count there any longer: memcached frees a page with nothing in it, and compacts by
// that count.
func TestRemoveFromExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for name, args := range map[string][]string{"with CAS uniques": nil, "without": {"-C"}} {
			t.Run(name, func(t *testing.T) {
				storage := filepath.Join(t.TempDir(), "storage")
				s := start(t, h.program, append(args, "-m", "512", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")...)
				const n = 3000
				items := map[string]entry{}
				var rejects strings.Builder
				for i := range n {
					items[fmt.Sprint("k", i)] = entry{value: strings.Repeat("v", 1000)}
					fmt.Fprintf(&rejects, "k%d\tv\tno flags\n", i)
				}
				s.store(items)
				wait(t, "items on the disk", func() error {
					if n := s.stat("", "extstore_objects_used"); n < 1000 {
						return fmt.Errorf("%d objects are used", n)
					}
					return nil
				})
				s.outcome(strings.NewReader(rejects.String()), account{rows: n, rejected: n}, "--from", "tsv", "--key", "1", "--value", "2", "--flags-column", "3")
				for _, name := range []string{"curr_items", "extstore_objects_used", "extstore_bytes_used"} {
					if n := s.stat("", name); n != 0 {
						t.Errorf("%s is %d", name, n)
					}
				}
				s.lives()
			})
		}
	})
}

// Only what is asked for is dumped, and the rest is counted; each format can be loaded again.
func TestDumpFilters(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		all := map[string]entry{
			"user:1": {"one", 1, 0}, "user:2": {"two\r\nlines", 1<<32 - 1, in(600)}, "user:30": {"\x00\xff binary", 0, in(6000)},
			"page:/a/b.html": {`<a href="x">`, 0, in(60)}, "page:/c.css": {"", 5, 0}, "a,b": {"комма", 0, 0}, `q"`: {`\`, 9, in(86_400 * 100)},
			"100%": {"%41", 0, 0}, "{n}": {"{n}", 0, 0},
		}
		s.store(all)
		for filter, test := range map[string]struct {
			args []string
			keep func(key string, e entry) bool
		}{
			"nothing":    {nil, func(string, entry) bool { return true }},
			"prefix":     {[]string{"--prefix", "user:"}, func(key string, _ entry) bool { return strings.HasPrefix(key, "user:") }},
			"match":      {[]string{"--match", "*/?.*"}, func(key string, _ entry) bool { return key == "page:/c.css" || key == "page:/a/b.html" }},
			"ttl":        {[]string{"--min-ttl", "10m30s"}, func(_ string, e entry) bool { return e.date == 0 || e.date > in(630) }},
			"all three":  {[]string{"--prefix", "user:", "--match", "*:?", "--min-ttl", "100"}, func(key string, _ entry) bool { return key == "user:1" || key == "user:2" }},
			"none there": {[]string{"--prefix", "x"}, func(string, entry) bool { return false }},
		} {
			want := map[string]entry{}
			for key, e := range all {
				if test.keep(key, e) {
					want[key] = e
				}
			}
			path, d := s.dump(test.args...)
			same(t, filter, dumped(t, path), want, s, s)
			if d.Written != uint64(len(want)) || d.Items > uint64(len(all)) || !strings.Contains(filter, "prefix") && filter != "all three" && filter != "none there" && d.Items != uint64(len(all)) {
				t.Errorf("%s: %+v", filter, d)
			}
			for format, load := range map[string][]string{
				"ms":    {"--from", "memcached"},
				"jsonl": {"--from", "jsonl"},
				"csv":   {"--from", "csv", "--header", "--key", "key", "--value", "value", "--flags-column", "flags", "--expires-column", "expires"},
			} {
				path, d := s.dump(append([]string{"--format", format}, test.args...)...)
				to := start(t, h.other(t))
				n := uint64(len(want))
				done := to.observe()
				to.outcome(nil, account{rows: n, stored: n}, append(load, path)...)
				done()
				same(t, filter+" as "+format, to.serves(all), want, s, s, to)
				if d.Written != n {
					t.Errorf("%s as %s: %+v", filter, format, d)
				}
			}
			keys, _ := s.dump(append([]string{"--keys-only"}, test.args...)...)
			if got := read(t, keys); strings.Count(got, "\n") != len(want) || filter == "nothing" && (!strings.Contains(got, "user:30\n") || !strings.Contains(got, "100%25\n")) {
				t.Errorf("%s, keys only: %q", filter, got)
			}
		}
		s.lives()
	})
}

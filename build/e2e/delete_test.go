package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// change has the client change items, and holds it to its account.
func (s *server) change(args ...string) *door.Changed {
	s.t.Helper()
	stdout, stderr, status := s.client(nil, append([]string{"--json"}, args...)...)
	var c door.Changed
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || status != 0 || stderr != "" {
		s.t.Fatalf("%q: status %d, %v: %s%s", args, status, err, stdout, stderr)
	}
	if err := c.Check(); err != nil || c.Left > 0 || c.Canceled {
		s.t.Fatalf("%q: %v, %+v", args, err, c)
	}
	return &c
}

// engine is how items are deleted.
func (s shape) engine() door.Engine {
	if s.native() {
		return door.EngineNative
	}
	return door.EngineProtocol
}

// Exactly the items for which all conditions hold are deleted, and the dry run has said how many they are.
func TestDelete(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		lists := t.TempDir()
		list := func(name, text string) string {
			path := filepath.Join(lists, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		all := map[string]entry{
			"user:1": {"one", 1, 0}, "user:2": {"two\r\nlines", 1<<32 - 1, in(600)}, "user:30": {strings.Repeat("x", 100), 0, in(6000)},
			"page:/a/b.html": {`<a href="x">`, 0, in(60)}, "page:/c.css": {"", 5, 0}, "100%": {"%41", 0, 0},
			"large": {strings.Repeat("0123456789abcdef", 60_000), 0, 0}, "user:large": {strings.Repeat("x", 5000), 0, 0},
			"größe:1": {"1", 0, 0}, "größe:2": {"2", 0, in(600)}, "日本:1": {"3", 0, 0},
		}
		prefixed := func(prefix string) func(string, entry) bool {
			return func(key string, _ entry) bool { return strings.HasPrefix(key, prefix) }
		}
		keys := func(keys ...string) func(string, entry) bool {
			return func(key string, _ entry) bool { return slices.Contains(keys, key) }
		}
		s := start(t, h.program)
		for name, test := range map[string]struct {
			args  []string
			wants func(key string, e entry) bool
			gone  uint64 // of a list
		}{
			"prefix": {args: []string{"--prefix", "user:"}, wants: prefixed("user:")},
			"bytes":  {args: []string{"--prefix", "größe:"}, wants: prefixed("größe:")},
			"first":  {args: []string{"--prefix", "日"}, wants: prefixed("日")},
			"match":  {args: []string{"--match", "*/?.*"}, wants: keys("page:/a/b.html", "page:/c.css")},
			"regex":  {args: []string{"--regex", `^user:\d$|%`}, wants: keys("user:1", "user:2", "100%")},
			"size":   {args: []string{"--min-size", "100"}, wants: func(_ string, e entry) bool { return len(e.value) >= 100 }},
			"life":   {args: []string{"--never-expires"}, wants: func(_ string, e entry) bool { return e.date == 0 }},
			"none":   {args: []string{"--older-than", "1h"}, wants: prefixed("none")},
			"all":    {args: []string{"--match", "*", "--yes"}, wants: prefixed("")},
			"several": {
				args:  []string{"--prefix", "user:", "--never-expires", "--min-size", "4", "--match", "*r*", "--regex", "e$"},
				wants: keys("user:large"),
			},
			"keys": {
				args:  []string{"--keys", list("keys", "user:1\r\n100%25\nnone\nuser:1\nlarge")},
				wants: keys("user:1", "100%", "large"), gone: 2,
			},
			"keys and conditions": {
				args:  []string{"--keys", list("some", "user:1\nuser:2\nlarge\n"), "--never-expires", "--prefix", "user"},
				wants: keys("user:1"),
			},
		} {
			s.change("delete", "--match", "*", "--yes")
			t.Run(name, func(t *testing.T) {
				s.store(all)
				left := maps.Clone(all)
				maps.DeleteFunc(left, test.wants)
				want := uint64(len(all) - len(left))
				dry := s.change(append([]string{"delete", "--dry-run"}, test.args...)...)
				got := dry.Changed
				if test.gone > 0 { // the key that is listed twice
					got--
				}
				if got != want || uint64(len(dry.Keys)) != min(dry.Changed, 10) || !dry.DryRun {
					t.Errorf("%+v, want %d", dry, want)
				}
				same(t, "after the dry run", s.serves(all), all, s, s, s)
				c := s.change(append([]string{"delete"}, test.args...)...)
				if c.Changed != want || c.Gone != test.gone || c.Replaced != 0 || c.Engine != h.engine() || len(c.Keys) > 0 {
					t.Errorf("%+v, want %d", c, want)
				}
				same(t, "memcached", s.serves(all), left, s, s, s)
				if n := s.stat("", "curr_items"); n != len(left) {
					t.Errorf("memcached has %d items, want %d", n, len(left))
				}
			})
		}
		s.lives()
	})
}

// idle is how long ago memcached notes that an item was used, in seconds.
func (s *server) idle(key string) (seconds int) {
	s.t.Helper()
	if line := s.tells("mg " + key + " l u\r\n")[0]; !scanned(line, "HD l%d", &seconds) {
		s.t.Fatalf("%s: %s", key, line)
	}
	return seconds
}

// scanned reports whether a text has this form.
func scanned(text, form string, to ...any) bool {
	n, err := fmt.Sscanf(text, form, to...)
	return err == nil && n == len(to)
}

// What was stored long ago is deleted, unless it was read or stored since: memcached does not note when a client reads an
// item for the third time.
func TestDeleteIdle(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		for try := 0; ; try++ {
			s.change("delete", "--match", "*", "--yes")
			old := map[string]entry{"unread": {value: "1"}, "replaced": {value: "2"}, "once": {value: "3"}, "often": {value: "4"}, "now": {value: "5"}}
			s.store(old)
			s.get("once")
			s.get("often")
			s.get("often")
			wait(t, "the items to be old", func() error {
				if n := s.idle("often"); n < 4 {
					return fmt.Errorf("%d s", n)
				}
				return nil
			})
			left := map[string]entry{"replaced": {value: "6"}, "new": {value: "7"}, "once": old["once"], "often": old["often"], "now": old["now"]}
			s.store(map[string]entry{"replaced": left["replaced"], "new": left["new"]})
			s.get("often")
			s.get("now")
			age := s.idle("unread")
			c := s.change("delete", "--older-than", fmt.Sprint(age))
			if now := s.tells("mg new l u\r\n")[0]; try < 5 && now != "HD l0" && now != "HD l1" {
				continue // the machine is slow: a new item may have been as old as that
			}
			if c.Changed != 1 || c.Spared != 5 || c.Engine != h.engine() {
				t.Errorf("%+v", c)
			}
			same(t, "memcached", s.serves(map[string]entry{"unread": {}, "replaced": {}, "new": {}, "once": {}, "often": {}, "now": {}}), left, s)
			return
		}
	})
}

// An item that gets an end before its turn is not changed for having none.
func TestDeleteTouched(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, args := range [][]string{{"delete"}, {"delete", "--invalidate"}} {
			t.Run(args[len(args)-1], func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program)
				s.store(map[string]entry{"a": {value: "1"}, "b": {value: "1"}, "c": {value: "1"}})
				done := make(chan *door.Changed)
				go func() { done <- s.change(append(args, "--never-expires", "--yes", "--rate", "1")...) }()
				changed := func(line string) bool { return line == "EN" || strings.Contains(line, " X") }
				wait(t, "the first item", func() error {
					for _, key := range []string{"a", "b", "c"} {
						// Whether it is stale, and no token is taken of one that is not.
						if changed(s.tells("mg " + key + " u s\r\n")[0]) {
							return nil
						}
					}
					return errors.New("nothing is changed")
				})
				var touched []string
				for _, key := range []string{"a", "b", "c"} {
					if !changed(s.tells("mg " + key + " s T5000\r\n")[0]) {
						touched = append(touched, key)
					}
				}
				if c := <-done; len(touched) == 0 || c.Items != 3 || c.Changed != uint64(3-len(touched)) || c.Spared != uint64(len(touched)) {
					t.Errorf("%+v; %q were touched", c, touched)
				}
				for _, key := range touched {
					if line := s.tells("mg " + key + " u s\r\n")[0]; line != "HD s1" {
						t.Errorf("%s: %s", key, line)
					}
				}
			})
		}
	})
}

// A dump's keys, a list of items and a dump name the items, also those whose keys are binary.
func TestDeleteListed(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, args := range [][]string{{"--keys-only"}, {}, {"--format", "list"}} {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program)
				s.tells("ms YSBi 1 b\r\n1\r\nms AP8K 1 b\r\n2\r\n") // "a b", "\x00\xff\n"
				const n = 20_000
				s.load(door.Request{}, rowsOf("k", n))
				path, _ := s.dump(args...)
				s.load(door.Request{}, rowsOf("new", 10))
				if c := s.change("delete", "--keys", path); c.Items != n+2 || c.Changed != n+2 || c.Engine != h.engine() {
					t.Errorf("%+v", c)
				}
				if n := s.stat("", "curr_items"); n != 10 {
					t.Errorf("memcached has %d items, want 10", n)
				}
				readBack(t, s, "new", 10, plain)
				if c := s.change("delete", "--keys", path); c.Gone != n+2 {
					t.Errorf("the second time: %+v", c)
				}
			})
		}
	})
}

// A line of the list that is no key ends a call, which tells what it has done before that, if anything.
func TestBadKeyList(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		// Nothing is done before the first keys are read, some thousand bytes.
		for lines, some := range map[string]bool{"a\n%zz\n": false, strings.Repeat("a\nnone\nb\n", 10_000) + "%zz\n": true} {
			s.store(map[string]entry{"a": {value: "1"}, "b": {value: "2"}})
			open := func(path string) *os.File {
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				return f
			}
			keys := func() *os.File { return open(written(t, "keys", []byte(lines))) }
			dumped, _ := call(s.door, door.Request{Op: door.OpDump, Keys: true, Items: door.Items{Format: dump.Details}}, open(written(t, "dump", nil)), keys())
			deleted, _ := call(s.door, door.Request{Op: door.OpDelete, Keys: true}, keys())
			for _, reply := range []door.Reply{dumped, deleted} {
				if e := reply.Error; e == nil || e.Code != door.CodeRequest || !strings.Contains(e.Message, fmt.Sprintf("line %d of the keys", strings.Count(lines, "\n"))) {
					t.Fatalf("%.20q: %+v", lines, reply)
				}
			}
			if d := dumped.Error.Dump; (d != nil) != some || some && (d.Items == 0 || d.Gone == 0) {
				t.Errorf("%.20q: %+v", lines, d)
			}
			if c := deleted.Error.Changed; (c != nil) != some || some && (c.Changed != 2 || c.Gone == 0) {
				t.Errorf("%.20q: %+v", lines, c)
			}
		}
	})
}

// What memcached has no CAS uniques for is deleted natively, and refused by protocol.
func TestDeleteWithoutCAS(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-C")
		s.load(door.Request{}, rowsOf("a", 1000))
		s.load(door.Request{}, rowsOf("b", 1000))
		args := []string{"delete", "--prefix", "a_"}
		if !h.native() {
			if _, stderr, status := s.client(nil, args...); status != 11 || !strings.Contains(stderr, "without CAS uniques (-C)") {
				t.Errorf("status %d: %s", status, stderr)
			}
			readBack(t, s, "a", 1000, plain)
			return
		}
		if c := s.change(args...); c.Changed != 1000 || c.Items != 1000 {
			t.Errorf("%+v", c)
		}
		readBack(t, s, "b", 1000, plain)
		if n := s.stat("", "curr_items"); n != 1000 {
			t.Errorf("%d items are left", n)
		}
		if _, stderr, status := s.client(nil, "delete", "--invalidate", "--prefix", "b_"); status != 11 || !strings.Contains(stderr, "without CAS uniques (-C)") {
			t.Errorf("status %d: %s", status, stderr)
		}
	})
}

// What is deleted from extstore does not count there any longer, and what is touched stays there.
func TestDeleteFromExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		s := start(t, h.program, "-m", "512", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")
		const n = 3000
		items := map[string]entry{}
		for i := range n {
			items[fmt.Sprintf("%s%d", []string{"a", "b"}[i%2], i)] = entry{value: strings.Repeat("v", 1000)}
		}
		s.store(items)
		wait(t, "items on the disk", func() error {
			if n := s.stat("", "extstore_objects_used"); n < 1500 {
				return fmt.Errorf("%d objects are used", n)
			}
			return nil
		})
		if h.native() {
			began := s.clock()
			if c := s.change("touch", "--ttl", "5000", "--prefix", "b"); c.Changed+c.Replaced != n/2 || c.Replaced > n/10 {
				t.Errorf("%+v", c)
			}
			s.lasts("b1", 5000, began)
		}
		if c := s.change("delete", "--prefix", "a"); c.Changed != n/2 {
			t.Errorf("%+v", c)
		}
		for i := range n {
			if key := fmt.Sprintf("b%d", i); i%2 == 1 && s.get(key) != items[key].value {
				t.Errorf("%s differs", key)
			}
		}
		s.change("delete", "--yes", "--match", "*")
		for _, name := range []string{"curr_items", "extstore_objects_used", "extstore_bytes_used"} {
			if n := s.stat("", name); n != 0 {
				t.Errorf("%s is %d", name, n)
			}
		}
		s.lives()
	})
}

// counted are the statistics of what clients ask for.
var counted = regexp.MustCompile(`^(cmd|get|set|touch|delete|incr|decr|cas)_`)

// Natively nothing counts as a client's request, whatever is done.
func TestDeleteCountsNothing(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("by protocol they are requests")
		}
		s := start(t, h.program)
		s.load(door.Request{}, rowsOf("a", 1000))
		list := written(t, "keys", []byte("a_1\nnone\n"))
		before := s.stats("")
		s.change("delete", "--dry-run", "--match", "*")
		s.change("touch", "--ttl", "100", "--prefix", "a_2")
		s.change("delete", "--keys", list)
		s.change("delete", "--yes", "--match", "*")
		after := s.stats("")
		for name, value := range before {
			if counted.MatchString(name) && after[name] != value && name != "cmd_meta" {
				t.Errorf("%s is %s, and was %s", name, after[name], value)
			}
		}
		if after["curr_items"] != "0" || len(before) < 30 {
			t.Errorf("%s items are left; %d statistics", after["curr_items"], len(before))
		}
	})
}

// Without --yes a script does not delete all there is, and nothing is done without a condition.
func TestDeleteAll(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.load(door.Request{}, rowsOf("a", 100))
		for _, args := range [][]string{{"--match", "*"}, {"--prefix", "a_"}, {"--min-size", "1", "--never-expires"}, {"--regex", "."}} {
			_, stderr, status := s.client(nil, append([]string{"delete"}, args...)...)
			if status != 1 || stderr != "error: the conditions hold for all 100 items: nothing was deleted\nhint: --yes means it\n" {
				t.Errorf("%q: status %d: %s", args, status, stderr)
			}
		}
		readBack(t, s, "a", 100, plain)
		stdout, stderr, status := s.client(nil, "delete", "--match", "*_9*", "--dry-run")
		if status != 0 || stderr != "" || strings.Count(stdout, "would delete \"a_9") != 10 || !strings.Contains(stdout, "\nand 1 more item\n100 items met: 11 to be deleted, 89 spared, 0 gone (") {
			t.Errorf("status %d: %s%s", status, stdout, stderr)
		}
	})
}

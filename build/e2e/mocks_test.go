package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

const noCAS = "no CAS unique can be chosen: memcached runs with -C, or takes none by protocol (before 1.6.27)"

// unique is an item's CAS unique, as "gets" says it.
func (s *server) unique(key string) uint64 {
	s.t.Helper()
	item, err := s.cache().Get(key)
	if err != nil {
		s.t.Fatalf("gets %s: %v", key, err)
	}
	return item.CasID
}

// expires sees a client be the first to find that an item has expired, which memcached looks for, too.
func (s *server) expires() {
	s.t.Helper()
	wait(s.t, "an item that has expired", func() error {
		before := s.stat("", "get_expired")
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(`{"key":"gone","value":"v","expired":true}`)); l.Stored != 1 {
			s.t.Fatalf("%+v", l)
		}
		s.missing("gone")
		if n := s.stat("", "get_expired") - before; n != 1 {
			return fmt.Errorf("%d items have", n)
		}
		return nil
	})
}

// Every item that a row asks for is what it asks for, by memcached's own account.
func TestMocks(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.load(door.Request{}, []byte("old\t1\n"))
		began := s.clock()
		rows := `{"key":"expired","value":"v","expired":true,"flags":7}
{"key":"large","size":700000,"expired":true}
{"key":"old","value":"2","expired":true}
{"key":"moment","value":"v","ttl":"1ns"}
{"key":"hours","value":"v","ttl":"1h30m"}
{"key":"week","value":"v","ttl":"999h59m59.5s"}
{"key":"flags","value":"v","flags":4294967295,"expired":false}
{"key":"size","size":12345}
{"key":"empty","size":0,"value":null}
{"key":"{n}","value":"{n}"}
{"key":"n{n}","value":"<{n}>","count":12,"flags":3}
`
		l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows))
		if l.Rows != 10+12 || l.Stored != l.Rows || l.Gone != nil {
			t.Errorf("%+v", l)
		}
		for _, key := range []string{"expired", "large", "old"} {
			s.missing(key)
		}
		s.expires()
		wait(t, "a second", func() error {
			if _, err := s.cache().Get("moment"); err != memcache.ErrCacheMiss {
				return fmt.Errorf("get: %v", err)
			}
			return nil
		})
		s.lasts("hours", 90*60, began)
		s.lasts("week", 1000*60*60, began)
		for key, want := range map[string]string{"flags": "v", "empty": "", "{n}": "{n}", "n1": "<1>", "n12": "<12>"} {
			if got := s.get(key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
		for key, want := range map[string]uint32{"flags": 1<<32 - 1, "n1": 3, "n12": 3} {
			if item, err := s.cache().Get(key); err != nil || item.Flags != want {
				t.Errorf("%s has the flags %d, want %d: %v", key, item.Flags, want, err)
			}
		}
		s.missing("n0")
		s.missing("n13")
		if n := len(s.get("size")); n != 12345 {
			t.Errorf("%d bytes of filler", n)
		}
		s.lives()
	})
}

// An item has the CAS unique that was chosen, whatever stored it, and the next one is memcached's.
func TestMockCAS(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		if !h.native() { // of 1.6.18
			s.refusesCAS()
			return
		}
		s.keepsCAS()
		s.load(door.Request{Rows: door.Rows{Format: "jsonl", Mode: record.ModeAdd}}, []byte(`{"key":"small","value":"w","cas":78}`))
		if got := s.unique("small"); got != 77 {
			t.Errorf("an item that was not added has changed the unique to %d", got)
		}
		s.load(door.Request{Rows: door.Rows{Format: "jsonl", Mode: record.ModeReplace}}, []byte(`{"key":"small","value":"w","cas":79}`))
		if got := s.unique("small"); got != 79 {
			t.Errorf("the unique of what was replaced is %d", got)
		}
		s.lives()
	})
}

// By protocol, too, where the commands have a flag for that.
func TestMockCASByProtocol(t *testing.T) {
	t.Parallel()
	s := newest(t)
	s.start()
	if status := s.waitDoor(); status.Engine != door.EngineProtocol {
		t.Fatalf("%+v", status)
	}
	s.keepsCAS()
}

// uniques are rows most of which choose a CAS unique.
const uniques = `{"key":"small","value":"v","cas":77}
{"key":"most","value":"v","cas":18446744073709551615}
{"key":"large","size":700000,"cas":1}
{"key":"plain","value":"v"}
{"key":"many{n}","value":"v","cas":5,"count":300}
`

func (s *server) keepsCAS() {
	s.t.Helper()
	if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(uniques)); l.Stored != 304 || l.Rows != 304 {
		s.t.Fatalf("%+v", l)
	}
	for key, want := range map[string]uint64{"small": 77, "most": 1<<64 - 1, "large": 1, "many1": 5, "many300": 5} {
		if got := s.unique(key); got != want {
			s.t.Errorf("%s has the CAS unique %d, want %d", key, got, want)
		}
	}
	if s.unique("plain") == 0 {
		s.t.Error("an item that asked for none has no CAS unique")
	}
	// A client that has read the item replaces it, one that has read another does not.
	item := &memcache.Item{Key: "small", Value: []byte("w"), CasID: 78}
	if err := s.cache().CompareAndSwap(item); err != memcache.ErrCASConflict {
		s.t.Errorf("cas with another unique: %v", err)
	}
	item.CasID = 77
	if err := s.cache().CompareAndSwap(item); err != nil {
		s.t.Errorf("cas: %v", err)
	}
	if s.unique("small") == 77 {
		s.t.Error("what replaces an item has its CAS unique")
	}
	s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(`{"key":"small","value":"v","cas":77}`))
}

// refusesCAS: rows that choose a CAS unique are rejected, each once, before anything is stored. What they would have
// replaced is stale.
func (s *server) refusesCAS() {
	s.t.Helper()
	s.load(door.Request{Rows: door.Rows{Format: "raw"}}, []byte("small\told\n"))
	for _, request := range []door.Request{{Rows: door.Rows{Format: "jsonl"}, DryRun: true}, {Rows: door.Rows{Format: "jsonl"}}} {
		if got := s.get("small"); got != "old" {
			s.t.Errorf("the value is %q now", got)
		}
		if l := s.load(request, []byte(uniques)); l.Rows != 5 || l.Stored != 1 || l.Reasons[noCAS] != 4 {
			s.t.Errorf("%+v", l)
		}
	}
	s.missing("small")
	s.missing("many1")
}

// Without CAS uniques (-C) none can be chosen; everything else can.
func TestMocksWithoutCAS(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-C")
		s.refusesCAS()
		s.expires()
		s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(`{"key":"n{n}","size":9,"count":9}`))
		if n := len(s.get("n9")); n != 9 {
			t.Errorf("%d bytes of filler", n)
		}
		s.lives()
	})
}

// The items of a row are rows like any others: counted, rejected, ended by a limit, and only tried in a dry run.
func TestMockCounts(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		const n = 100_000
		long := strings.Repeat("k", 246) // 250 with four digits
		first, last := `{"key":"a{n}","value":"a {n}","count":5}`+"\n", `{"key":"z","value":"z"}`+"\n"
		some := fmt.Sprintf(`{"key":"%s{n}","value":"{n}","count":%d}`+"\n", long, n)
		file := written(t, "rows.jsonl", []byte(first+some+last))

		l := s.outcome(nil, account{n + 6, n + 6 - (n - 9999), n - 9999, 0}, "--dry-run", file)
		if s.stat("", "curr_items") != 0 || !l.DryRun || l.Memory == nil || !l.Memory.Fits {
			t.Errorf("%d items after a dry run: %+v", s.stat("", "curr_items"), l)
		}

		rejects := filepath.Join(t.TempDir(), "rejects")
		l = s.outcome(nil, account{n + 6, n + 6 - (n - 9999), n - 9999, 0}, "--rejects", rejects, file)
		if got := read(t, rejects); got != some {
			t.Errorf("the rejects are %d bytes, %.300q", len(got), got)
		}
		if log := read(t, rejects+".log"); strings.Count(log, "\n") != n-9999 || !strings.HasPrefix(log, fmt.Sprintf("2\t9\tkey longer than 250 bytes\t%q\n", long+"1000")) {
			t.Errorf("the log has %d lines, %.400q", strings.Count(log, "\n"), log)
		}
		if len(l.Rejects) != door.MaxRejects || l.Rejects[0].Line != 2 {
			t.Errorf("%+v", l.Rejects)
		}
		for key, want := range map[string]string{"a1": "a 1", "a5": "a 5", long + "1": "1", long + "9999": "9999", "z": "z"} {
			if got := s.get(key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}

		l = s.accounted(nil, "--max-errors", "100", file)
		if !l.Limited || l.Rejected != 101 || l.Stored != 5+9999 {
			t.Errorf("%+v", l)
		}
		// It continues with the row in which it ended, from the row's beginning.
		l = s.outcome(nil, account{n + 1, n + 1 - (n - 9999), n - 9999, 0}, "--resume", file)
		if l.Resumed != 1 || l.ResumedBytes != uint64(len(first)) {
			t.Errorf("%+v", l)
		}
		l = s.outcome(nil, account{n + 6, 0, n - 9999, 10005}, "--mode", "add", file)
		if l.Reasons["key exists"] != 10005 {
			t.Errorf("%+v", l.Reasons)
		}
		s.lives()
	})
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// restored restores a file, and returns the account of it, which adds up, and how the client ended.
func (s *server) restored(args ...string) (l *door.Load, stderr string, status int) {
	s.t.Helper()
	stdout, stderr, status := s.client(nil, append([]string{"--json", "restore"}, args...)...)
	l = &door.Load{}
	if err := json.Unmarshal([]byte(stdout), l); err != nil {
		s.t.Fatalf("restore %q: status %d, %v: %s%s", args, status, err, stdout, stderr)
	}
	if err := l.Check(); err != nil {
		s.t.Fatal(err)
	}
	return l, stderr, status
}

// Damaged items are rejected and truncated dumps reported; only whole items are restored.
func TestRestoreDamaged(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		want := map[string]entry{}
		for i := range 40 {
			want[fmt.Sprint("key:", i)] = entry{value: strings.Repeat(fmt.Sprint(i, "\r\n"), i), flags: uint64(i)}
		}
		s.store(want)
		path, _ := s.dump()
		whole := read(t, path)
		rows := strings.SplitAfter(whole, "q\r\n")
		half := len(strings.Join(rows[:len(rows)/2], ""))
		flipped := func(at, bit int) string {
			b := []byte(whole)
			b[at] ^= 1 << bit
			return string(b)
		}
		of := func(text string) int { return strings.Index(whole, text) }
		to := start(t, h.other(t))
		for name, test := range map[string]struct {
			content string
			status  int
			says    string
		}{
			"whole":                      {whole, 0, ""},
			"two of them":                {whole + whole, 0, ""},
			"empty":                      {"", 1, "the dump is not complete"},
			"without mn":                 {strings.TrimSuffix(whole, "mn\r\n"), 1, "the dump is not complete"},
			"between two items":          {whole[:strings.Index(whole[half:], "\r\nms ")+half+2], 1, "the dump is not complete"},
			"in a command":               {whole[:half-4], 1, "the dump is not complete"},
			"in a value":                 {whole[:half+1], 1, "the dump is not complete"},
			"no dump":                    {"a text\nthat is none\n", 1, "the dump is not complete"},
			"rows of another kind":       {"set a 0 0 1\r\nv\r\nmn\r\n", 3, ""},
			"an item without a checksum": {"ms a 1 q\r\nv\r\nmn\r\n", 3, ""},
			"a bit of a command":         {flipped(of("ms key:7 "), 0), 3, ""},
			"a bit of a key":             {flipped(of("key:7 "), 1), 3, ""},
			"a bit of a length":          {flipped(of("key:30 ")+8, 0), 3, ""},
			"a bit of a flag":            {flipped(of(" F7")+2, 0), 3, ""},
			"a bit of a checksum":        {flipped(of(" F7")+5, 0), 3, ""},
			"a bit of a value":           {flipped(of("9\r\n29\r\n"), 1), 3, ""},
			"a bit of a value's end":     {flipped(of("\r\nms key:7 "), 1), 3, ""},
			"a bit of a command's end":   {flipped(of("\r\n29\r\n29"), 1), 3, ""},
			"a bit of the end":           {flipped(len(whole)-4, 0), 1, "the dump is not complete"},
			"two ends":                   {whole + "mn\r\n", 0, ""},
			"more behind the end":        {whole + strings.Join(rows[:1], "") + "x\r\n", 1, "the dump is not complete"},
		} {
			to.ask("flush_all", regexp.MustCompile("^OK"))
			l, stderr, status := to.restored(written(t, "dump", []byte(test.content)))
			// A damaged length makes an item of the rest; then nothing follows it.
			if status != test.status && !(name == "a bit of a length" && status == 1) || !strings.Contains(stderr, test.says) {
				t.Errorf("%s: status %d, %q, %+v", name, status, stderr, l)
			}
			if status == 3 && l.Rejected == 0 || l.Incomplete != strings.Contains(stderr, "not complete") {
				t.Errorf("%s: %+v", name, l)
			}
			got := to.serves(want)
			for key, e := range got {
				if e != want[key] {
					t.Errorf("%s: %s is %+v, want %+v", name, key, e, want[key])
				}
			}
			if status == 0 {
				same(t, name, got, want)
			}
		}
		to.lives()
	})
}

// Damaged items are in the file of rejects as they are; the others are in the cache.
func TestRestoreRejects(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.fill(1000, "--size", "10-3000")
		path, _ := s.dump()
		content := []byte(read(t, path))
		rows := bytes.SplitAfter(content, []byte("ms fill:"))
		var damaged []byte
		for i := 100; i < 110; i++ {
			row := rows[i]
			row[bytes.Index(row, []byte("q\r\n"))+5] ^= 4
			damaged = append(append(damaged, "ms fill:"...), bytes.TrimSuffix(row, []byte("ms fill:"))...)
		}
		rejects := filepath.Join(t.TempDir(), "rejects")
		to := start(t, h.other(t))
		l, _, status := to.restored("--rejects", rejects, written(t, "dump", bytes.Join(rows, nil)))
		if status != 3 || l.Rows != 1000 || l.Rejected != 10 || l.Stored != 990 || l.Reasons["the checksum does not match: the item is damaged"] != 10 {
			t.Errorf("status %d, %+v", status, l)
		}
		if got := read(t, rejects); got != string(damaged) {
			t.Errorf("the rejects are %.300q, want %.300q", got, damaged)
		}
		if n := to.stat("", "curr_items"); n != 990 {
			t.Errorf("%d items", n)
		}
		l, stderr, status := to.restored("--max-errors", "5", written(t, "dump", bytes.Join(rows, nil)))
		if status != 4 || !l.Limited || l.Rejected != 6 || l.Incomplete {
			t.Errorf("status %d, %s, %+v", status, stderr, l)
		}
		to.lives()
	})
}

// What has been stored meanwhile is newer than the dump, and what has expired meanwhile stays away, also if it is newer.
func TestRestoreLater(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.store(map[string]entry{"kept": {value: "old"}, "new": {value: "old"}, "short": {value: "old", date: in(2)}, "long": {value: "old", date: in(1000)}})
		path, _ := s.dump()
		s.store(map[string]entry{"new": {value: "new"}, "another": {value: "new"}})
		end := in(3) // memcached's clock may be behind
		wait(t, "the end of an item", func() error {
			if got := s.serves(map[string]entry{"short": {}}); len(got) > 0 || in(0) < end {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
		l, _, status := s.restored("--mode", "add", path)
		if status != 0 || l.Rows != 4 || l.Stored != 0 || l.Skipped != 4 || l.Reasons["key exists"] != 3 {
			t.Errorf("status %d, %+v", status, l)
		}
		s.holds(map[string]string{"kept": "old", "new": "new", "another": "new", "long": "old"})

		to := start(t, h.other(t))
		if l, _, status := to.restored(path); status != 0 || l.Stored != 3 || l.Skipped != 1 {
			t.Errorf("status %d, %+v", status, l)
		}
		to.holds(map[string]string{"kept": "old", "new": "old", "long": "old"})
		if l, _, status := to.restored("--mode", "replace", path, path); status != 0 || l.Rows != 8 || l.Stored != 6 || l.Skipped != 2 {
			t.Errorf("status %d, %+v", status, l)
		}
	})
}

// An interrupted restore continues where it was, to the end.
func TestRestoreResume(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 200_000
		s := start(t, h.program, "-m", "256")
		if l := s.load(door.Request{}, rowsOf("row", n)); l.Stored != n {
			t.Fatalf("%+v", l)
		}
		path, _ := s.dump()
		to := start(t, h.other(t), "-m", "256")
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		first, _, _ := strings.Cut(read(t, path)[len("ms "):], " ")
		breakOff(t, to, door.Request{Rows: door.Rows{Format: "dump"}, Limits: door.Limits{Rate: 50_000}}, file, first)
		done := to.stat("", "curr_items")
		l, _, status := to.restored("--resume", path)
		if status != 0 || l.Resumed == 0 || l.Rows != n-uint64(done) || l.Stored != l.Rows || l.Incomplete {
			t.Errorf("%d rows were there; status %d, %+v", done, status, l)
		}
		readBack(t, to, "row", n, plain)
		if got := to.stat("", "curr_items"); got != n {
			t.Errorf("%d items", got)
		}
	})
}

// Of a dump only the items that are asked for are restored, and the others are counted; what they have replaced in the
// cache stays.
func TestRestoreChosen(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-I", "4m")
		want := map[string]entry{
			"a:1": {value: "1"}, "a:2": {value: "22", date: in(1000)}, "a:3": {value: "333"},
			"b:1": {value: strings.Repeat("b", 2<<20)}, "b:2": {value: "2"}, "c": {value: strings.Repeat("c", 2<<20)},
		}
		s.store(want)
		path, _ := s.dump()
		to := start(t, h.other(t))
		to.store(map[string]entry{"b:2": {value: "another"}})
		unwanted := func(l *door.Load) uint64 { return l.Reasons["not among the items that were asked for"] }
		l, stderr, status := to.restored("--prefix", "a:", path)
		if status != 0 || l.Rows != 6 || l.Stored != 3 || unwanted(l) != 3 {
			t.Errorf("status %d, %s%+v", status, stderr, l)
		}
		to.holds(map[string]string{"a:1": "1", "a:2": "22", "a:3": "333", "b:2": "another"})
		l, stderr, status = to.restored("--regex", "^[bc]", "--min-size", "100", path) // they are too large for it
		if status != 3 || l.Rows != 6 || l.Rejected != 2 || unwanted(l) != 4 {
			t.Errorf("status %d, %s%+v", status, stderr, l)
		}
		l, stderr, status = to.restored("--match", "a*", "--never-expires", "--min-size", "2", path)
		if status != 0 || l.Stored != 1 || unwanted(l) != 5 {
			t.Errorf("status %d, %s%+v", status, stderr, l)
		}
		if _, stderr, status := to.client(nil, "restore", "--older-than", "5", path); status != 80 || !strings.Contains(stderr, "--older-than") {
			t.Errorf("status %d, %s", status, stderr)
		}
		reply, err := call(to.door, door.Request{Op: door.OpLoad, Rows: door.Rows{Format: "dump"}, Filter: door.Filter{OlderThan: 5}}, fileOf(t, nil))
		if err != nil || reply.Error == nil || reply.Error.Message != "the op load does not take the option older_than" {
			t.Errorf("%+v, %v", reply, err)
		}
		to.lives()
	})
}

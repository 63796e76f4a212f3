package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// got is an item as get prints it in JSON.
type got struct {
	Key         *string
	KeyBase64   []byte `json:"key_base64"`
	Value       *string
	ValueBase64 []byte `json:"value_base64"`
	Flags       uint64
	Expires     int64

	Size       *uint64
	TTL        *int64
	Idle       int64
	CAS        uint64
	SlabClass  int `json:"slab_class"`
	Extstore   bool
	Stale, Won bool
}

func (g *got) key() string {
	if g.Key != nil {
		return *g.Key
	}
	return string(g.KeyBase64)
}

func (g *got) value() string {
	if g.Value != nil {
		return *g.Value
	}
	return string(g.ValueBase64)
}

// sets runs the client's set, which must say that it has stored the value.
func (s *server) sets(value string, args ...string) {
	s.t.Helper()
	out, errs, status := s.client([]byte(value), append([]string{"set"}, args...)...)
	if status != 0 || !strings.Contains(out, " stored (") || (errs != "") != (value == "") {
		s.t.Fatalf("set %q: status %d: %s%s", args, status, out, errs)
	}
}

// gets runs the client's get of one key, and returns what it prints.
func (s *server) gets(args ...string) string {
	s.t.Helper()
	out, errs, status := s.client(nil, append([]string{"get"}, args...)...)
	if status != 0 || errs != "" {
		s.t.Fatalf("get %q: status %d: %s", args, status, errs)
	}
	return out
}

// debug is what memcached says of an item ("me"): its words by their names.
func (s *server) debug(key string) map[string]string {
	s.t.Helper()
	words := map[string]string{}
	for _, word := range strings.Fields(s.tells("me " + key + "\r\n")[0]) {
		if name, value, ok := strings.Cut(word, "="); ok {
			words[name] = value
		}
	}
	return words
}

// What was set is got, byte for byte, and is what clients see; so is what clients have stored.
func TestGet(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-I", "8m", "-m", "256")
		large := make([]byte, 3<<20)
		rand.New(rand.NewSource(1)).Read(large)
		values := map[string]string{
			"text": "one line\n", "ключ": "значение", "empty": "", "zero": "\x00", "command": "\r\nflush_all\r\nEND\r\n", "large": string(large),
			"x": strings.Repeat("x", 600_000), "%41": "percent", strings.Repeat("k", 250): "long key",
		}
		for key, value := range values {
			s.sets(value, "--flags", "7", "--ttl", "1h", "--", key)
			item, err := s.cache().Get(key)
			if err != nil || string(item.Value) != value || item.Flags != 7 {
				t.Errorf("set %s: clients see %v, %v", key, item, err)
			}
			if out := s.gets("--", key); out != value {
				t.Errorf("get %s: %d bytes %.60q, want %d", key, len(out), out, len(value))
			}
		}
		binary := base64.StdEncoding.EncodeToString([]byte(binaryKey))
		s.sets("of a binary key", "--base64", binary)
		if out := s.gets("--base64", binary); out != "of a binary key" {
			t.Errorf("%q", out)
		}
		if err := s.cache().Set(&memcache.Item{Key: "client", Value: []byte("stored"), Flags: 1<<32 - 1}); err != nil {
			t.Fatal(err)
		}

		// Several, in the order in which they were asked for, also twice.
		asked := []string{"zero", "nothing", "large", "client", "text", "zero", "nothing", "ключ"}
		out, errs, status := s.client(nil, append([]string{"get"}, asked...)...)
		if status != 3 || errs != "missing: nothing\nmissing: nothing\n" {
			t.Errorf("status %d: %s", status, errs)
		}
		values["client"] = "stored"
		var came []string
		for line := range strings.Lines(out) {
			var g got
			if err := json.Unmarshal([]byte(line), &g); err != nil {
				t.Fatalf("%v: %.100s", err, line)
			}
			came = append(came, g.key())
			if g.value() != values[g.key()] || g.Size != nil || (g.Expires > 0) != (g.Flags == 7) {
				t.Errorf("%.200s", line)
			}
		}
		if fmt.Sprint(came) != "[zero large client text zero ключ]" {
			t.Errorf("%q", came)
		}
		// A load reads them.
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl", Mode: "replace", KeyPrefix: ""}}, []byte(out)); l.Stored != 6 {
			t.Errorf("%+v", l)
		}
		if s.get("large") != values["large"] {
			t.Error("large is another one")
		}

		var document struct {
			Items   []got
			Missing []string
			Engine  door.Engine
		}
		s.printed(&document, 3, "get", "text", "nothing")
		if len(document.Items) != 1 || document.Items[0].value() != "one line\n" || fmt.Sprint(document.Missing) != `["nothing"]` || (document.Engine == door.EngineNative) != h.native() {
			t.Errorf("%+v", document)
		}
		s.lives()
	})
}

// A miss is status 3, and leaves a file as it is. What a command line cannot mean is said.
func TestGetMisses(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.sets("value", "key")
		file := filepath.Join(s.dir, "file")
		if s.gets("key", "--output", file); read(t, file) != "value" {
			t.Errorf("%q", read(t, file))
		}
		// No command can have this key, so that by protocol nobody knows.
		long, longSays := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(" "), 187)), "missing: "
		if !h.native() {
			longSays = "lost: "
		}
		for _, tt := range []struct {
			args   []string
			status int
			err    string
		}{
			{[]string{"none"}, 3, "missing: none\n"},
			{[]string{"none", "--meta"}, 3, "missing: none\n"},
			{[]string{"none", "--output", file}, 3, "missing: none\n"},
			{[]string{"--base64", "AAE="}, 3, "missing: \"\\x00\\x01\"\n"},
			{[]string{"--base64", "A"}, 80, "error: the key \"A\" is not base64\n"},
			{[]string{""}, 80, "error: the key \"\" has 0 bytes: memcached's keys have 1 to 250\n"},
			{[]string{strings.Repeat("k", 251)}, 80, "has 251 bytes: memcached's keys have 1 to 250\n"},
			{[]string{long, "--base64", "--meta"}, 3, longSays},
			{nil, 80, "error: expected \"<KEY> ...\"\n"},
		} {
			out, errs, status := s.client(nil, append([]string{"get"}, tt.args...)...)
			if status != tt.status || out != "" || !strings.Contains(errs, tt.err) {
				t.Errorf("get %q: status %d: %q %s", tt.args, status, out, errs)
			}
		}
		if read(t, file) != "value" {
			t.Errorf("%q", read(t, file))
		}
		s.lives()
	})
}

// What get --meta says of an item is what memcached says.
func TestGetMeta(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.sets(strings.Repeat("v", 5000), "key", "--ttl", "1h", "--flags", "9")
		s.sets("v", "later", "--ttl", "60d")
		s.makeMarks(marks())
		out := s.gets("key", "--meta")
		known := s.debug("key")
		for _, want := range []string{
			`(?m)^key +key$`, `(?m)^size +5000 bytes$`, `(?m)^flags +9$`, `(?m)^expires +20\d\d-.*, in (1h|59m\d*s?)$`, `(?m)^last use +20\d\d-.* \d+s ago, or later$`,
			`(?m)^CAS unique +` + known["cas"] + "$", `(?m)^slab class +` + known["cls"] + "$",
		} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s has no %s", out, want)
			}
		}
		if strings.Contains(out, "stale") || strings.Contains(out, "won") || strings.Contains(out, "extstore") {
			t.Error(out)
		}
		if out := s.gets("stale", "--meta"); !regexp.MustCompile(`(?m)^expires +never$`).MatchString(out) || !strings.Contains(out, "\nstale ") {
			t.Error(out)
		}
		if out := s.gets("later", "--meta"); !regexp.MustCompile(`(?m)^expires +20\d\d-.*, in (60d|59d23h)$`).MatchString(out) {
			t.Error(out)
		}
		var document struct{ Items []got }
		s.printed(&document, 0, "get", "--meta", "key", "stale", "both", "won", "large")
		for n, want := range []string{"9 5000 3600 false false", "2 1 -1 true false", "0 1 -1 true true", "3 1 1000 false true", "0 600000 -1 true false"} {
			g := document.Items[n]
			known := s.debug(g.key())
			ttl := int64(-1)
			if g.TTL != nil {
				ttl = *g.TTL
			}
			found := fmt.Sprintf("%d %d %d %t %t", g.Flags, *g.Size, ttl, g.Stale, g.Won)
			// By protocol the token of a stale item is taken and given back; before 1.6.27 its CAS unique changes by that.
			changed := !h.native() && g.Stale
			if !alikeMeta(found, want) || fmt.Sprint(g.SlabClass) != known["cls"] || fmt.Sprint(g.CAS) != known["cas"] && !changed || len(g.value()) != int(*g.Size) {
				t.Errorf("%s: %s, want %s, %v", g.key(), found, want, known)
			}
		}
		s.marksAre("after get", marks())
		s.lives()
	})
}

// alikeMeta compares what is known of items; a time to live, the third word, may be shorter by what has gone by.
func alikeMeta(found, want string) bool {
	f, w := strings.Fields(found), strings.Fields(want)
	ttl, _ := strconv.Atoi(f[2])
	wanted, _ := strconv.Atoi(w[2])
	f[2] = w[2]
	return strings.Join(f, " ") == strings.Join(w, " ") && ttl <= wanted+1 && ttl >= wanted-int(waitLimit.Seconds())
}

// Natively, neither a get nor a set counts in memcached's statistics, and a get is no use of the item. By protocol they
// count, and a get is no use all the same.
func TestGetCountsNothing(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.sets("value", "key")
		s.sets("value", "control")
		wait(t, "an item that has not been used for 3 s", func() error {
			if n, err := strconv.Atoi(s.debug("key")["la"]); err != nil || n < 3 {
				return fmt.Errorf("%d s, %v", n, err)
			}
			return nil
		})
		names := []string{"cmd_get", "cmd_set", "cmd_touch", "get_hits", "get_misses", "get_expired", "get_flushed", "total_items"}
		counts := func() (all []int) {
			for _, name := range names {
				all = append(all, s.stat("", name))
			}
			return all
		}
		before := counts()
		for range 3 {
			s.gets("key")
			s.gets("key", "--meta")
			s.client(nil, "get", "key", "none")
		}
		after := counts()
		if same := fmt.Sprint(before) == fmt.Sprint(after); same != h.native() {
			t.Errorf("%q: %d became %d", names, before, after)
		}
		if after[1] != before[1] || after[7] != before[7] {
			t.Errorf("a get stores: %q: %d became %d", names, before, after)
		}
		wait(t, "memcached to note the gets of another client", func() error {
			s.get("control")
			if known := s.debug("control"); known["fetch"] != "yes" || len(known["la"]) > 1 || known["la"] > "1" {
				return fmt.Errorf("%v", known)
			}
			return nil
		})
		if known := s.debug("key"); known["fetch"] != "no" || len(known["la"]) == 1 && known["la"] < "3" {
			t.Errorf("a get is a use: %v", known)
		}

		s.sets("value", "another")
		if n := s.stat("", "cmd_set") - before[1]; (n == 0) != h.native() {
			t.Errorf("cmd_set grows by %d", n)
		}
		s.lives()
	})
}

// An item that changes while it is read is one of those that it was, in full.
func TestGetChanging(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256", "-I", "2m")
		const size = 1_500_000 // of several chunks
		store := func(n int) error {
			return s.cache().Set(&memcache.Item{Key: "key", Value: bytes.Repeat([]byte{'a' + byte(n%26)}, size+n%3)})
		}
		if err := store(0); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var writing sync.WaitGroup
		defer writing.Wait()
		defer close(stop)
		writing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := store(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
		seen := map[byte]bool{}
		for n := 0; n < 1000 && (n < 10 || len(seen) < 2); n++ {
			out := s.gets("key")
			if len(out) < size || strings.Trim(out, out[:1]) != "" {
				t.Fatalf("%d bytes, %.10q to %.10q", len(out), out, out[len(out)-10:])
			}
			seen[out[0]] = true
		}
		if len(seen) < 2 {
			t.Error("the item has not changed")
		}
	})
}

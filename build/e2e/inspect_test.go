package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// inspected are 200 000 items; inspect adds one with a key that no row has.
const inspected = `{"key":"session:eu:{n}","size":100,"ttl":"2h","count":150000}
{"key":"session:us:{n}","size":[0,200],"seed":3,"ttl":"3h","count":49990}
{"key":"user:1","size":300000,"flags":7}
{"key":"user:2","value":"","flags":4294967295,"ttl":"50h"}
{"key":"page_{n}","value":"{n}","count":8}
`

// binaryKey is a key that clients of memcached's binary protocol could have.
const binaryKey = "\x00bin ary\n:\xff"

// inspect fills the cache with what is inspected.
func (s *server) inspect() {
	s.t.Helper()
	if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(inspected)); l.Stored != 200_000 || l.Gone != nil {
		s.t.Fatalf("%+v", l)
	}
	s.setBinary("one")
}

// setBinary sets the item with the binary key.
func (s *server) setBinary(value string) {
	s.t.Helper()
	command := fmt.Sprintf("ms %s %d b\r\n%s\r\nmn", base64.StdEncoding.EncodeToString([]byte(binaryKey)), len(value), value)
	if lines := s.ask(command, regexp.MustCompile("^MN")); len(lines) != 1 || !strings.HasPrefix(lines[0], "HD") {
		s.t.Fatalf("%q", lines)
	}
}

// printed runs the client, which must end with a status, and reads the JSON document that it prints.
func (s *server) printed(document any, status int, args ...string) {
	s.t.Helper()
	out, errOut, got := s.client(nil, append(args, "--json")...)
	if got != status {
		s.t.Fatalf("%s: status %d: %s%s", args, got, out, errOut)
	}
	if err := json.Unmarshal([]byte(out), document); err != nil {
		s.t.Fatalf("%s: %v: %s", args, err, out)
	}
}

// group is what keys --json says of a prefix.
type group struct {
	Prefix      *string
	Base64      []byte `json:"prefix_base64"`
	Keys, Bytes uint64
	Least, Most int64
	Never       uint64 `json:"never_expire"`
}

func (g *group) UnmarshalJSON(text []byte) error {
	type plain group
	times := struct {
		*plain
		Least *int64 `json:"ttl_least"`
		Most  *int64 `json:"ttl_most"`
	}{plain: (*plain)(g)}
	err := json.Unmarshal(text, &times)
	g.Least, g.Most = -1, -1
	if times.Least != nil && times.Most != nil {
		g.Least, g.Most = *times.Least, *times.Most
	}
	return err
}

// What is in a cache is what keys says, to the byte.
func TestKeys(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		s.inspect()
		var got struct {
			Items, Bytes uint64
			Prefixes     []group
			Rest         group
		}
		s.printed(&got, 0, "keys", "--depth", "2")
		if got.Items != 200_001 || got.Rest.Keys != 0 || len(got.Prefixes) != 5 {
			t.Fatalf("%+v", got)
		}
		near := func(ttl int64, hours int64) bool {
			return ttl <= hours*3600+1 && ttl > hours*3600-int64(waitLimit.Seconds())
		}
		sum := uint64(0)
		for _, g := range got.Prefixes {
			sum += g.Keys
			name := string(g.Base64)
			if g.Prefix != nil {
				name = *g.Prefix
			}
			ok := false
			switch name {
			case "session:eu:":
				ok = g.Keys == 150_000 && g.Bytes == 15_000_000 && near(g.Least, 2) && near(g.Most, 2) && g.Never == 0
			case "session:us:":
				ok = g.Keys == 49_990 && g.Bytes > 4_500_000 && g.Bytes < 5_500_000 && near(g.Least, 3) && near(g.Most, 3) && g.Never == 0
			case "user:":
				ok = g.Keys == 2 && g.Bytes == 300_000 && near(g.Least, 50) && near(g.Most, 50) && g.Never == 1
			case "":
				ok = g.Prefix != nil && g.Keys == 8 && g.Bytes == 8 && g.Least == -1 && g.Never == 8
			case "\x00bin ary\n:":
				ok = g.Keys == 1 && g.Bytes == 3 && g.Never == 1
			}
			if !ok {
				t.Errorf("%q: %+v", name, g)
			}
		}
		if sum != got.Items {
			t.Errorf("%d of %d items", sum, got.Items)
		}

		s.printed(&got, 0, "keys", "--depth", "9", "--delimiter", "0", "--limit", "3", "--sort", "keys")
		sum = got.Rest.Keys
		for _, g := range got.Prefixes {
			sum += g.Keys
		}
		if len(got.Prefixes) != 3 || got.Rest.Keys == 0 || sum != 200_001 {
			t.Errorf("%+v", got)
		}
		s.printed(&got, 0, "keys", "--prefix", "user:", "--match", "*2")
		if got.Items != 1 || got.Bytes != 0 {
			t.Errorf("%+v", got)
		}
		out, errOut, status := s.client(nil, "keys", "--sort", "prefix")
		if status != 0 || errOut != "" || !strings.Contains(out, `  "\x00bin ary\n:"`+"\n") || !strings.Contains(out, "\n200001 items: 200001 shown, 0 in the rest (") {
			t.Errorf("status %d: %s%s", status, out, errOut)
		}
		s.lives()
	})
}

// The first of all items, by anything, are those that sorting them would give.
func TestTop(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		s.inspect()
		for args, want := range map[string]string{
			"--limit 1":                    "user:1 300000 -1 7",
			"--limit 2 --prefix user:":     "user:1 300000 -1 7, user:2 0 50 4294967295",
			"--limit 1 --match *:??:*":     "session:us: 200 3 0",
			"--by ttl --limit 11":          "user:1 300000 -1 7,  3 -1 0, page_1 1 -1 0, page_2 1 -1 0, page_3 1 -1 0, page_4 1 -1 0, page_5 1 -1 0, page_6 1 -1 0, page_7 1 -1 0, page_8 1 -1 0, user:2 0 50 4294967295",
			"--by ttl --prefix session:eu": strings.TrimSuffix(strings.Repeat("session:eu: 100 2 0, ", 10), ", "),
		} {
			var got struct {
				Top []struct {
					Key   string
					Bytes uint64
					TTL   *int64
					Idle  int64
					Flags uint64
				}
			}
			s.printed(&got, 0, append([]string{"top"}, strings.Fields(args)...)...)
			var rows []string
			for _, i := range got.Top {
				hours := int64(-1)
				if i.TTL != nil {
					hours = (*i.TTL + int64(waitLimit.Seconds())) / 3600
				}
				if strings.HasPrefix(i.Key, "session:") { // which of them is not known
					i.Key = i.Key[:len("session:eu:")]
				}
				rows = append(rows, fmt.Sprintf("%s %d %d %d", i.Key, i.Bytes, hours, i.Flags))
				if i.Idle < 0 || i.Idle > int64(waitLimit.Seconds()) {
					t.Errorf("%+v", i)
				}
			}
			if got := strings.Join(rows, ", "); got != want {
				t.Errorf("%s: %s\nwant %s", args, got, want)
			}
		}
		s.lives()
	})
}

// The items that have been idle for longest are those that were stored first.
func TestTopIdle(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.load(door.Request{}, []byte("a_old\t1\n"))
		type item struct {
			Key  string
			Idle int64
		}
		var got struct{ Top []item }
		wait(t, "a second and more", func() error {
			s.printed(&got, 0, "top", "--by", "idle")
			if len(got.Top) != 1 || got.Top[0].Idle < 2 {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
		s.load(door.Request{}, []byte("new\tlonger\n"))
		s.printed(&got, 0, "top", "--by", "idle")
		if len(got.Top) != 2 || got.Top[0].Key != "a_old" || got.Top[1].Idle >= got.Top[0].Idle {
			t.Errorf("%+v", got)
		}
	})
}

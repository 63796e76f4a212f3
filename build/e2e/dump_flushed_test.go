package e2e

import (
	"fmt"
	"regexp"
	"testing"

	"memcached-backdoor/preload/door"
)

// What was flushed is not in a dump, from the first on, though its items are still there and stand between others that were
// stored later: in this memcached only a request for them removes them. The same holds for expired items.
func TestDumpFlushed(t *testing.T) {
	const dead, alive = 20_000, 2_000
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("by protocol memcached itself lists what is alive")
		}
		for name, test := range map[string]struct {
			args []string
			soon bool // it is flushed in the second in which it was stored: by their CAS unique memcached knows which
		}{"with CAS": {}, "without": {args: []string{"-C"}}, "in one second": {soon: true}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program, append([]string{"-o", "no_lru_crawler,no_lru_maintainer"}, test.args...)...)
				if test.soon && h.route == "exported" {
					t.Skip("from 1.6.25 on what was stored in that second stays")
				}
				tick := func() {
					t.Helper()
					began := s.stat("", "uptime")
					wait(t, "the next seconds of memcached's clock", func() error {
						if now := s.stat("", "uptime"); !test.soon && now < began+2 {
							return fmt.Errorf("%d after %d", now, began)
						}
						return nil
					})
				}
				flush := func() {
					t.Helper()
					s.load(door.Request{}, rowsOf("dead", dead))
					tick()
					s.ask("flush_all", regexp.MustCompile("^OK"))
					tick()
				}
				// expect dumps what there is, and least so many items that are dead.
				expect := func(what string, want, least int) {
					t.Helper()
					if n := s.stat("", "curr_items"); n < want+least {
						t.Fatalf("only %d items are there: this shows nothing", n)
					}
					path, d := s.dump()
					got := dumped(t, path)
					if len(got) != want || d.Items != uint64(want) {
						t.Fatalf("%s: %d items, %+v; want %d", what, len(got), d, want)
					}
					for i := range want {
						key, value := rowOf("alive", i)
						if e := got[key]; e.value != value {
							t.Fatalf("%s: %s is %+v", what, key, e)
						}
					}
				}
				flush()
				expect("flushed", 0, dead)
				flush() // the first dump has taken out what it has asked for
				s.load(door.Request{}, rowsOf("alive", alive))
				expect("flushed and stored", alive, dead/2)
				s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(fmt.Sprintf(`{"key":"expired{n}","value":"v","expired":true,"count":%d}`+"\n", dead)))
				expect("expired", alive, dead/2)
			})
		}
	})
}

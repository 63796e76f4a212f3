package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// listing makes a server that stores natively and lists its keys by protocol. Its hash table takes 12288 items before it
// grows, and no list of keys begins meanwhile.
func listing(t *testing.T, options string, env ...string) *server {
	t.Helper()
	s := newServer(t, stock(t), "-o", "hashpower=13"+options)
	s.preload = built(t, "backdoor-faulty.so")
	s.env = append(env, "MEMCACHED_BACKDOOR_FAULT="+fileOf(t, []byte("unlocated")).Name())
	s.start()
	s.waitDoor()
	return s
}

// nearlyFull is how many items the table takes that it grows behind a few more.
const nearlyFull = 12_240

// A table that never grows keeps no list of keys from beginning.
func TestDumpNoExpand(t *testing.T) {
	t.Parallel()
	s := listing(t, ",no_hashexpand")
	s.fill(2 * nearlyFull)
	path, d := s.dump()
	if n := strings.Count(content(t, path), "\r\nms ") + 1; d.Written != 2*nearlyFull || n != 2*nearlyFull || d.Seconds > 4 {
		t.Errorf("%+v, %d items in the file", d, n)
	}
}

// A cache whose table stays nearly full is saved; if the time does not suffice, that is logged.
func TestSaveNearlyFull(t *testing.T) {
	for limit, want := range map[string]string{"1": "not saved: ", "60": "saved: 12240 items in "} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			path := saved(t)
			s := listing(t, "", "MEMCACHED_BACKDOOR_SAVE="+path, "MEMCACHED_BACKDOOR_SAVE_LIMIT="+limit)
			s.fill(nearlyFull)
			s.end(syscall.SIGTERM)
			if out := s.output.String(); strings.Count(out, "saved: ") != 1 || !strings.Contains(out, "memcached-backdoor: "+want) {
				t.Errorf("memcached's stderr: %q", out)
			}
			if n := bytes.Count([]byte(content(t, path)), []byte("ms fill:")); (n == nearlyFull) != (limit == "60") {
				t.Errorf("%d items are saved", n)
			}
		})
	}
}

// A growth may wait for the page mover, and that for a client that does not read, when the items of which the table was too
// full are gone. No list of keys begins then: of a worker that is asked for one nothing would be heard any more.
func TestDumpBesideHeldPage(t *testing.T) {
	t.Parallel()
	s := listing(t, ",slab_chunk_max=1048576,slab_automove=0")
	s.tells("ms large 900000\r\n" + strings.Repeat("v", 900_000) + "\r\n")
	s.tells("ms other 900000\r\n" + strings.Repeat("v", 900_000) + "\r\n")
	var class string // of these
	for name, value := range s.stats("slabs") {
		if of, ok := strings.CutSuffix(name, ":chunk_size"); ok && value == "1048576" {
			class = of
		}
	}
	reader := dial(s)
	defer reader.Close()
	fmt.Fprint(reader, "mg large v\r\nmg other v\r\n") // more than a socket takes
	wait(t, "the reader", func() error {
		if s.stats("")["get_hits"] != "2" {
			return errors.New("memcached has not read its commands yet")
		}
		return nil
	})
	wait(t, "a page held up", func() error {
		if answers := s.tells("slabs reassign " + class + " 1\r\n"); answers[0] != "OK" {
			return errors.New(answers[0])
		}
		return nil
	})
	s.fill(2 * nearlyFull)
	ticked, _ := strconv.Atoi(s.stats("")["time"])
	wait(t, "memcached to look at its table", func() error {
		if now, _ := strconv.Atoi(s.stats("")["time"]); now < ticked+3 {
			return errors.New("it has not yet")
		}
		return nil
	})
	if stats := s.stats(""); stats["slab_reassign_running"] != "1" || stats["hash_power_level"] != "13" {
		t.Fatalf("the page is not held up: %v, hash power %s", stats["slab_reassign_running"], stats["hash_power_level"])
	}
	var deletes strings.Builder
	for i := range 2 * nearlyFull {
		fmt.Fprintf(&deletes, "md fill:%d q\r\n", i)
	}
	s.tells(deletes.String())
	out, outcome := s.dumping(door.Request{})
	began := time.Now()
	wait(t, "some looks", func() error {
		if time.Since(began) < time.Second {
			return errors.New("too early")
		}
		return nil
	})
	reader.Close()
	go io.Copy(io.Discard, out)
	if reply := outcome(); reply.Error != nil || reply.Dump.Items < 2 {
		t.Errorf("%+v, %v", reply.Dump, reply.Error)
	}
	for range 8 { // two for each worker
		s.tells("mg large\r\n")
	}
}

package e2e

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
)

// listing makes a server that stores natively and lists its keys by protocol. Its hash table takes 12288 items before it
// grows, and no list of keys begins beside that.
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

// A cache whose table stays nearly full is saved; where the time does not suffice, that is said.
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

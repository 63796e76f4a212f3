package e2e

import (
	"strings"
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

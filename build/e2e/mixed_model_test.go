package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What TestMixed knows of the cache. A value consists of pieces. Each says whose it is, which write it is from, and how
// long it is, and has a checksum: a value that is cut, mixed with another's, or old is seen wherever it is read.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// noise is what pieces are cut from.
var noise = sync.OnceValue(func() []byte {
	random := rand.NewChaCha8([32]byte{})
	bytes := make([]byte, 16<<20)
	_, _ = random.Read(bytes) // which never fails
	return bytes
})

// appendPiece appends a piece of about size bytes of a write to a key.
func appendPiece(dst []byte, key string, write uint64, size int, random *rand.Rand) []byte {
	head := fmt.Sprintf("%s %d", key, write)
	size = max(size-len(head)-20, 0)
	at := random.IntN(len(noise()) - size)
	data := noise()[at : at+size]
	dst = fmt.Appendf(dst, "%s %d %08x\n", head, size, checksum([]byte(head), data))
	return append(dst, data...)
}

func checksum(head, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, data)
}

// writesOf takes a key's value to pieces and returns the writes that they are from, in ascending order.
func writesOf(key string, value []byte) ([]uint64, error) {
	var writes []uint64
	for rest := value; len(rest) > 0; {
		line, _, _ := bytes.Cut(rest[:min(len(rest), len(key)+100)], []byte("\n"))
		head := strings.Fields(string(line))
		if len(head) != 4 || head[0] != key || len(line) == len(rest) {
			return nil, fmt.Errorf("%s has no piece of its own %d bytes after its beginning: %.60q", key, len(value)-len(rest), rest)
		}
		data := rest[len(line)+1:]
		write, err1 := strconv.ParseUint(head[1], 10, 64)
		size, err2 := strconv.ParseUint(head[2], 10, 31)
		sum, err3 := strconv.ParseUint(head[3], 16, 32)
		if err := errors.Join(err1, err2, err3); err != nil || int(size) > len(data) {
			return nil, fmt.Errorf("%s: write %d of %d bytes is cut to %d, %v", key, write, size, len(data), err)
		}
		data, rest = data[:size], data[size:]
		if checksum(line[:len(head[0])+1+len(head[1])], data) != uint32(sum) {
			return nil, fmt.Errorf("%s: write %d of %d bytes is damaged", key, write, size)
		}
		writes = append(writes, write)
	}
	if len(writes) == 0 {
		return nil, fmt.Errorf("%s is empty", key)
	}
	slices.Sort(writes)
	return writes, nil
}

// An owned key is written by one at a time, who holds its lock from the command to the answer. So the lock's holder knows
// the value.
type owned struct {
	key  string
	size int  // of a write, about, in bytes
	old  bool // older values are served, too

	mu    sync.Mutex
	last  uint64   // the last change; each has a number, deletions as well
	first uint64   // the write with which its value begins, 0 if it has none
	since uint64   // the change since which it has a value without a break
	sets  []uint64 // the writes that a value has begun with
	past  []string // the latest changes, for whom they are to be told
}

// A state is what is known of a key at a moment.
type state struct{ last, first, since uint64 }

func (o *owned) state() state {
	o.mu.Lock()
	defer o.mu.Unlock()
	return state{o.last, o.first, o.since}
}

// change notes what change last+1 is.
func (o *owned) change(what string) {
	o.last++
	const told = 8
	o.past = append(o.past[max(len(o.past)-told+1, 0):], fmt.Sprintf("%d %s at %s", o.last, what, time.Now().Format("05.000")))
}

// isSet notes, with the lock held, that write last+1 has replaced the value.
func (o *owned) isSet() {
	o.change("set")
	if o.first == 0 {
		o.since = o.last
	}
	o.first = o.last
	o.sets = append(o.sets, o.last)
}

// isExtended notes, with the lock held, that write last+1 has been added to the value.
func (o *owned) isExtended() { o.change("extended") }

// isGone notes, with the lock held, why there is no value.
func (o *owned) isGone(why string) {
	o.change(why)
	o.first = 0
}

// check says, with the lock held, what is wrong with a value that was read after a change and before now.
func (o *owned) check(since uint64, value []byte) error {
	writes, err := writesOf(o.key, value)
	if err != nil || o.old {
		return err
	}
	first, last := writes[0], writes[len(writes)-1]
	if last < since || last > o.last {
		return fmt.Errorf("%s has write %d as its last, but was read between changes %d and %d; the latest are %q", o.key, last, since, o.last, o.past)
	}
	if uint64(len(writes)) != last-first+1 {
		return fmt.Errorf("%s has %d of the writes %d to %d", o.key, len(writes), first, last)
	}
	if at, begins := slices.BinarySearch(o.sets, first); !begins || at+1 < len(o.sets) && o.sets[at+1] <= last {
		return fmt.Errorf("%s has the writes %d to %d, but began with another; the latest changes are %q", o.key, first, last, o.past)
	}
	return nil
}

// A counter is an owned key that is only incremented; where it had gone it begins anew, above what it was.
type counter struct {
	key string

	mu     sync.Mutex
	value  uint64
	begins uint64 // how many times it did
	there  bool
}

// A count is what is known of a counter at a moment.
type count struct {
	value, begins uint64
	there         bool
}

func (c *counter) state() count {
	c.mu.Lock()
	defer c.mu.Unlock()
	return count{c.value, c.begins, c.there}
}

// A model is the whole of it.
type model struct {
	fixed    []*owned // they do not change
	worked   []*owned // by clients
	loaded   []*owned // by loads
	counters []*counter
	shared   int // keys that everybody changes, without looking

	mu    sync.Mutex
	grown int // keys that a client has stored one after the other
	from  int // those before may be gone
	lost  map[string]bool
}

// newModel has keys for a memcached with an item size limit, in bytes.
func newModel(limit int, random *rand.Rand) *model {
	m := &model{shared: 20_000, lost: map[string]bool{}}
	keys := func(name string, n, from, to int) (list []*owned) {
		to = min(to, limit*9/10)
		for i := range n {
			list = append(list, &owned{key: fmt.Sprintf("%s:%d", name, i), size: from + random.IntN(max(to-from, 1))})
		}
		return list
	}
	m.fixed = slices.Concat(
		keys("small", 2000, 50, 400),
		keys("middle", 200, 5_000, 200_000),
		keys("large", 80, 300_000, 2<<20),
		keys("huge", 8, min(limit/2, 4<<20), 9<<20))
	m.worked = slices.Concat(
		keys("work", 1000, 50, 3000),
		keys("works", 16, 100_000, 500_000))
	m.loaded = slices.Concat(
		keys("load", 1000, 50, 3000),
		keys("loads", 8, 200_000, 1500_000))
	for i := range 200 {
		m.counters = append(m.counters, &counter{key: fmt.Sprint("count:", i)})
	}
	return m
}

func (m *model) owned() []*owned { return slices.Concat(m.fixed, m.worked, m.loaded) }

// isLost notes that a key has gone though no one removed it, which memcached must account for.
func (m *model) isLost(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost[key] = true
}

// losses are the keys that are lost.
func (m *model) losses() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.lost))
}

// forget forgets them.
func (m *model) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.lost)
}

// growing returns which of the keys that are stored one after the other must be there: those from one to before another.
func (m *model) growing() (from, to int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.from, m.grown
}

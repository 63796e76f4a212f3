package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// appendSet appends a row of memcached's own format.
func appendSet(dst []byte, key string, write uint64, size int, random *rand.Rand) []byte {
	value := appendPiece(nil, key, write, size, random)
	dst = fmt.Appendf(dst, "set %s %d %d %d\r\n", key, random.Uint32(), far, len(value))
	return append(append(dst, value...), "\r\n"...)
}

// loads loads keys that only it writes, and others that all write.
func (r *mixed) loads(ctx context.Context, random *rand.Rand) error {
	c := r.client()
	defer c.Close()
	for ctx.Err() == nil {
		if random.IntN(3) == 0 {
			if err := r.loadShared(20<<20, random); err != nil {
				return err
			}
			continue
		}
		at := random.IntN(len(r.m.loaded))
		if err := r.loadKeys(c, r.m.loaded[at:min(at+1+random.IntN(200), len(r.m.loaded))], random); err != nil {
			return err
		}
	}
	return nil
}

// loadKeys loads owned keys, and looks what has become of them.
func (r *mixed) loadKeys(c *memcache.Client, keys []*owned, random *rand.Rand) error {
	var rows []byte
	for _, o := range keys {
		o.mu.Lock()
		defer o.mu.Unlock()
		rows = appendSet(rows, o.key, o.last+1, 1+random.IntN(o.size), random)
	}
	stored, err := r.load(rows, len(keys))
	if err != nil {
		return err
	}
	for _, o := range keys {
		if stored == len(keys) {
			o.isSet()
			continue
		}
		// There was no memory for some: these have no value any more.
		was, err := c.Get(o.key)
		switch {
		case err == nil:
			o.isSet()
			if err := o.check(o.last, was.Value); err != nil {
				return fmt.Errorf("after a load that stored %d of %d rows: %w", stored, len(keys), err)
			}
		case errors.Is(err, memcache.ErrCacheMiss):
			r.lostNow(o)
		default:
			return err
		}
	}
	return nil
}

// loadShared loads that many bytes.
func (r *mixed) loadShared(size int, random *rand.Rand) error {
	var rows []byte
	n := 0
	for ; len(rows) < size; n++ {
		rows = appendSet(rows, fmt.Sprint("shared:", random.IntN(r.m.shared)), random.Uint64(), random.IntN(20_000), random)
	}
	_, err := r.load(rows, n)
	return err
}

// load loads n rows of memcached's own format and says how many are stored: all, but for those that there was no memory for.
func (r *mixed) load(rows []byte, n int) (stored int, err error) {
	if *mixedBare {
		return r.send(rows, n)
	}
	file := fileOf(r.t, rows)
	defer file.Close()
	reply, err := call(r.s.door, door.Request{Op: door.OpLoad, Rows: door.Rows{Format: "memcached"}}, file)
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	l := reply.Load
	if l == nil || int(l.Rows) != n || l.Skipped > 0 || l.Engine != door.EngineNative {
		return 0, fmt.Errorf("load of %d rows: %+v, %v", n, l, reply.Error)
	}
	for _, reject := range l.Rejects {
		if !strings.Contains(reject.Reason, "memory") {
			return 0, fmt.Errorf("load: %+v", reject)
		}
	}
	r.rows.Add(int64(l.Stored))
	return int(l.Stored), nil
}

// send is load without the library.
func (r *mixed) send(rows []byte, n int) (stored int, err error) {
	conn := dial(r.s)
	defer conn.Close()
	go conn.Write(rows) // an error is the reader's, too
	answers := bufio.NewReader(conn)
	for range n {
		answer, err := answers.ReadString('\n')
		if err != nil {
			return stored, err
		}
		if answer == "STORED\r\n" {
			stored++
		} else if !strings.HasPrefix(answer, "SERVER_ERROR out of memory") {
			return stored, fmt.Errorf("load: %q", answer)
		}
	}
	r.rows.Add(int64(stored))
	return stored, nil
}

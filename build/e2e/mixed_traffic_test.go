package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// far is a time to live that no round lasts.
const far = 100_000

// client is a separate connection.
func (r *mixed) client() *memcache.Client {
	c := memcache.New(r.s.socket)
	c.Timeout, c.MaxIdleConns = waitLimit, 1
	return c
}

// refused tells whether memcached has no memory for a value, which it may say.
func refused(err error) bool {
	return errors.Is(err, memcache.ErrServerError) || err != nil && strings.Contains(err.Error(), "SERVER_ERROR")
}

// works uses the keys that clients work on, until the context ends.
func (r *mixed) works(ctx context.Context, random *rand.Rand) error {
	c := r.client()
	defer c.Close()
	for ctx.Err() == nil {
		var err error
		switch n := random.IntN(20); {
		case n < 12:
			err = r.work(c, r.m.worked[random.IntN(len(r.m.worked))], random)
		case n < 15:
			err = r.increments(c, r.m.counters[random.IntN(len(r.m.counters))], random)
		case n < 16:
			err = r.reads(c, random)
		case n < 17:
			err = r.touches(c, r.m.fixed[random.IntN(len(r.m.fixed))])
		default:
			err = r.shares(c, random)
		}
		if err != nil {
			return err
		}
		r.commands.Add(1)
	}
	return nil
}

// work does one thing to an owned key, and holds the answer to the model.
func (r *mixed) work(c *memcache.Client, o *owned, random *rand.Rand) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	piece := func() []byte { return appendPiece(nil, o.key, o.last+1, 1+random.IntN(o.size), random) }
	item := func() *memcache.Item {
		return &memcache.Item{Key: o.key, Value: piece(), Flags: random.Uint32(), Expiration: far}
	}
	switch random.IntN(9) {
	case 0, 1:
		return r.stored(c, o, c.Set(item()))
	case 2:
		err := c.Add(item())
		if errors.Is(err, memcache.ErrNotStored) && o.first != 0 {
			return nil
		}
		if err == nil && o.first != 0 { // it had gone before
			r.m.isLost(o.key)
			o.first = 0
		}
		return r.stored(c, o, err)
	case 3:
		err := c.Replace(item())
		return r.changed(c, o, err, memcache.ErrNotStored, o.isSet)
	case 4:
		if o.last-o.first >= 8 { // long enough
			return r.stored(c, o, c.Set(item()))
		}
		it := item()
		return r.extended(c, o, len(it.Value), c.Append(it))
	case 5:
		if o.last-o.first >= 8 {
			return r.stored(c, o, c.Set(item()))
		}
		it := item()
		return r.extended(c, o, len(it.Value), c.Prepend(it))
	case 6:
		was, err := c.Get(o.key)
		if wrong := r.looked(o, was, err); wrong != nil || was == nil || r.nocas {
			return wrong
		}
		was.Value, was.Expiration = piece(), far
		err = c.CompareAndSwap(was)
		if errors.Is(err, memcache.ErrCASConflict) {
			return nil // an item that is moved to another page has another unique (items.c: do_item_link)
		}
		return r.changed(c, o, err, memcache.ErrCacheMiss, o.isSet)
	case 7:
		if random.IntN(2) == 0 {
			was, err := c.GetAndTouch(o.key, far)
			return r.looked(o, was, err)
		}
		was, err := c.Get(o.key)
		return r.looked(o, was, err)
	default:
		err := c.Delete(o.key)
		return r.changed(c, o, err, memcache.ErrCacheMiss, func() { o.isGone("deleted") })
	}
}

// lostNow notes that an owned key has gone by itself.
func (r *mixed) lostNow(o *owned) {
	r.m.isLost(o.key)
	o.isGone("found gone")
}

// stored notes what a write has come to that replaces all.
func (r *mixed) stored(c *memcache.Client, o *owned, err error) error {
	if err == nil {
		o.isSet()
		return nil
	}
	return r.failed(c, o, err)
}

// changed notes what a command has come to that needs a value, and answers none if there is none.
func (r *mixed) changed(c *memcache.Client, o *owned, err, none error, done func()) error {
	switch {
	case err == nil && o.first == 0:
		return fmt.Errorf("%s was there, but the latest changes are %q", o.key, o.past)
	case err == nil:
		done()
		return nil
	case errors.Is(err, none):
		if o.first != 0 {
			r.lostNow(o)
		}
		return nil
	}
	return r.failed(c, o, err)
}

// extended notes what an append or a prepend of so many bytes has come to. Where both together are too large, the value is
// on a disk, or there is no memory, memcached says NOT_STORED, too, and the old value stays (memcached.c: do_store_item).
func (r *mixed) extended(c *memcache.Client, o *owned, more int, err error) error {
	if errors.Is(err, memcache.ErrNotStored) && o.first != 0 {
		was, err := c.Get(o.key)
		if err == nil && !r.disk && len(was.Value)+more < r.limit*9/10 {
			r.m.isLost(o.key) // memcached must account for it
		}
		return r.looked(o, was, err)
	}
	return r.changed(c, o, err, memcache.ErrNotStored, o.isExtended)
}

// looked notes what was read.
func (r *mixed) looked(o *owned, was *memcache.Item, err error) error {
	switch {
	case errors.Is(err, memcache.ErrCacheMiss):
		if o.first != 0 {
			r.lostNow(o)
		}
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", o.key, err)
	case o.first == 0:
		return fmt.Errorf("%s was there, but the latest changes are %q", o.key, o.past)
	}
	return o.check(o.last, was.Value)
}

// failed takes a key out that memcached had no memory for: it may have its old value or none.
func (r *mixed) failed(c *memcache.Client, o *owned, err error) error {
	if !refused(err) {
		return fmt.Errorf("%s: %w", o.key, err)
	}
	r.m.isLost(o.key)
	if err := c.Delete(o.key); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("delete %s: %w", o.key, err)
	}
	o.isGone("deleted for want of memory")
	return nil
}

func (r *mixed) increments(c *memcache.Client, k *counter, random *rand.Rand) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	by := 1 + random.Uint64N(1000)
	n, err := c.Increment(k.key, by)
	switch {
	case err == nil && (!k.there || n != k.value+by):
		return fmt.Errorf("%s, incremented by %d, is %d; it was %+v", k.key, by, n, count{k.value, k.begins, k.there})
	case err == nil:
		k.value = n
		return nil
	case !errors.Is(err, memcache.ErrCacheMiss):
		return fmt.Errorf("%s: %w", k.key, err)
	}
	if k.there {
		r.m.isLost(k.key)
	}
	k.there = false
	k.begins++
	err = c.Add(&memcache.Item{Key: k.key, Value: fmt.Append(nil, k.value+1)})
	if err == nil {
		k.there = true
		k.value++
	} else if !refused(err) {
		return fmt.Errorf("%s: %w", k.key, err)
	}
	return nil
}

// touches gives a fixed key a time to live, and reads it.
func (r *mixed) touches(c *memcache.Client, o *owned) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := c.Touch(o.key, far); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("touch %s: %w", o.key, err)
	}
	was, err := c.Get(o.key)
	return r.looked(o, was, err)
}

// reads reads keys that others write meanwhile.
func (r *mixed) reads(c *memcache.Client, random *rand.Rand) error {
	all, since, keys := map[string]*owned{}, map[string]uint64{}, []string{}
	for range 10 {
		o := r.m.worked[random.IntN(len(r.m.worked))]
		if all[o.key] == nil {
			all[o.key], since[o.key] = o, o.state().last
			keys = append(keys, o.key)
		}
	}
	items, err := c.GetMulti(keys)
	if err != nil {
		return err
	}
	for key, item := range items {
		o := all[key]
		o.mu.Lock()
		err := o.check(since[key], item.Value)
		o.mu.Unlock()
		if err != nil {
			return fmt.Errorf("read while it is written: %w", err)
		}
	}
	return nil
}

// shares does something to a key that everybody changes.
func (r *mixed) shares(c *memcache.Client, random *rand.Rand) error {
	key := fmt.Sprint("shared:", random.IntN(r.m.shared))
	item := &memcache.Item{Key: key, Value: appendPiece(nil, key, random.Uint64(), random.IntN(20_000), random)}
	was, err := c.Get(key)
	if err == nil {
		_, wrong := writesOf(key, was.Value)
		if wrong != nil {
			return wrong
		}
	} else if !errors.Is(err, memcache.ErrCacheMiss) {
		return err
	}
	switch n := random.IntN(4); {
	case n == 0 && was != nil && len(was.Value) < 200_000:
		err = c.Append(item)
	case n == 1:
		err = c.Delete(key)
	default:
		err = c.Set(item)
	}
	if err != nil && !refused(err) && !errors.Is(err, memcache.ErrNotStored) && !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func growKey(i int) string { return fmt.Sprint("grow:", i) }

// grows stores one small item after the other, so that the hash table grows by memcached's own clock.
func (r *mixed) grows(ctx context.Context, random *rand.Rand) error {
	conn := dial(r.s)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for ctx.Err() == nil {
		_, n := r.m.growing()
		if n >= r.most {
			return nil
		}
		const many = 5000
		var text bytes.Buffer
		for i := n; i < n+many; i++ {
			value := appendPiece(nil, growKey(i), 1, random.IntN(60), random)
			fmt.Fprintf(&text, "ms %s %d q\r\n%s\r\n", growKey(i), len(value), value)
		}
		text.WriteString("mn\r\n")
		_ = conn.SetDeadline(time.Now().Add(waitLimit))
		if _, err := conn.Write(text.Bytes()); err != nil {
			return fmt.Errorf("storing one after the other: %w", err)
		}
		answer, err := answers.ReadString('\n')
		for err == nil && strings.HasPrefix(answer, "SERVER_ERROR") {
			answer, err = answers.ReadString('\n')
		}
		if err != nil || answer != "MN\r\n" {
			return fmt.Errorf("storing one after the other: %q, %w", answer, err)
		}
		r.m.mu.Lock()
		r.m.grown += many
		r.m.mu.Unlock()
	}
	return nil
}

// moves has memcached move pages from a slab class to another.
func (r *mixed) moves(ctx context.Context, random *rand.Rand) error {
	for ctx.Err() == nil {
		classes := []string{"0"}
		for name := range r.s.stats("slabs") {
			if class, ok := strings.CutSuffix(name, ":total_pages"); ok {
				classes = append(classes, class)
			}
		}
		from, to := classes[random.IntN(len(classes))], classes[random.IntN(len(classes))]
		command := fmt.Sprintf("slabs reassign %s %s", from, to)
		if random.IntN(10) == 0 {
			command = fmt.Sprint("slabs automove ", random.IntN(3))
		}
		r.s.ask(command+"\r\nversion", regexp.MustCompile("^VERSION"))
		pause(ctx, time.Duration(random.IntN(20))*time.Millisecond)
	}
	r.s.ask("slabs automove 1", regexp.MustCompile("^OK$|^ERROR"))
	return nil
}

// disturbs empties the cache, and gives it less memory and more, until the context ends.
func (r *mixed) disturbs(ctx context.Context, random *rand.Rand) error {
	answered := regexp.MustCompile("^VERSION")
	for ctx.Err() == nil {
		switch random.IntN(6) {
		case 0:
			r.s.ask("flush_all\r\nversion", answered)
		case 1:
			r.s.ask("lru_crawler crawl all\r\nversion", answered)
		case 2, 3:
			r.s.ask(fmt.Sprintf("cache_memlimit %d\r\nversion", r.megabytes/4+random.IntN(r.megabytes/4)), answered)
		default:
			if err := r.loadShared(100<<20, random); err != nil {
				return err
			}
		}
		pause(ctx, time.Duration(random.IntN(200))*time.Millisecond)
	}
	return nil
}

// pause waits for so long, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"

	"memcached-backdoor/preload/door"
)

// A watched dump is held, item by item, to what was known when it began and what is known now.
type watched struct {
	m      *model
	owned  map[string]*owned
	count  map[string]*counter
	states map[string]state // when it began
	counts map[string]count
	from   int // of the keys that are stored one after the other
	to     int

	keys  map[string]bool // that it has
	grown []bool          // and of those that are stored one after the other
	items int
}

func (m *model) watch() *watched {
	w := &watched{m: m, owned: map[string]*owned{}, count: map[string]*counter{}, states: map[string]state{}, counts: map[string]count{}, keys: map[string]bool{}}
	for _, o := range m.owned() {
		w.owned[o.key], w.states[o.key] = o, o.state()
	}
	for _, c := range m.counters {
		w.count[c.key], w.counts[c.key] = c, c.state()
	}
	w.from, w.to = m.growing()
	return w
}

// twice notes that the dump has a key, and says whether it had it before.
func (w *watched) twice(key string) bool {
	number, ok := strings.CutPrefix(key, "grow:")
	if !ok {
		had := w.keys[key]
		w.keys[key] = true
		return had
	}
	i, _ := strconv.Atoi(number)
	for len(w.grown) <= i {
		w.grown = append(w.grown, false)
	}
	had := w.grown[i]
	w.grown[i] = true
	return had
}

// item says what is wrong with an item of the dump.
func (w *watched) item(key string, value []byte) error {
	w.items++
	if w.twice(key) {
		return fmt.Errorf("%s is in a dump twice", key)
	}
	if o := w.owned[key]; o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.check(w.states[key].last, value)
	}
	if c := w.count[key]; c != nil {
		n, err := strconv.ParseUint(strings.TrimRight(string(value), " "), 10, 64)
		if now := c.state(); err != nil || n < w.counts[key].value || n > now.value {
			return fmt.Errorf("%s is %q in a dump, while it went from %d to %d", key, value, w.counts[key].value, now.value)
		}
		return nil
	}
	_, err := writesOf(key, value)
	return err
}

// end notes what a complete dump lacks though it was there all the time.
func (w *watched) end() {
	for key, o := range w.owned {
		if before, now := w.states[key], o.state(); before.first != 0 && now.first != 0 && now.since <= before.last && !w.keys[key] {
			w.m.isLost(key)
		}
	}
	for key, c := range w.count {
		if before, now := w.counts[key], c.state(); before.there && now.there && now.begins == before.begins && !w.keys[key] {
			w.m.isLost(key)
		}
	}
	for i := w.from; i < w.to; i++ {
		if i >= len(w.grown) || !w.grown[i] {
			w.m.isLost(growKey(i))
		}
	}
}

// dumps dumps and looks at each item, until the context ends. Some are given up in between.
func (r *mixed) dumps(ctx context.Context, random *rand.Rand) error {
	for ctx.Err() == nil {
		w := r.m.watch()
		out, answer := r.s.dumpingLost(door.Request{})
		if random.IntN(6) == 0 {
			_, _ = io.CopyN(io.Discard, out, random.Int64N(20<<20)) // or less, if the dump has less
			out.Close()
			_, _ = answer() // what it is does not matter
			r.given.Add(1)
			continue
		}
		var wrong error
		complete := eachDumped(r.t, out, func(key, value []byte, _ uint64, _ int64) {
			if err := w.item(string(key), value); err != nil && wrong == nil {
				wrong = err
			}
		})
		out.Close()
		reply, err := answer()
		if wrong != nil {
			return wrong
		}
		if err != nil || reply.Dump == nil || !complete {
			return fmt.Errorf("a dump, complete %v: %+v, %w", complete, reply.Dump, err)
		}
		if err := reply.Dump.Check(); err != nil {
			return err
		}
		if int(reply.Dump.Written) != w.items || reply.Dump.Engine != door.EngineNative {
			return fmt.Errorf("a dump of %d items says %+v", w.items, reply.Dump)
		}
		w.end()
		r.dumped.Add(1)
		r.items.Add(int64(w.items))
	}
	return nil
}

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// rewriters are clients that write while items are deleted. Each rewrites keys of its own, and knows what it has written last.
type rewriters struct {
	s       *server
	stop    context.CancelFunc
	ways    int
	running sync.WaitGroup
	last    [4]map[string]string
	errs    [4]error
}

// rewrites starts clients that write a short value to each tenth of n keys with both prefixes, and to new keys, again and
// again, in as many of the ways in which memcached makes or changes an item.
func (s *server) rewrites(n, ways int) *rewriters {
	ctx, stop := context.WithCancel(s.t.Context())
	r := &rewriters{s: s, stop: stop, ways: ways}
	for worker := range r.last {
		r.last[worker] = map[string]string{}
		r.running.Go(func() { r.errs[worker] = r.work(ctx, worker, n) })
	}
	return r
}

func (r *rewriters) work(ctx context.Context, worker, n int) error {
	c := memcache.New(r.s.socket)
	c.Timeout = waitLimit
	defer c.Close()
	for round := 0; ctx.Err() == nil; round++ {
		for i := worker * 10; i < n && ctx.Err() == nil; i += len(r.last) * 10 {
			for _, key := range []string{fmt.Sprint("gone:", i), fmt.Sprint("kept:", i), fmt.Sprint("gone:new:", i)} {
				value := fmt.Sprintf("%d", 1000+round)
				if err := r.write(c, round%r.ways, key, value); err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
				r.last[worker][key] = value
			}
		}
	}
	return nil
}

// write gives an item a short value.
func (r *rewriters) write(c *memcache.Client, how int, key, value string) error {
	switch how {
	case 1: // in place: the value is a number
		if n, err := c.Increment(key, 1); err != nil || fmt.Sprint(n) != value {
			return fmt.Errorf("incr to %s: %d, %v", value, n, err)
		}
		return nil
	case 2:
		item, err := c.Get(key)
		if err != nil {
			return err
		}
		item.Value = []byte(value)
		return c.CompareAndSwap(item)
	}
	return c.Set(&memcache.Item{Key: key, Value: []byte(value)})
}

// end ends the clients, and returns what each key has that was written.
func (r *rewriters) end() map[string]string {
	r.s.t.Helper()
	r.stop()
	r.running.Wait()
	if err := errors.Join(r.errs[:]...); err != nil {
		r.s.t.Error(err)
	}
	all := map[string]string{}
	for _, last := range r.last {
		for key, value := range last {
			all[key] = value
		}
	}
	return all
}

func longValue(key string) string { return key + strings.Repeat(" long", 20) }

var deleteOf = flag.Int("deletes", 0, "TestDeleteOfMany: of how many items a tenth is deleted beside writers")

// While clients write, each item is deleted for which the conditions hold, and no other one: not what a client has stored
// in place of it, or changed in place, since it was met. The rate makes time for that.
func TestDeleteBesideWriters(t *testing.T) {
	for _, args := range [][]string{nil, {"-C"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			eachShape(t, func(t *testing.T, h shape) {
				if !h.native() && args != nil {
					t.Skip("it is refused")
				}
				const n = 8000 // natively they are met at once
				s := start(t, h.program, args...)
				c := s.deletesBesideWriters(n, n, args == nil, "--rate", "8000")
				if native := c.Engine == door.EngineNative; native && c.Replaced == 0 || c.Changed < n*9/10 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// The same with many items, and as fast as it can. It says how long that took: see -deletes.
func TestDeleteOfMany(t *testing.T) {
	if *deleteOf == 0 {
		t.Skip("-deletes says of how many items")
	}
	s := start(t, stock(t), "-m", "8192", "-t", "4")
	c := s.deletesBesideWriters(*deleteOf/10, *deleteOf-*deleteOf/10, true)
	t.Logf("%d of %d items deleted in %.2f s, %d replaced meanwhile", c.Changed, *deleteOf, c.Seconds, c.Replaced)
}

// deletesBesideWriters deletes as many items of one prefix, beside those of another, while clients write to both.
func (s *server) deletesBesideWriters(gone, kept int, cas bool, args ...string) *door.Changed {
	t := s.t
	t.Helper()
	keys := func(each func(key string)) {
		for i := range gone {
			each(fmt.Sprint("gone:", i))
		}
		for i := range kept {
			each(fmt.Sprint("kept:", i))
		}
	}
	var rows bytes.Buffer
	load := func() {
		s.load(door.Request{}, rows.Bytes())
		rows.Reset()
	}
	keys(func(key string) {
		fmt.Fprintf(&rows, "%s\t%s\n", key, longValue(key))
		if rows.Len() > 64<<20 {
			load()
		}
	})
	load()
	if !cas { // an item without a CAS unique is known by its size and its times
		wait(t, "another second", func() error {
			if line := s.tells("mg gone:1 l u\r\n")[0]; line == "HD l0" {
				return errors.New(line)
			}
			return nil
		})
	}
	ways := 3
	if !cas {
		ways = 2 // not by comparison
	}
	p := s.changing("delete", append([]string{"--prefix", "gone:", "--min-size", "50"}, args...)...)
	p.began(gone + kept)
	w := s.rewrites(gone, ways)
	c := p.outcome()
	rewritten := w.end()
	if p.ProcessState.ExitCode() != 0 {
		t.Errorf("%s: %s", p.ProcessState, p.err.String())
	}
	wrong := 0
	var some []string
	check := func() {
		items, err := s.cache().GetMulti(some)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range some {
			want, there := rewritten[key]
			if !there && strings.HasPrefix(key, "kept:") {
				want, there = longValue(key), true
			}
			got := ""
			if item := items[key]; item != nil {
				got = string(item.Value)
			}
			if _, ok := items[key]; got != want || ok != there {
				if wrong++; wrong < 5 {
					t.Errorf("%s is %.20q (%t), want %.20q (%t)", key, got, ok, want, there)
				}
			}
		}
		some = some[:0]
	}
	look := func(key string) {
		if some = append(some, key); len(some) == 1000 {
			check()
		}
	}
	keys(look)
	for i := range gone {
		look(fmt.Sprint("gone:new:", i))
	}
	check()
	if wrong > 0 {
		t.Errorf("%d items are not as they should be: %+v", wrong, c)
	}
	s.lives()
	return c
}

// An item that was touched or invalidated since it was met does not match any more, if its life is a condition; any other
// one is deleted all the same.
func TestDeleteBesideTouches(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("the protocol compares no times")
		}
		s := start(t, h.program)
		const n = 1000
		for _, conditions := range [][]string{{"--never-expires"}, {"--prefix", "k_"}} {
			s.load(door.Request{}, rowsOf("k", n))
			p := s.changing("delete", append(conditions, "--rate", "500", "--yes")...)
			p.began(n)
			var touches strings.Builder
			for i := range n {
				fmt.Fprintf(&touches, "touch k_%d 1000\r\n", i)
			}
			touched := s.tells(touches.String())
			c := p.outcome()
			left := uint64(s.stat("", "curr_items"))
			if c.Items != n || c.Changed == 0 || len(touched) != n {
				t.Errorf("%v: %+v, %d were touched", conditions, c, len(touched))
			}
			if lives := conditions[0] == "--never-expires"; c.Changed != n-left || c.Replaced != left || lives != (left > 0) {
				t.Errorf("%v: %+v, and %d items are left", conditions, c, left)
			}
		}
	})
}

// A changing is a client that changes items.
type changing struct {
	*exec.Cmd
	s        *server
	out, err log
}

func (s *server) changing(command string, args ...string) *changing {
	s.t.Helper()
	p := &changing{Cmd: exec.Command(built(s.t, "client"), append([]string{"--door", s.door, "--json", command}, args...)...), s: s}
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Process.Kill() })
	return p
}

// outcome waits for its end, and holds it to its account.
func (p *changing) outcome() *door.Changed {
	p.s.t.Helper()
	timer := time.AfterFunc(waitLimit, func() { p.Process.Kill() })
	defer timer.Stop()
	_ = p.Wait() // the caller looks at its status
	var c door.Changed
	if err := json.Unmarshal([]byte(p.out.String()), &c); err != nil {
		p.s.t.Fatalf("%v: %s%s", err, p.out.String(), p.err.String())
	}
	if err := c.Check(); err != nil {
		p.s.t.Error(err)
	}
	return &c
}

// began waits until it has changed some items.
func (p *changing) began(total int) {
	p.s.t.Helper()
	wait(p.s.t, "the first change", func() error {
		if n := p.s.stat("", "curr_items"); n == total {
			return fmt.Errorf("%d items", n)
		}
		return nil
	})
}

// A delete that is interrupted, or whose client or memcached dies, ends at once, and what is known is said.
func TestDeleteEnds(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 1000
		s := start(t, h.program)
		s.load(door.Request{}, rowsOf("k", n))
		slow := []string{"--rate", "20", "--yes", "--prefix", "k_"}
		descriptors := s.descriptors()

		p := s.changing("delete", slow...)
		p.began(n)
		p.Process.Signal(syscall.SIGINT)
		c := p.outcome()
		left := s.stat("", "curr_items")
		if p.ProcessState.ExitCode() != 130 || !c.Canceled || c.Changed != uint64(n-left) || c.Left == 0 || !strings.Contains(p.out.String(), `"interrupted": true`) {
			t.Errorf("%s: %s%s; %d items are left", p.ProcessState, p.out.String(), p.err.String(), left)
		}

		p = s.changing("delete", slow...)
		p.began(left)
		p.Process.Kill()
		_ = p.Wait()
		wait(t, "the end of the call, and of its connection to memcached", func() error {
			if n := s.descriptors(); n > descriptors {
				return fmt.Errorf("%d descriptors, and %d before", n, descriptors)
			}
			return nil
		})
		left = s.stat("", "curr_items")
		s.lives()

		p = s.changing("delete", append(slow, "--gentle")...)
		p.began(left)
		if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v\n%s", status, s.output.String())
		}
		_ = p.Wait()
		if p.ProcessState.ExitCode() != 1 || p.err.String() == "" {
			t.Errorf("%s: %s%s", p.ProcessState, p.out.String(), p.err.String())
		}
	})
}

// The hash table grows while items are deleted by their keys, and while they are met.
func TestDeleteWhileTableGrows(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		const n = 20_000
		s.load(door.Request{}, rowsOf("k", n))
		path, _ := s.dump("--keys-only")
		before := s.stat("", "hash_power_level")
		loading := exec.Command(built(t, "client"), "--door", s.door, "load")
		loading.Stdin = bytes.NewReader(rowsOf("new", 6*n))
		if err := loading.Start(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the first rows", func() error {
			if items := s.stat("", "curr_items"); items < n+n/10 {
				return fmt.Errorf("%d items", items)
			}
			return nil
		})
		p := s.changing("delete", "--keys", path, "--rate", "40000")
		c := s.change("delete", "--prefix", "k_", "--rate", "40000")
		d := p.outcome()
		if err := loading.Wait(); err != nil {
			t.Error(err)
		}
		if c.Changed+d.Changed != n {
			t.Errorf("%+v and %+v", c, d)
		}
		if after := s.stat("", "hash_power_level"); after <= before {
			t.Errorf("the table had and has %d bits", after)
		}
		if items := s.stat("", "curr_items"); items != 6*n {
			t.Errorf("%d items", items)
		}
		readBack(t, s, "new", 6*n, plain)
	})
}

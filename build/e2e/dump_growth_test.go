package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// A pausing reader calls the next of its functions after each "every" bytes.
type pausing struct {
	io.Reader
	read  int
	every int
	do    []func()
}

func (p *pausing) Read(b []byte) (int, error) {
	if len(p.do) > 0 && p.read >= p.every {
		p.read = 0
		p.do[0]()
		p.do = p.do[1:]
	}
	n, err := p.Reader.Read(b)
	p.read += n
	return n, err
}

// dumping begins a dump into a pipe, whose other end is returned. The outcome is there once that has been read, or closed.
func (s *server) dumping(request door.Request) (out *os.File, outcome func() door.Reply) {
	s.t.Helper()
	out, answer := s.dumpingLost(request)
	return out, func() door.Reply {
		s.t.Helper()
		reply, err := answer()
		if refused, ok := errors.AsType[*door.Error](err); ok {
			reply, err = door.Reply{Error: refused, Dump: refused.Dump}, nil
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if d := reply.Dump; d != nil && d.Check() != nil {
			s.t.Error(d.Check())
		}
		return reply
	}
}

// dumpingLost is dumping where there need not be an outcome.
func (s *server) dumpingLost(request door.Request) (out *os.File, answer func() (door.Reply, error)) {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close() })
	conn, err := door.Dial(s.door)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	request.Version, request.Op = door.Protocol, door.OpDump
	if err := conn.Call(request, w); err != nil {
		s.t.Fatal(err)
	}
	w.Close()
	return r, conn.Next
}

// grow has the hash table begin to grow, for a load of keys that are not there and that stores nothing.
func (s *server) grow() {
	s.t.Helper()
	level := s.stat("", "hash_power_level")
	cmd := exec.Command(built(s.t, "client"), "--door", s.door, "fill", "--mode", "replace", "--key", "no{n}", "--count", fmt.Sprint(3<<level))
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	wait(s.t, "a growth", func() error {
		if now := s.stat("", "hash_power_level"); now == level {
			return fmt.Errorf("2^%d buckets", now)
		}
		return nil
	})
	// It is not waited for: the items are being moved just now.
	cmd.Process.Signal(os.Interrupt)
	s.t.Cleanup(func() { cmd.Wait() })
}

// outgrow stores items by memcached's socket, enough that memcached grows its hash table by itself.
func (s *server) outgrow() {
	s.t.Helper()
	level := s.stat("", "hash_power_level")
	var text bytes.Buffer
	for i := s.stat("", "curr_items"); i < 3<<level/2+100; i++ { // keys that no earlier call has stored
		fmt.Fprintf(&text, "ms more:%d 1 q\r\nv\r\n", i)
	}
	s.sends(written(s.t, "more", append(text.Bytes(), "mn\r\n"...)))
	wait(s.t, "memcached's growth", func() error {
		if now := s.stat("", "hash_power_level"); now == level {
			return fmt.Errorf("2^%d buckets", now)
		}
		return nil
	})
}

// churn writes, deletes and adds other keys, and writes some of those that are in the dump, until the context ends.
func churn(ctx context.Context, s *server, worker, n int, value func(i int) string) error {
	client := memcache.New(s.socket)
	client.Timeout = waitLimit
	defer client.Close()
	// All that they could do would take the processors from what is tested.
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		own := fmt.Sprintf("churn:%d", worker*1000+i%1000)
		base := i*7919%n + 1
		for _, err := range []error{
			client.Set(&memcache.Item{Key: own, Value: []byte("set")}),
			client.Delete(own),
			client.Add(&memcache.Item{Key: own, Value: []byte("added")}),
			client.Set(&memcache.Item{Key: fmt.Sprint("base:", base), Value: []byte(value(base))}),
		} {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// What is there from the beginning of a dump to its end is in it once, with its value, whoever writes, deletes and adds
// meanwhile, and however often the hash table grows; nothing is in it twice.
func TestDumpWhileTableGrows(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		n, padding := 200_000, 100
		if h.route == "scan" {
			n, padding = 2_000_000, 1
		}
		pad := string(bytes.Repeat([]byte("v"), padding))
		value := func(i int) string { return fmt.Sprintf("%d:%s", i, pad) }
		s := start(t, h.program, "-m", "4096")
		rows := fmt.Sprintf(`{"key":"base:{n}","value":"{n}:%s","count":%d}`, pad, n)
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows)); l.Stored != uint64(n) {
			t.Fatalf("%+v", l)
		}
		level := s.stat("", "hash_power_level")

		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				if err := churn(ctx, s, worker, n, value); err != nil {
					t.Error(err)
				}
			})
		}
		out, outcome := s.dumping(door.Request{})
		// What a load waits for, a dump waits for, too; so growth is brought about in both ways.
		p := &pausing{Reader: out, every: n * (padding + 10) / 4, do: []func(){func() {
			more := fmt.Sprintf(`{"key":"beside:{n}","value":"{n}","count":%d}`, n/2)
			if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(more)); l.Stored != uint64(n/2) {
				t.Errorf("the load beside: %+v", l)
			}
			s.outgrow()
		}}}
		if h.native() {
			p.do = append(p.do, s.grow, s.grow)
		}
		var base, new, churned = make([]uint8, n+1), make([]uint8, n/2+1), make([]uint8, 4000)
		kinds := map[string][]uint8{"base": base, "beside": new, "churn": churned, "more": make([]uint8, 4*n)}
		complete := eachDumped(t, p, func(key, data []byte, _ uint64, _ int64) {
			kind, number, _ := bytes.Cut(key, []byte(":"))
			i, err := strconv.Atoi(string(number))
			seen := kinds[string(kind)]
			if err != nil || i >= len(seen) {
				t.Fatalf("%q is no key that was stored", key)
			}
			if seen[i]++; seen[i] > 1 {
				t.Fatalf("%s is there twice", key)
			}
			if string(kind) == "base" && (!bytes.HasPrefix(data, append(number, ':')) || string(data[len(number)+1:]) != pad) {
				t.Fatalf("%s is %.100q", key, data)
			}
		})
		cancel()
		wg.Wait()
		reply := outcome()
		if reply.Dump == nil || !complete || len(p.do) != 0 {
			t.Errorf("%+v, complete %v, %d growths missing", reply, complete, len(p.do))
		}
		missing := 0
		for _, times := range base[1:] {
			if times == 0 {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d items are missing", missing, n)
		}
		grown := s.stat("", "hash_power_level") - level
		if h.native() && grown < 3 {
			t.Errorf("the table has grown %d times", grown)
		}
		t.Logf("%d items in %.1f s, while the table grew %d times", reply.Dump.Items, reply.Dump.Seconds, grown)
		if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v", status)
		}
	})
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// readBack asks for the keys prefix_0 to prefix_n-1 and holds each value to value.
func readBack(t *testing.T, s *server, prefix string, n int, value func(i int) string) {
	t.Helper()
	const many = 1000
	for from := 0; from < n; from += many {
		keys := make([]string, 0, many)
		for i := from; i < min(from+many, n); i++ {
			keys = append(keys, fmt.Sprintf("%s_%d", prefix, i))
		}
		items, err := s.cache().GetMulti(keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			if item := items[key]; item == nil || string(item.Value) != value(from+i) {
				t.Fatalf("%s: %+v, want %q", key, item, value(from+i))
			}
		}
	}
}

func plain(i int) string { return fmt.Sprintf("value_%d", i) }

// traffic keeps one connection reading and writing until the context ends: keys of its
// own, which it must read as it wrote them, and keys of the load, which it may find or
// not, and overwrites with the value that the load has for them.
func traffic(ctx context.Context, s *server, worker int, rows int) (requests int, err error) {
	client := memcache.New(s.socket)
	client.Timeout = waitLimit
	defer client.Close()
	for i := 0; ctx.Err() == nil; i++ {
		own := fmt.Sprintf("own_%d_%d", worker, i%1000)
		if err := client.Set(&memcache.Item{Key: own, Value: fmt.Append(nil, i)}); err != nil {
			return requests, err
		}
		item, err := client.Get(own)
		if err != nil || string(item.Value) != fmt.Sprint(i) {
			return requests, fmt.Errorf("%s: %v, %v, want %d", own, item, err, i)
		}
		row := i * 7919 % rows
		key := fmt.Sprintf("row_%d", row)
		switch item, err := client.Get(key); {
		case errors.Is(err, memcache.ErrCacheMiss):
		case err != nil:
			return requests, err
		case string(item.Value) != plain(row):
			return requests, fmt.Errorf("%s: %q", key, item.Value)
		}
		if err := client.Set(&memcache.Item{Key: key, Value: []byte(plain(row))}); err != nil {
			return requests, err
		}
		requests += 4
	}
	return requests, nil
}

// Two million rows into a memcached with default options but its memory, while four
// connections read and write: every key reads back right when the load is done.
func TestTwoMillionRows(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 2_000_000
		server := start(t, h.program, "-m", "1024")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		var requests atomic.Int64
		for worker := range 4 {
			wg.Go(func() {
				n, err := traffic(ctx, server, worker, rows)
				requests.Add(int64(n))
				if err != nil {
					t.Error(err)
				}
			})
		}
		l := server.load(door.Request{}, rowsOf("row", rows))
		cancel()
		wg.Wait()
		if l.Rows != rows || l.Stored != rows {
			t.Errorf("%+v", l)
		}
		if requests.Load() < 1000 {
			t.Errorf("the four connections got %d requests through", requests.Load())
		}
		readBack(t, server, "row", rows, plain)
		if n := server.stat("", "evictions"); n != 0 {
			t.Errorf("%d evictions", n)
		}
		t.Logf("%.1f s, %d requests of four connections meanwhile", l.Seconds, requests.Load())
	})
}

// Eight loads at once: each is whole, and memcached has its descriptors back.
func TestEightLoads(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program, "-m", "512")
		const rows = 100_000
		all := func() {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					l := server.load(door.Request{}, rowsOf(fmt.Sprintf("load%d", i), rows))
					if l.Stored != rows {
						t.Errorf("load %d: %+v", i, l)
					}
				})
			}
			wg.Wait()
		}
		before := server.descriptors()
		all()
		for i := range 8 {
			readBack(t, server, fmt.Sprintf("load%d", i), rows, plain)
		}
		// The Go runtime keeps threads that it once had; a second round wants no more.
		threads := server.count("task")
		all()
		all()
		if now := server.count("task"); now > threads+4 {
			t.Errorf("%d threads, %d before", now, threads)
		}
		if now := server.descriptors(); now != before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		if status := server.waitDoor(); status.Active != 0 || status.Stored != 3*8*rows {
			t.Errorf("status %+v", status)
		}
	})
}

// endless is a pipe that a goroutine fills with rows until its reader is gone.
func endless(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer w.Close()
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "endless_%d\tvalue_%d\n", i%100000, i%100000); err != nil {
				return
			}
		}
	}()
	return r
}

// A client that is killed in mid-load: what it loaded stays, its call ends, the log says so.
func TestClientKilled(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		before := server.descriptors()
		r := endless(t)
		client := exec.Command(built(t, "client"), "--door", server.door)
		client.Stdin = r
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		wait(t, "some rows", func() error { _, err := server.cache().Get("endless_99999"); return err })
		client.Process.Kill()
		client.Wait()
		wait(t, "the line about it", func() error {
			if out := server.output.String(); !strings.Contains(out, "whose client has gone") {
				return fmt.Errorf("memcached wrote %q", out)
			}
			return nil
		})
		if !accounts(t, server.output.String()) {
			t.Errorf("memcached wrote %q", server.output.String())
		}
		if now := server.descriptors(); now != before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		readBack(t, server, "endless", 100000, plain)
		if status := server.waitDoor(); status.Active != 0 {
			t.Errorf("status %+v", status)
		}
	})
}

// A client that is killed, but had asked for the load to be finished.
func TestDetached(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		client := exec.Command(built(t, "client"), "--door", server.door, "load", "--detach")
		client.Stdin = r
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		fmt.Fprintf(w, "before\tvalue\n")
		wait(t, "the first row", func() error { _, err := server.cache().Get("before"); return err })
		client.Process.Kill()
		client.Wait()
		fmt.Fprintf(w, "after\tvalue\n")
		w.Close()
		wait(t, "the row after", func() error { _, err := server.cache().Get("after"); return err })
	})
}

// A client that is interrupted says how far it got.
func TestInterrupted(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		client := exec.Command(built(t, "client"), "--door", server.door)
		r := endless(t)
		client.Stdin = r
		var out bytes.Buffer
		client.Stdout = &out
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		wait(t, "some rows", func() error { _, err := server.cache().Get("endless_99999"); return err })
		client.Process.Signal(os.Interrupt)
		client.Wait()
		if status := client.ProcessState.ExitCode(); status != 130 || !strings.Contains(out.String(), "interrupted") || !accounts(t, out.String()) {
			t.Errorf("status %d, stdout %q", status, out.String())
		}
	})
}

// memcached is stopped during a load: it ends as without the library, and the client says what happened.
func TestStoppedInMidLoad(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1} {
			t.Run(signal.String(), func(t *testing.T) {
				t.Parallel()
				server := start(t, h.program)
				client := exec.Command(built(t, "client"), "--door", server.door)
				r := endless(t)
				client.Stdin = r
				var errs bytes.Buffer
				client.Stderr = &errs
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				r.Close()
				wait(t, "some rows", func() error { _, err := server.cache().Get("endless_1000"); return err })
				began := time.Now()
				if status := server.end(signal); status.ExitStatus() != 0 {
					t.Errorf("memcached ended with %v\n%s", status, server.output.String())
				}
				// Its loop looks once a second whether to stop.
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				client.Wait()
				if status := client.ProcessState.ExitCode(); status != 1 || !strings.Contains(errs.String(), "error: ") {
					t.Errorf("client: status %d, stderr %q", status, errs.String())
				}
			})
		}
	})
}

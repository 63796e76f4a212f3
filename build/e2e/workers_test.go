package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// randomRows is rows of every length around the loader's buffers and memcached's limits,
// and what must come of them: the values by key, and the lines that are rejected.
func randomRows(random *rand.Rand, round int) (rows []byte, values map[string][]byte, rejected map[uint64]bool) {
	sizes := []int{0, 1, 10, 100, 1000, 65535, 65536, 262143 - 10, 262144, 262145, 524288, 1<<20 - 300, 1 << 20, 3 << 20}
	values, rejected = map[string][]byte{}, map[uint64]bool{}
	var text bytes.Buffer
	for line := uint64(1); line <= 3000; line++ {
		size := random.IntN(1 + 2*sizes[random.IntN(5)])
		if random.IntN(50) == 0 {
			size = sizes[random.IntN(len(sizes))]
		}
		key := fmt.Sprintf("key_%d_%d", round, line)
		switch {
		case random.IntN(20) == 0:
			fmt.Fprintf(&text, "%s\n", strings.Repeat("x", size)) // no tab
			rejected[line] = true
			continue
		case size >= 1<<20:
			rejected[line] = true
		}
		value := make([]byte, size)
		for i := range value {
			if value[i] = byte(random.Uint32()); value[i] == '\n' {
				value[i] = '\t'
			}
		}
		if !rejected[line] {
			values[key] = value
		}
		fmt.Fprintf(&text, "%s\t%s\n", key, value)
	}
	// The last line goes without its line feed.
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), values, rejected
}

// Rows arrive as they do in life: in pieces of any size, from a file, a pipe or a socket.
func TestRowsInPieces(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		random := rand.New(rand.NewPCG(2008, 12))
		server := start(t, h.program, "-m", "1024")
		for round, source := range []string{"file", "pipe", "socket", "pipe", "socket"} {
			rows, values, rejected := randomRows(random, round)
			var input *os.File
			var write io.WriteCloser
			switch source {
			case "file":
				input = fileOf(t, rows)
			case "pipe":
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				input, write = r, w
			case "socket":
				input, write = socketPair(t)
			}
			if write != nil {
				pieces := rand.New(rand.NewPCG(uint64(round), 0))
				go func() {
					defer write.Close()
					for rest := rows; len(rest) > 0; {
						n := min(len(rest), 1+pieces.IntN(1<<(1+pieces.IntN(20))))
						if _, err := write.Write(rest[:n]); err != nil {
							t.Error(err)
							return
						}
						rest = rest[n:]
					}
				}()
			}
			flags := uint32(round)
			reply, err := call(server.door, door.Request{Op: door.OpLoad, Rows: door.Rows{Flags: flags}, Progress: true}, input)
			input.Close()
			if err != nil || reply.Load == nil {
				t.Fatalf("%s: %+v, %v", source, reply.Error, err)
			}
			l := reply.Load
			if int(l.Rows) != len(values)+len(rejected) || int(l.Stored) != len(values) || l.Bytes != uint64(len(rows)) {
				t.Fatalf("%s: %+v, want %d rows, %d stored, %d bytes", source, l, len(values)+len(rejected), len(values), len(rows))
			}
			for i, r := range l.Rejects {
				if !rejected[r.Line] || i > 0 && r.Line <= l.Rejects[i-1].Line {
					t.Errorf("%s: rejects %+v", source, l.Rejects)
				}
			}
			for key, value := range values {
				item, err := server.cache().Get(key)
				if err != nil || !bytes.Equal(item.Value, value) || item.Flags != flags {
					t.Fatalf("%s: %s of %d bytes differs (%v)", source, key, len(value), err)
				}
			}
			for line := range rejected {
				server.missing(fmt.Sprintf("key_%d_%d", round, line))
			}
		}
	})
}

// socketPair is a connected pair of stream sockets.
func socketPair(t *testing.T) (input *os.File, write io.WriteCloser) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	write, err = net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	input, err = conn.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	return input, write
}

// One worker thread, and more of them than we use.
func TestWorkers(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for threads, workers := range map[string]int{"1": 1, "24": 16} {
			server := start(t, h.program, "-t", threads)
			if status := server.waitDoor(); status.Workers != workers {
				t.Errorf("-t %s: %d workers, want %d", threads, status.Workers, workers)
			}
			const rows = 50000
			if l := server.load(door.Request{}, rowsOf("k", rows)); l.Stored != rows {
				t.Errorf("-t %s: %+v", threads, l)
			}
			readBack(t, server, "k", rows, plain)
		}
	})
}

// Items that memcached has moved to external storage are read back, and replaced, as any other.
func TestExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		server := start(t, h.program, "-m", "64", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2")
		value := func(round int) func(i int) string {
			return func(i int) string { return fmt.Sprintf("%d_%d_%s", round, i, strings.Repeat("v", 2000)) }
		}
		const rows = 40000
		for round := range 2 {
			var text bytes.Buffer
			for i := range rows {
				fmt.Fprintf(&text, "k_%d\t%s\n", i, value(round)(i))
			}
			if l := server.load(door.Request{}, text.Bytes()); l.Stored != rows {
				t.Fatalf("%+v", l)
			}
			wait(t, "items to be moved", func() error {
				if n := server.stat("", "extstore_objects_written"); n < rows/4 {
					return fmt.Errorf("%d objects written", n)
				}
				return nil
			})
			readBackLive(t, server, "k", rows, value(round))
			if n := server.stat("", "get_extstore"); n == 0 {
				t.Error("no item was read from external storage")
			}
		}
	})
}

// readBackLive is readBack for a cache that may evict: what is there must be right.
func readBackLive(t *testing.T, s *server, prefix string, n int, value func(i int) string) {
	t.Helper()
	found := 0
	const together = 100
	for from := 0; from < n; from += together {
		var keys []string
		for i := from; i < min(from+together, n); i++ {
			keys = append(keys, fmt.Sprintf("%s_%d", prefix, i))
		}
		items, err := s.cache().GetMulti(keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			item := items[key]
			if item == nil {
				continue
			}
			found++
			if string(item.Value) != value(from+i) {
				t.Fatalf("%s: %.40q, want %.40q", item.Key, item.Value, value(from+i))
			}
		}
	}
	if found < n/100 {
		t.Errorf("%d of %d keys are there", found, n)
	}
}

// The slab mover takes pages from small items and gives them to large ones while both are
// loaded and clients read and write.
func TestSlabMover(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if h.route == "exported" {
			t.Skip("Debian 13's memcached 1.6.38 crashes in its slab mover under slab_automove=2, also without the library")
		}
		server := start(t, h.program, "-m", "64", "-o", "slab_automove=2")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		traffic := make(chan error, 1)
		go func() {
			client := memcache.New(server.socket)
			client.Timeout = waitLimit
			defer client.Close()
			// All that it could do would take the processors from what is tested.
			tick := time.NewTicker(200 * time.Microsecond)
			defer tick.Stop()
			var err error
			for i := 0; err == nil && ctx.Err() == nil; i++ {
				<-tick.C
				key, want := fmt.Sprintf("own_%d", i%100), fmt.Sprint(i)
				if err = client.Set(&memcache.Item{Key: key, Value: []byte(want)}); err != nil {
					break
				}
				// It may have been evicted meanwhile, but it must not be another.
				if item, getErr := client.Get(key); getErr == nil && string(item.Value) != want {
					err = fmt.Errorf("%s: %q, want %q", key, item.Value, want)
				}
			}
			traffic <- err
		}()
		value := func(size int) func(i int) string {
			return func(i int) string { return fmt.Sprintf("%d_%s", i, strings.Repeat("v", size)) }
		}
		for round, size := range []int{400, 4000, 40, 10000} {
			rows := min(100_000, 200<<20/size) // three times the cache at most
			var text bytes.Buffer
			for i := range rows {
				fmt.Fprintf(&text, "r%d_%d\t%s\n", round, i, value(size)(i))
			}
			if l := server.load(door.Request{}, text.Bytes()); l.Rows != uint64(rows) || l.Stored == 0 {
				t.Fatalf("%+v", l)
			}
			readBackLive(t, server, fmt.Sprintf("r%d", round), rows, value(size))
		}
		cancel()
		if err := <-traffic; err != nil {
			t.Error(err)
		}
		if moved := server.stat("", "slabs_moved"); moved == 0 {
			t.Error("no slab page was moved")
		}
	})
}

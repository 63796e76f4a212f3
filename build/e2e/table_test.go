package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// The hash table is as large as memcached itself would make it for a file's rows, and not much larger for those of a
// pipe, whose number is not known.  Left alone, memcached doubles it once a second, while the load puts several times as
// many rows into it as it is made for.
func TestTableGrows(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const rows, level = 900_000, 20
		content := rowsOf("grow", rows)
		for _, input := range []struct {
			name string
			open func(t *testing.T) *os.File
			most int
		}{
			{"file", func(t *testing.T) *os.File { return fileOf(t, content) }, level},
			{"pipe", func(t *testing.T) *os.File { return pipeOf(t, content) }, level + 1},
		} {
			t.Run(input.name, func(t *testing.T) {
				server := start(t, s.program, "-m", "1024")
				load := server.loadFile(door.Request{}, input.open(t))
				if load.Stored != rows || server.stat("", "curr_items") != rows {
					t.Errorf("%d rows are stored, there are %d", load.Stored, server.stat("", "curr_items"))
				}
				if got := server.stat("", "hash_power_level"); got < level || got > input.most {
					t.Errorf("%d rows in 2^%d buckets, want 2^%d to 2^%d", rows, got, level, input.most)
				}
				for _, i := range []int{0, 98_304, 200_000, rows - 1} {
					key, value := rowOf("grow", i)
					if got := server.get(key); got != value {
						t.Errorf("%s is %q, want %q", key, got, value)
					}
				}
			})
		}
	})
}

// From 1.6.34 on a memcached without a page mover crashes when its table grows. A load of more rows than keys leaves the table
// as it is, though by their number it would grow.
func TestTableStays(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const level, rows = 13, 200_000
		server := start(t, s.program, "-o", fmt.Sprintf("no_slab_reassign,no_slab_automove,hashpower=%d", level))
		load := server.load(door.Request{}, bytes.Repeat(rowsOf("same", 1000), rows/1000))
		if load.Stored != rows {
			t.Errorf("%+v", load)
		}
		crashes := s.route == "exported" // 1.6.38
		if grown := server.stat("", "hash_power_level") > level; grown == crashes {
			t.Errorf("the table has grown: %v", grown)
		}
		server.lives()
	})
}

// A file of more rows than the cache holds does not make the table larger than for those that it holds, and a first few
// short rows do not represent a whole file.
func TestTableGrowsNoFurther(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		for _, test := range []struct {
			name  string
			rows  func() []byte
			args  []string
			level int
		}{
			// 16 MB are 250 000 rows of the smallest items.
			{"a small cache", func() []byte { return rowsOf("small", 1_000_000) }, []string{"-m", "16"}, 18},
			// 50 MB of rows as short as the first would be 5 000 000.
			{"a short first row", func() []byte {
				return append([]byte("k\tvalue\n"), bytes.Repeat([]byte(strings.Repeat("x", 100)+"\t"+strings.Repeat("y", 9_900)+"\n"), 5_000)...)
			}, []string{"-m", "4096"}, 16},
			{"a few rows into a small table", func() []byte { return rowsOf("few", 1_000) }, []string{"-o", "hashpower=15"}, 15},
		} {
			t.Run(test.name, func(t *testing.T) {
				server := start(t, s.program, test.args...)
				server.load(door.Request{}, test.rows())
				if level := server.stat("", "hash_power_level"); level > test.level {
					t.Errorf("2^%d buckets, want 2^%d at most", level, test.level)
				}
			})
		}
	})
}

// A table that grows in many steps is never asked to grow while a worker has not come back from the step before: memcached
// would stand still for ever.  On one busy processor, with more workers than it can run, they come back late.
func TestTableGrowsUnderPressure(t *testing.T) {
	all := t
	var busy sync.Once // the processor is the same for all
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const rows = 1_000_000
		content := rowsOf("busy", rows)
		onOneCPU := []string{"taskset", "-c", firstCPU(t)}
		busy.Do(func() {
			for range 3 {
				spin := exec.Command(onOneCPU[0], append(slices.Clone(onOneCPU[1:]), "sh", "-c", "while :; do :; done")...)
				if err := spin.Start(); err != nil {
					t.Fatal(err)
				}
				all.Cleanup(func() { spin.Process.Kill(); spin.Wait() })
			}
		})
		for range 3 {
			server := newServer(t, s.program, "-m", "1024", "-t", "12", "-o", "hashpower=15")
			server.wrap = onOneCPU
			server.preload = built(t, "backdoor-faulty.so") // with its invariants checked
			server.start()
			server.waitDoor()
			// A memcached that stands still never answers, and ends with the test.
			answer, file := make(chan door.Reply, 1), fileOf(t, content)
			go func() {
				reply, err := call(server.door, door.Request{Op: door.OpLoad}, file)
				if err != nil {
					t.Error(err)
				}
				answer <- reply
			}()
			select {
			case reply := <-answer:
				if reply.Load == nil || reply.Load.Stored != rows {
					t.Errorf("of %d rows are stored: %+v", rows, reply)
				}
			case <-time.After(time.Minute):
				t.Fatal("memcached stands still")
			}
			server.kill()
		}
	})
}

// firstCPU is one that this process may run on (sched_getaffinity(2)).
func firstCPU(t *testing.T) string {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; ; cpu++ {
		if set.IsSet(cpu) {
			return strconv.Itoa(cpu)
		}
	}
}

// Values that take several slices of a worker's time stand among rows that make the table grow.
func TestTableGrowsWithLargeValues(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		if !s.native() {
			t.Skip("by protocol memcached is left alone")
		}
		const rows, every = 400_000, 2_000
		large := strings.Repeat("x", 1_000_000)
		var all bytes.Buffer
		for i := range rows {
			key, value := rowOf("mixed", i)
			if i%every == 0 {
				value = large
			}
			fmt.Fprintf(&all, "%s\t%s\n", key, value)
		}
		server := newServer(t, s.program, "-m", "1024")
		server.preload = built(t, "backdoor-faulty.so") // with its invariants checked
		server.start()
		server.waitDoor()
		if load := server.load(door.Request{}, all.Bytes()); load.Stored != rows {
			t.Errorf("%d of %d rows are stored", load.Stored, rows)
		}
		for _, i := range []int{0, 1, every, rows - every, rows - 1} {
			key, want := rowOf("mixed", i)
			if i%every == 0 {
				want = large
			}
			if got := server.get(key); got != want {
				t.Errorf("%s: %d bytes, want %d", key, len(got), len(want))
			}
		}
	})
}

// Where the hash table cannot be located, rows are stored as usual, and only memcached grows it.
func TestTableUnlocated(t *testing.T) {
	server := newServer(t, stock(t), "-m", "1024")
	server.preload = built(t, "backdoor-faulty.so")
	server.env = []string{"MEMCACHED_BACKDOOR_FAULT=" + fileOf(t, []byte("unlocated")).Name()}
	server.start()
	server.waitDoor()
	const rows = 50_000
	if load := server.load(door.Request{}, rowsOf("unlocated", rows)); load.Stored != rows || load.Engine != door.EngineNative {
		t.Errorf("%d of %d rows are stored, engine %s", load.Stored, rows, load.Engine)
	}
	for _, i := range []int{0, 31, 32, 8191, 8192, rows - 1} {
		key, value := rowOf("unlocated", i)
		if got := server.get(key); got != value {
			t.Errorf("%s is %q, want %q", key, got, value)
		}
	}
}

// The hash table grows during loads, and every key is found right afterwards.
func TestKeysFoundAfterGrowth(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program, "-m", "512", "-o", "hashpower=13")
		value := make([]byte, 8)
		for round, size := range []int{20, 200, 2000} {
			var rows bytes.Buffer
			const n = 60000
			for i := range n {
				binary.BigEndian.PutUint64(value, uint64(i)*2654435761)
				fmt.Fprintf(&rows, "r%d_%d\t%x%s\n", round, i, value, strings.Repeat("v", size))
			}
			if l := server.load(door.Request{}, rows.Bytes()); l.Stored != n {
				t.Fatalf("%+v", l)
			}
			cache := server.cache()
			for from := 0; from < n; from += 1000 {
				keys := make([]string, 1000)
				for i := range keys {
					keys[i] = fmt.Sprintf("r%d_%d", round, from+i)
				}
				items, err := cache.GetMulti(keys)
				if err != nil || len(items) != len(keys) {
					t.Fatalf("round %d: %d of %d keys (%v)", round, len(items), len(keys), err)
				}
				for i, key := range keys {
					binary.BigEndian.PutUint64(value, uint64(from+i)*2654435761)
					if want := fmt.Sprintf("%x%s", value, strings.Repeat("v", size)); string(items[key].Value) != want {
						t.Fatalf("%s differs", key)
					}
				}
			}
			if l := server.load(door.Request{Rows: door.Rows{TTL: 1}}, rows.Bytes()); l.Stored != n {
				t.Fatalf("%+v", l)
			}
		}
		wait(t, "the hash table to grow", func() error {
			if power := server.stat("", "hash_power_level"); power < 16 {
				return fmt.Errorf("it has 2^%d buckets", power)
			}
			return nil
		})
	})
}

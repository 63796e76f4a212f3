package e2e

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/stats"
)

// stats are a group of memcached's statistics.
func (s *server) stats(group string) map[string]string {
	s.t.Helper()
	values := map[string]string{}
	for _, line := range s.ask("stats "+group, regexp.MustCompile("^END$")) {
		if f := strings.SplitN(line, " ", 3); len(f) == 3 {
			values[f[1]] = f[2]
		}
	}
	return values
}

// The slab classes are those that memcached itself lists with -vv.
func TestSlabClasses(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, args := range [][]string{
			nil, {"-f", "1.08"}, {"-f", "2", "-n", "100"}, {"-I", "4m"}, {"-I", "4m", "-o", "slab_chunk_max=256"}, {"-n", "1000", "-f", "1.5"},
		} {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				server := start(t, h.program, append([]string{"-vv"}, args...)...)
				m, err := slabs.New(&stats.Answers{General: server.stats(""), Settings: server.stats("settings"), Slabs: server.stats("slabs")})
				if err != nil {
					t.Fatal(err)
				}
				var want, got []string
				for _, line := range strings.Split(server.output.String(), "\n") {
					var id, size, perPage int
					if n, _ := fmt.Sscanf(line, "slab class %d: chunk size %d perslab %d", &id, &size, &perPage); n == 3 {
						want = append(want, fmt.Sprint(id, size))
					}
				}
				for _, c := range m.Classes {
					got = append(got, fmt.Sprint(c.ID, c.Size))
				}
				if len(want) < 5 || strings.Join(got, ",") != strings.Join(want, ",") {
					t.Errorf("the classes are %v, memcached's are %v", got, want)
				}
			})
		}
	})
}

// Classes that are none of its making are not taken for such.
func TestSlabSizes(t *testing.T) {
	t.Parallel()
	server := start(t, stock(t), "-o", "slab_sizes=100-300-900")
	server.load(door.Request{}, rowsOf("some", 100))
	load := server.load(door.Request{DryRun: true}, rowsOf("some", 100))
	if load.Stored != 100 || load.Memory == nil || !strings.Contains(load.Memory.Unknown, "-o slab_sizes") {
		t.Errorf("%+v, memory %+v", load, load.Memory)
	}
}

// mixedRows are rows of many sizes, large ones among them.
func mixedRows(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var rows bytes.Buffer
	for i := range n {
		size := int(math.Exp(random.Float64()*7)) * 10 // to 11 KB
		if i%1000 == 999 {
			size = 100_000 + random.IntN(900_000)
		}
		fmt.Fprintf(&rows, "mixed_%d\t%s\n", i, strings.Repeat("x", size))
	}
	return rows.Bytes()
}

// A dry run stores nothing, counts what a load would, and tells the memory that it needs, as does the load that evicts
// some of the rows: with so much nothing is evicted, with 1 MB less something is.
func TestDryRun(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		rows := append(mixedRows(20_000), ("bad\nbig\t" + strings.Repeat("x", 2<<20) + "\n")...)
		small := start(t, h.program, "-m", "16")
		small.load(door.Request{}, []byte("big\told\n"))
		trial := small.load(door.Request{DryRun: true}, rows)
		if trial.Stored != 20_000 || trial.Rejected != 2 || !trial.DryRun || trial.Memory == nil || trial.Memory.Unknown != "" || trial.Gone != nil {
			t.Fatalf("%+v, memory %+v", trial, trial.Memory)
		}
		if n := small.stat("", "curr_items"); n != 1 || small.get("big") != "old" {
			t.Errorf("after a dry run there are %d items", n)
		}
		if status := small.waitDoor(); status.Stored != 1 || status.Rejected != 0 {
			t.Errorf("a dry run is in the status: %+v", status)
		}
		m := trial.Memory
		if m.Fits || m.Megabytes <= 16 || len(m.Classes) < 10 {
			t.Errorf("memory %+v", m)
		}
		if gone := small.load(door.Request{}, rows).Gone; gone == nil || gone.Megabytes != m.Megabytes {
			t.Errorf("-m %d in the dry run, and after the load %+v", m.Megabytes, gone)
		}
		for _, tt := range []struct {
			megabytes uint64
			fits      bool
		}{{m.Megabytes, true}, {m.Megabytes - 1, false}} {
			server := start(t, h.program, "-m", fmt.Sprint(tt.megabytes))
			if again := server.load(door.Request{DryRun: true}, rows); again.Memory == nil || again.Memory.Fits != tt.fits {
				t.Errorf("-m %d: memory %+v", tt.megabytes, again.Memory)
			}
			load := server.load(door.Request{}, rows)
			if load.Stored != trial.Stored || load.Rejected != trial.Rejected {
				t.Errorf("-m %d: %+v, and in the dry run %+v", tt.megabytes, load, trial)
			}
			if evictions := server.stat("", "evictions"); (evictions == 0) != tt.fits {
				t.Errorf("-m %d: %d evictions", tt.megabytes, evictions)
			}
		}
	})
}

// A load that evicts its own rows says how many are gone, and the memory that it names holds them.
func TestEvictedRowsAreCounted(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 200_000
		input := bytes.ReplaceAll(rowsOf("gone", rows), []byte("\t"), append([]byte("\t"), strings.Repeat("x", 300)...))
		server := start(t, h.program, "-m", "32")
		// Items of another slab class stay, and count in both figures.
		others := bytes.ReplaceAll(rowsOf("stays", 1000), []byte("\t"), append([]byte("\t"), strings.Repeat("x", 5000)...))
		server.load(door.Request{}, others)
		stay := server.stat("", "curr_items")
		trial := server.load(door.Request{DryRun: true}, input)
		load := server.load(door.Request{}, input)
		if load.Stored != rows || load.Gone == nil || load.Gone.Unknown != "" {
			t.Fatalf("%+v, gone %+v", load, load.Gone)
		}
		if trial.Memory == nil || trial.Memory.Megabytes != load.Gone.Megabytes {
			t.Errorf("the dry run says %+v, the load %+v", trial.Memory, load.Gone)
		}
		// Rows that are there already do not count twice.
		if again := server.load(door.Request{DryRun: true}, input).Memory; again == nil || again.Megabytes != load.Gone.Megabytes {
			t.Errorf("after the load a dry run says %+v", again)
		}
		there := server.stat("", "curr_items") - stay
		if gone := rows - there; math.Abs(float64(load.Gone.Rows)-float64(gone)) > rows*0.03 || load.Gone.Exact {
			t.Errorf("%d rows are gone, and it says %+v", gone, load.Gone)
		}
		larger := start(t, h.program, "-m", fmt.Sprint(load.Gone.Megabytes))
		larger.load(door.Request{}, others)
		if load := larger.load(door.Request{}, input); load.Gone != nil || larger.stat("", "evictions") != 0 {
			t.Errorf("-m %s does not hold them: %+v", larger.args[1], load.Gone)
		}
		if has := larger.stat("slabs", "total_malloced") >> 20; uint64(has) != load.Gone.Megabytes {
			t.Errorf("it says -m %d, and %d MB are used", load.Gone.Megabytes, has)
		}
	})
}

// What goes for another reason is not said to have been evicted.
func TestFlushedRowsAreNotEvicted(t *testing.T) {
	t.Parallel()
	server := start(t, stock(t))
	file := fileOf(t, rowsOf("flushed", 50_000))
	replies := make(chan door.Reply, 1)
	go func() {
		reply, _ := call(server.door, door.Request{Op: door.OpLoad, Limits: door.Limits{Rate: 25_000}}, file)
		replies <- reply
	}()
	wait(t, "some rows", func() error { _, err := server.cache().Get("flushed_10000"); return err })
	server.ask("flush_all", regexp.MustCompile("^OK$"))
	load := (<-replies).Load
	if load == nil || load.Stored != 50_000 || load.Gone == nil || load.Gone.Megabytes != 0 || !strings.Contains(load.Gone.Unknown, "evicted nothing") {
		t.Errorf("%+v", load)
	}
}

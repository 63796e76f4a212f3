package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

var (
	mixedFor  = flag.Duration("mixed", 0, "TestMixed: run it, for so long")
	mixedSeed = flag.Uint64("seed", 0, "what TestMixed and the tests of what databases export draw depends on it; 0 takes another each time")
	mixedBare = flag.Bool("bare", false, "TestMixed: without the library, rows go over memcached's socket, and there are no dumps; what fails then is memcached's own")
)

// A mixture is a memcached with options that TestMixed is run on.
type mixture struct {
	limit int // of an item (-I), in bytes
	args  []string
	nocas bool   // -C
	disk  bool   // extstore: memcached itself serves an older value now and then (-bare)
	only  string // the version that is tried; "" for all
}

var mixtures = []mixture{
	{limit: 16 << 20, args: []string{"-I", "16m", "-t", "2", "-o", "hashpower=13"}},
	{limit: 1 << 20, args: []string{"-o", "hashpower=13"}},
	{limit: 8 << 20, args: []string{"-I", "8m", "-t", "1", "-f", "1.13", "-n", "64", "-o", "hashpower=14"}},
	{limit: 2 << 20, args: []string{"-I", "2m", "-C", "-o", "hashpower=13"}, nocas: true},
	{limit: 16 << 20, args: []string{"-I", "16m", "-o", "no_modern,hashpower=13"}, only: "1.6.18"},
	// From 1.6.34 on memcached crashes when its table grows and there is no page mover (-bare): this one is large enough.
	{limit: 16 << 20, args: []string{"-I", "16m", "-o", "no_modern,hashpower=23"}, only: "1.6.45"},
	{limit: 4 << 20, args: []string{"-I", "4m", "-t", "3", "-e", "restart", "-o", "hashpower=13"}},
	{limit: 2 << 20, args: []string{"-I", "2m", "-o", "hashpower=13,ext_path=ext:512m,ext_wbuf_size=8,ext_item_age=1"}, disk: true},
	{limit: 4 << 20, args: []string{"-I", "4m", "-M", "-o", "hashpower=13"}},
}

// A mixed run is one memcached with everything at once.
type mixed struct {
	mixture
	t         *testing.T
	s         *server
	m         *model
	megabytes int // -m
	most      int // keys that are stored one after the other
	before    int // items that memcached had taken out by itself when the cycle began

	commands, rows, dumped, given, items atomic.Int64
}

// Loads, dumps and clients' commands of all kinds, during growths of the hash table, moves of slab pages, flushes and
// changes of the memory limit: every value that is read, by a client or in a dump, is one that its key had, what is lost is
// accounted for by memcached's own counters, and memcached has its descriptors, threads and memory back.
func TestMixed(t *testing.T) {
	if *mixedFor == 0 {
		t.Skip("`make stress` runs it: it takes minutes")
	}
	seed := *mixedSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	programs, _ := filepath.Glob("../hosts/upstream/*/memcached-debug")
	if len(programs) == 0 {
		t.Fatal("there is no memcached with assertions; hint: make stress")
	}
	random := rand.New(rand.NewPCG(seed, 0))
	type round struct {
		mixture
		program string
	}
	var all []round
	for _, m := range mixtures {
		for _, p := range programs {
			if m.only == "" || m.only == versionOf(p) {
				all = append(all, round{m, p})
			}
		}
	}
	// Every mixture is to have a time that growth shows in.
	rounds := min(max(int(*mixedFor/(20*time.Second)), 1), len(all))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, round := range all[:rounds] {
		t.Run(versionOf(round.program)+" "+strings.Join(round.args, " "), func(t *testing.T) {
			program, err := filepath.Abs(round.program)
			if err != nil {
				t.Fatal(err)
			}
			(&mixed{mixture: round.mixture, t: t, megabytes: 1024}).run(program, seed, *mixedFor/time.Duration(rounds))
		})
	}
	if rounds < len(all) {
		t.Logf("%d of %d memcacheds, with their options, were tried; hint: a longer time for the others", rounds, len(all))
	}
}

// versionOf is the version of a memcached that was built for this test, by the name of its directory.
func versionOf(program string) string { return filepath.Base(filepath.Dir(program)) }

// run starts a memcached and lets everything loose on it, for so long.
func (r *mixed) run(program string, seed uint64, long time.Duration) {
	t := r.t
	r.s = newServer(t, program, append([]string{"-m", fmt.Sprint(r.megabytes)}, r.args...)...)
	for i, arg := range r.s.args { // its files are in a private directory
		r.s.args[i] = strings.Replace(arg, "ext_path=ext", "ext_path="+filepath.Join(r.s.dir, "ext"), 1)
		if arg == "restart" {
			r.s.args[i] = filepath.Join(r.s.dir, arg)
		}
	}
	if *mixedBare {
		r.s.preload = ""
	}
	r.s.env = []string{"MALLOC_MMAP_THRESHOLD_=131072"} // malloc would keep the hash tables that were replaced
	r.s.start()
	r.s.waitServing()
	if !*mixedBare {
		if status := r.s.waitDoor(); status.Engine != door.EngineNative {
			t.Fatalf("%+v", status)
		}
	}
	r.m = newModel(r.limit, rand.New(rand.NewPCG(seed, 1)))

	for _, o := range r.m.owned() {
		o.old = r.disk
	}

	ends := time.Now().Add(long)
	t.Logf("at its start: %v", r.resources())
	var first resources
	phase := min(max(long/12, 1500*time.Millisecond), 5*time.Second) // a dump that has begun then takes its time
	for cycle := 0; cycle < 2 || time.Now().Before(ends); cycle++ {
		r.most += 300_000
		r.before = r.lost()
		r.fill(seed)
		r.phase(seed, phase, fmt.Sprint("calm ", cycle), nil)
		r.phase(seed, phase, fmt.Sprint("moving ", cycle), r.moves)
		r.phase(seed, phase, fmt.Sprint("disturbed ", cycle), r.disturbs)
		if t.Failed() {
			break
		}
		r.empty()
		if cycle == 0 {
			first = r.resources()
			t.Logf("after the first cycle: %v", first)
		}
	}
	t.Logf("%d commands, %d rows loaded, %d dumps with %d items, %d given up", r.commands.Load(), r.rows.Load(), r.dumped.Load(), r.items.Load(), r.given.Load())
	if t.Failed() {
		return
	}
	wait(t, "what it had before", func() error { return r.resources().above(first) })
	t.Logf("at the end: %v", r.resources())
	if status := r.s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
		t.Errorf("memcached ended with %v\n%s", status, r.s.output.String())
	}
}

// fill loads the fixed keys.
func (r *mixed) fill(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	c := r.client()
	defer c.Close()
	for part := range slices.Chunk(r.m.fixed, 50) {
		if err := r.loadKeys(c, part, random); err != nil {
			r.t.Fatal(r.told(err))
		}
	}
}

// lost is how many items memcached has taken out by itself, by its own account.
func (r *mixed) lost() (n int) {
	general := r.s.stats("")
	for _, name := range []string{"evictions", "slab_reassign_evictions_nomem", "slab_reassign_busy_deletes", "slab_reassign_busy_nomem",
		"miss_from_extstore", "badcrc_from_extstore", "extstore_objects_evicted"} {
		count, _ := strconv.Atoi(general[name])
		n += count
	}
	for name, value := range r.s.stats("items") {
		if strings.HasSuffix(name, ":outofmemory") {
			count, _ := strconv.Atoi(value)
			n += count
		}
	}
	return n
}

// phase has everybody work for so long, with what disturbs them.
func (r *mixed) phase(seed uint64, long time.Duration, name string, disturb func(context.Context, *rand.Rand) error) {
	if r.t.Failed() {
		return
	}
	began := r.dumped.Load()
	ctx, cancel := context.WithTimeout(r.t.Context(), long)
	defer cancel()
	var wg sync.WaitGroup
	var once sync.Once
	actor := func(who string, act func(context.Context, *rand.Rand) error) {
		hash := fnv.New64()
		fmt.Fprint(hash, name, who)
		random := rand.New(rand.NewPCG(seed, hash.Sum64()))
		wg.Go(func() {
			defer cancel() // the first that ends, by an error, ends all
			if err := act(ctx, random); err != nil {
				once.Do(func() { r.t.Errorf("%s, %s: %v", name, who, r.told(err)) })
				return
			}
			<-ctx.Done()
		})
	}
	for i := range 3 {
		actor(fmt.Sprint("client ", i), r.works)
	}
	for i := range 3 {
		if !*mixedBare {
			actor(fmt.Sprint("dump ", i), r.dumps)
		}
	}
	actor("load", r.loads)
	actor("growth", r.grows)
	if disturb != nil {
		actor("disturbance", disturb)
	}
	wg.Wait()
	if r.t.Failed() {
		return
	}
	if r.dumped.Load() == began && !*mixedBare {
		r.t.Errorf("%s: no dump was complete", name)
	}
	lost := r.m.losses()
	if strings.HasPrefix(name, "disturbed") {
		return // flush_all takes everything
	}
	accounted := r.lost() - r.before // a dump may meet in this phase what went in the one before
	if len(lost) > accounted {
		r.t.Errorf("%s: %d keys are lost, among them %q, memcached accounts for %d; it has %d of them now", name, len(lost), lost[:min(len(lost), 20)], accounted, r.has(lost))
	}
	if name == "calm 0" && accounted > 0 {
		r.t.Errorf("%s: memcached had no memory for %d items: what the test stores is too large", name, accounted)
	}
}

// has is how many of the keys memcached has now.
func (r *mixed) has(keys []string) (n int) {
	c := r.client()
	defer c.Close()
	for part := range slices.Chunk(keys, 1000) {
		items, err := c.GetMulti(part)
		if err != nil {
			r.t.Fatal(r.told(err))
		}
		n += len(items)
	}
	return n
}

// told is an error, and how memcached ended if that was why.
func (r *mixed) told(err error) error {
	select {
	case <-r.s.exited:
		return fmt.Errorf("memcached ended: %v, having written %q (%w)", r.s.cmd.ProcessState, r.s.output.String(), err)
	case <-time.After(time.Second): // it may be about to
		return err
	}
}

// empty empties the cache and gives it its memory back. A flush leaves what is not older than a second, so what is known is
// deleted.
func (r *mixed) empty() {
	r.s.ask(fmt.Sprintf("cache_memlimit %d\r\nflush_all\r\nversion", r.megabytes), regexp.MustCompile("^VERSION"))
	c := r.client()
	defer c.Close()
	deleted := func(key string) {
		if err := c.Delete(key); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
			r.t.Fatal(r.told(err))
		}
	}
	for _, o := range r.m.owned() {
		deleted(o.key)
		o.isGone("deleted")
	}
	for _, c := range r.m.counters {
		deleted(c.key)
		c.there = false
	}
	r.m.from = r.m.grown
	r.m.forget()
	if !r.nocas {
		return
	}
	// To 1.6.24 what is stored in this second is flushed, too (proto_text.c: process_flush_all_command).
	second := r.s.stat("", "time")
	wait(r.t, "the next second", func() error {
		if r.s.stat("", "time") == second {
			return errors.New("it is the same")
		}
		return nil
	})
}

// resources are those of an idle memcached.
type resources struct{ descriptors, threads, megabytes int }

func (a resources) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d MB that are neither items nor hash table", a.descriptors, a.threads, a.megabytes)
}

// resources counts them. Of its memory what memcached has for items and its hash table is not counted.
func (r *mixed) resources() resources {
	memory, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.s.pid()))
	if err != nil {
		r.t.Fatal(err)
	}
	_, anonymous, _ := strings.Cut(string(memory), "RssAnon:")
	if r.disk {
		return resources{descriptors: r.s.descriptors(), threads: r.s.count("task")} // items have all their memory from the start, but touch it later
	}
	var kilobytes int
	if _, err := fmt.Sscan(anonymous, &kilobytes); err != nil {
		r.t.Fatal(err)
	}
	used := kilobytes<<10 - r.s.stat("", "hash_bytes")
	if !slices.Contains(r.args, "-e") {
		used -= r.s.stat("slabs", "total_malloced")
	}
	return resources{r.s.descriptors(), r.s.count("task"), used >> 20}
}

// above says what there is more of than there was.
func (a resources) above(first resources) error {
	// The Go runtime keeps threads that it once had, and memory for a while.
	if a.descriptors > first.descriptors || a.threads > first.threads+4 || a.megabytes > first.megabytes+24 {
		return fmt.Errorf("it has %v, and had %v after the first cycle", a, first)
	}
	return nil
}

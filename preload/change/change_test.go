package change

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

var errTest = errors.New("test")

// A cache is a source of items, some at a time. After the last one comes failed, or io.EOF if it is nil.
type cache struct {
	items  []walk.Item
	atOnce int
	failed error
	asked  walk.Options
	closed bool
}

// cached are n items k0, k1, ..., of which each fifth has gone.
func cached(n int) *cache {
	c := &cache{atOnce: 7}
	for i := range n {
		c.items = append(c.items, walk.Item{Key: fmt.Append(nil, "k", i), Size: i, TTL: -1, CAS: uint64(i) + 1, Gone: i%5 == 4})
	}
	return c
}

func (c *cache) Walk(o walk.Options) (walk.Walker, error) {
	c.asked = o
	return c, nil
}

func (c *cache) Next(each func(*walk.Item) error) error {
	if len(c.items) == 0 {
		if c.failed != nil {
			return c.failed
		}
		return io.EOF
	}
	n := min(c.atOnce, len(c.items))
	for i := range c.items[:n] {
		if err := each(&c.items[i]); err != nil {
			return err
		}
	}
	c.items = c.items[n:]
	return nil
}

func (c *cache) Part() float64 { return 0.5 }
func (c *cache) Close()        { c.closed = true }

// Changes are changes that succeed until they fail: what is added is replaced if its size is a multiple of 10, or else
// has gone if it is one of 3.
type changes struct {
	room    int
	added   []string // since the last Apply, as key=ttl
	applied []string
	batches []int
	at      []time.Time
	fails   int  // at that Apply, from 1
	unfit   bool // what would have gone has a key that no command can have
	changed walk.Changed
}

func (g *changes) Add(i *walk.Item, ttl int64) bool {
	if len(g.added) == g.room {
		return false
	}
	g.added = append(g.added, fmt.Sprintf("%s=%d", i.Key, ttl))
	switch {
	case i.Size%10 == 0:
		g.changed.Replaced++
	case i.Size%3 == 0 && g.unfit:
		g.changed.Unfit++
	case i.Size%3 == 0:
		g.changed.Gone++
	default:
		g.changed.Changed++
	}
	return true
}

func (g *changes) Len() int { return len(g.added) }

func (g *changes) Apply() (walk.Changed, error) {
	g.batches, g.at = append(g.batches, len(g.added)), append(g.at, time.Now())
	n, changed := len(g.added), g.changed
	g.applied, g.added, g.changed = append(g.applied, g.added...), nil, walk.Changed{}
	if len(g.batches) == g.fails {
		return walk.Changed{Changed: uint64(n - 1)}, errTest
	}
	return changed, nil
}

func (g *changes) Close() {}

func wanting(t *testing.T, o filter.Options) *filter.Filter {
	t.Helper()
	f, err := filter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// checked is Change, whose counts must close, and which must close its walk.
func checked(t *testing.T, c *cache, o filter.Options, g walk.Changes, l limits.Options, hooks Hooks) (Counts, error) {
	t.Helper()
	counts, err := Change(c, wanting(t, o), g, Options{}, l, hooks)
	if counts.Items != counts.Changed+counts.Spared+counts.Gone+counts.Left() || counts.Left() > counts.Items || counts.Replaced > counts.Spared {
		t.Errorf("%+v does not close", counts)
	}
	if err == nil && counts.Left() != 0 {
		t.Errorf("%d items are left without an error", counts.Left())
	}
	if !c.closed {
		t.Error("the walk is not closed")
	}
	return counts, err
}

func TestChange(t *testing.T) {
	t.Parallel()
	c, g := cached(100), &changes{room: 4}
	counts, err := checked(t, c, filter.Options{Prefix: "k", MinSize: 20}, g, limits.Options{}, Hooks{})
	// Of 100 items 20 have gone, and of the 80 others 16 are too small. 8 of the 64 that are left (20, 30, ...) are
	// replaced, and 18 (21, 27, 33, 36, ...) go.
	want := Counts{Items: 100, Changed: 38, Spared: 16 + 8, Replaced: 8, Gone: 20 + 18, Part: 1}
	if err != nil || fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("%+v, %v; want %+v", counts, err, want)
	}
	if len(g.applied) != 64 || slices.Max(g.batches) != 4 {
		t.Errorf("%d were changed in batches of %v", len(g.applied), g.batches)
	}
	if c.asked.Prefix != "k" || !c.asked.KeysOnly {
		t.Errorf("the walk was asked for %+v", c.asked)
	}
}

// What was met is changed before the walk may wait for more.
func TestChangeAtOnce(t *testing.T) {
	t.Parallel()
	g := &changes{room: 100}
	if _, err := checked(t, cached(20), filter.Options{}, g, limits.Options{}, Hooks{}); err != nil || !slices.Equal(g.batches, []int{6, 6, 4}) {
		t.Errorf("batches of %v, %v", g.batches, err)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	c := cached(100)
	c.items[99] = walk.Item{Key: []byte("other"), Size: 99}
	counts, err := checked(t, c, filter.Options{Prefix: "k", MinSize: 20}, nil, limits.Options{Rate: 1}, Hooks{})
	if keys := strings.Join(counts.Keys, " "); err != nil || counts.Changed != 64 || counts.Spared != 17 || counts.Gone != 19 || keys != "k20 k21 k22 k23 k25 k26 k27 k28 k30 k31" {
		t.Errorf("%+v, %v", counts, err)
	}
	if c.asked.Prefix != "" {
		t.Error("items without the prefix were not counted")
	}
}

// Whatever fails, wherever it does, the items that were met are accounted for.
func TestChangeFails(t *testing.T) {
	t.Parallel()
	t.Run("walk", func(t *testing.T) {
		c, g := cached(50), &changes{room: 4}
		c.failed = errTest
		counts, err := checked(t, c, filter.Options{}, g, limits.Options{}, Hooks{})
		if !errors.Is(err, errTest) || counts.Items != 50 || counts.Left() != 0 || counts.Part != 0.5 {
			t.Errorf("%+v, %v", counts, err)
		}
	})
	t.Run("changes", func(t *testing.T) {
		for fails := range 13 {
			g := &changes{room: 4, fails: fails + 1}
			counts, err := checked(t, cached(50), filter.Options{}, g, limits.Options{}, Hooks{})
			if !errors.Is(err, errTest) || counts.Left() == 0 || len(g.batches) != fails+1 {
				t.Errorf("%+v, %v after %d batches", counts, err, len(g.batches))
			}
		}
	})
	t.Run("client", func(t *testing.T) {
		met := []uint64{0, 256, 512, 768, 1000, 1024, 1280, 1500} // when it is looked for: within 1000 items at once, too
		for leaves, items := range met {
			calls := 0
			gone := func() error {
				if calls++; calls > leaves {
					return errTest
				}
				return nil
			}
			c := cached(1500)
			c.atOnce = 1000
			counts, err := checked(t, c, filter.Options{MinSize: 10_000}, &changes{room: 4}, limits.Options{}, Hooks{ClientGone: gone})
			if !errors.Is(err, errTest) || counts.Items != items {
				t.Errorf("gone at call %d: %+v, %v; want %d items", leaves+1, counts, err, items)
			}
		}
	})
	t.Run("names", func(t *testing.T) {
		g := &changes{room: 4, unfit: true}
		counts, err := checked(t, cached(100), filter.Options{}, g, limits.Options{}, Hooks{})
		want := "items left as they were, whose keys no command of memcached can have (binary ones of more than 186 bytes): 23"
		if err == nil || err.Error() != want || counts.Left() != 23 || counts.Part != 1 {
			t.Errorf("%+v, %v", counts, err)
		}
	})
	t.Run("options", func(t *testing.T) {
		for _, o := range []Options{{NewTTLJitter: "10%"}, {NewTTL: 5, NewTTLJitter: "10"}} {
			counts, err := Change(cached(5), nil, nil, o, limits.Options{}, Hooks{})
			if _, ok := errors.AsType[*option.Error](err); !ok || counts.Items != 0 {
				t.Errorf("%+v: %+v, %v", o, counts, err)
			}
		}
	})
}

// Times to live are shortened by what follows from the key, and never to 0, which means for ever.
func TestJitter(t *testing.T) {
	t.Parallel()
	var runs [2][]string
	for run := range runs {
		for _, ttl := range []int64{1000, 1} {
			g := &changes{room: 100}
			if _, err := Change(cached(100), wanting(t, filter.Options{}), g, Options{NewTTL: ttl, NewTTLJitter: "100%"}, limits.Options{}, Hooks{}); err != nil {
				t.Fatal(err)
			}
			runs[run] = append(runs[run], g.applied...)
		}
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("a second run gives other times")
	}
	different := map[string]bool{}
	for _, s := range runs[0] {
		_, ttl, _ := strings.Cut(s, "=")
		different[ttl] = true
		if strings.HasPrefix(ttl, "-") || ttl == "0" || len(ttl) > 4 {
			t.Errorf("%s s of 1000", ttl)
		}
	}
	if len(different) < 40 {
		t.Errorf("80 items have %d times to live", len(different))
	}
}

// With a rate the items are spread over time, while the client is looked for and hears of the progress.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, looked, reports := time.Now(), 0, []uint64{}
		g := &changes{room: 100}
		c := cached(25) // 20 that are there
		c.atOnce = 100
		_, err := checked(t, c, filter.Options{}, g, limits.Options{Rate: 2}, Hooks{
			ClientGone: func() error { looked++; return nil },
			Progress:   func(c *Counts) { reports = append(reports, c.Items) },
		})
		if took := g.at[len(g.at)-1].Sub(began); err != nil || slices.Max(g.batches) != 1 || took < 9*time.Second || took > 10*time.Second {
			t.Errorf("%v, %d batches in %v", err, len(g.batches), took)
		}
		if looked < 90 || len(reports) < 40 || !slices.IsSorted(reports) || reports[0] == 25 {
			t.Errorf("the client was looked for %d times and heard of %v items", looked, reports)
		}
	})
	synctest.Test(t, func(t *testing.T) { // gentle: batches of 64 with a millisecond between them at least
		g := &changes{room: 1000}
		c := cached(1000)
		c.atOnce = 1000
		_, err := checked(t, c, filter.Options{}, g, limits.Options{Gentle: true}, Hooks{})
		if took := g.at[len(g.at)-1].Sub(g.at[0]); err != nil || slices.Max(g.batches) != 64 || took < 12*time.Millisecond {
			t.Errorf("%v, batches of %v in %v", err, g.batches, took)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the client goes while it waits
		looked := 0
		g := &changes{room: 100}
		counts, err := checked(t, cached(5), filter.Options{}, g, limits.Options{Rate: 1}, Hooks{ClientGone: func() error {
			if looked++; looked > 5 {
				return errTest
			}
			return nil
		}})
		if !errors.Is(err, errTest) || counts.Left() == 0 || len(g.batches) != 1 {
			t.Errorf("%+v, %v after %d batches", counts, err, len(g.batches))
		}
	})
}

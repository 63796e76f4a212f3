package protocol

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/meta"
)

// memcached can stand still for ever when a list of its keys begins just as its hash table is replaced. The thread that
// replaces it takes the table's lock, then the crawler's, and waits with both until every worker has paused (assoc.c:
// assoc_maintenance_thread, thread.c: pause_threads). It never gets there if
//
//   - the worker that reads the command has not paused yet: it waits for the crawler's lock (crawler.c: lru_crawler_start);
//   - to 1.6.27, the crawler is at the list's beginning: it holds its lock while it waits for the table's (crawler.c:
//     item_crawl_hash, assoc.c: assoc_get_iterator).
//
// Both are decided within milliseconds of the command. So a list is asked for only when no growth is to be expected so soon.

const (
	// growthLook is the time between two looks at how many items there are.
	growthLook = 100 * time.Millisecond
	// growthAhead is the time in which the table must not grow, at the speed that was seen.
	growthAhead = 2 * time.Second
	// growthCalm is how many looks in a row must have found no more items than before if the table is nearly full: 5 s.
	growthCalm = 50
)

// fill is how full the hash table is.
type fill struct {
	items, most int64 // most is how many items it takes before it grows
	growing     bool
	page        string // that memcached's page mover moves: how many it has moved before; "" none
}

// fillOf reads statistics. memcached lets the table grow above 1.5 items for each bucket (assoc.c: assoc_start_expand).
func fillOf(stats map[string]string) (fill, error) {
	items, err := strconv.ParseInt(stats["curr_items"], 10, 64)
	if err != nil {
		return fill{}, fmt.Errorf("it states no number of items: %w", err)
	}
	power, err := strconv.ParseUint(stats["hash_power_level"], 10, 6)
	if err != nil || power > 40 {
		return fill{}, fmt.Errorf("it states no size of its hash table: %s", clip.Quote(stats["hash_power_level"]))
	}
	f := fill{items: items, most: 3 << power / 2, growing: stats["hash_is_expanding"] != "0"}
	if stats["slab_reassign_running"] == "1" {
		f.page = stats["slabs_moved"]
	}
	return f, nil
}

// growsSoon reports whether the table may grow soon, from how full it was growthLook ago and is now: also by some items more
// than that speed says.
func growsSoon(before, now fill) bool {
	more := max(now.items-before.items, 0) * int64(growthAhead/growthLook)
	return before.growing || now.growing || now.items+more+now.most/100 >= now.most
}

// isHeldUp reports whether a growth may wait for the page mover, however few items there are by now, or may have waited for it
// a moment ago. The thread that replaces the table has its lock by then, and the crawler's not yet (thread.c:
// pause_threads), and a client that does not read its answer holds a page for as long as it likes.
func isHeldUp(before, now fill) bool {
	return before.page != "" && (now.page == "" || now.page == before.page)
}

// outlook is what is known of a growth from the looks so far.
type outlook struct {
	last    fill
	highest int64 // number of items
	calm    int   // looks in a row that found no more than before
}

// near adds a look, and reports whether the table may grow soon. A table that stays nearly full, as that of a cache
// which is not being filled, may not: it is enough that the number of items reaches no new maximum for a while.
func (o *outlook) near(now fill) bool {
	soon, held := growsSoon(o.last, now), isHeldUp(o.last, now)
	o.last = now
	if o.calm++; now.growing || now.items > o.highest {
		o.highest, o.calm = max(o.highest, now.items), 0
	}
	return held || soon && (o.calm < growthCalm || o.highest >= now.most)
}

// neverGrows reports whether there is no thread that replaces the table (-o no_hashexpand). memcached's threads have
// names from 1.6.18 on (assoc.c: start_assoc_maintenance_thread, crawler.c: start_item_crawler_thread).
func neverGrows() bool {
	names, err := host.Threads()
	return err == nil && slices.Contains(names, "mc-itemcrawler") && !slices.Contains(names, "mc-assocmaint")
}

// awaitGrowth waits until the table does not grow soon. The error is an [*Unlisted] if it may at the deadline, or
// gone's.
func (c *conn) awaitGrowth(deadline time.Time, gone func() error) error {
	if neverGrows() {
		return nil
	}
	look := func() (fill, error) {
		if err := c.send(meta.Commands("stats\r\n")); err != nil {
			return fill{}, err
		}
		stats, err := c.stats()
		if err != nil {
			return fill{}, err
		}
		return fillOf(stats)
	}
	before, err := look()
	seen := outlook{last: before, highest: before.items}
	for err == nil {
		time.Sleep(growthLook)
		var now fill
		if now, err = look(); err != nil || !seen.near(now) {
			break
		}
		if time.Now().After(deadline) {
			if seen.last.page != "" {
				return movesNow
			}
			return growsNow
		}
		err = gone()
	}
	return err
}

var movesNow = &Unlisted{
	"memcached is moving a page of items for which a growth of its hash table may wait, and memcached can stand still for ever when a list of its keys begins as it grows",
	"try again when stats says slab_reassign_running 0: a client that does not read what it has asked for may hold up the page",
}

var growsNow = &Unlisted{
	"memcached's hash table is as full as where it grows, or nearly, and memcached can stand still for ever when a list of its keys begins as it does",
	"try again when fewer items come in, or start memcached with a larger -o hashpower",
}

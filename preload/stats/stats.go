// Package stats reads what a person looks for first in memcached's statistics.
package stats

import (
	"strconv"
	"strings"
)

// Answers are memcached's statistics, by name: "stats", "stats settings", "stats slabs" and "stats items".
type Answers struct {
	General, Settings, Slabs, Items map[string]string
	// Connections is how many of the connections that memcached counts are the library's own: that of the question, and
	// those of calls by protocol.
	Connections uint64
}

// Stats are figures of memcached's own statistics. What it does not state is nil.
type Stats struct {
	Items     *uint64 `json:"items,omitempty"`     // in the cache
	Bytes     *uint64 `json:"bytes,omitempty"`     // that they take, with memcached's header of each
	Pages     *uint64 `json:"pages,omitempty"`     // bytes of memory that are divided into slab pages
	Limit     *uint64 `json:"limit,omitempty"`     // -m in bytes; 0: there is none
	Gets      *uint64 `json:"gets,omitempty"`      // keys that were asked for, since memcached's start or "stats reset"
	Hits      *uint64 `json:"hits,omitempty"`      // of these
	Misses    *uint64 `json:"misses,omitempty"`    // of these
	Sets      *uint64 `json:"sets,omitempty"`      // commands that store
	Evictions *uint64 `json:"evictions,omitempty"` // items that made room for others

	// Oldest is how many seconds ago the item was stored or read that has not been for longest, of those at the ends of
	// memcached's LRU lists.
	Oldest *uint64 `json:"oldest,omitempty"`

	// Connections is how many there are without the library's own. memcached counts all but one of its listening sockets.
	Connections    *uint64 `json:"connections,omitempty"`
	MaxConnections *uint64 `json:"max_connections,omitempty"` // -c

	Buckets *uint64 `json:"buckets,omitempty"` // of the hash table
	Growing *bool   `json:"growing,omitempty"` // it moves the items to one with twice as many buckets
}

// Of reads memcached's answers.
func Of(a *Answers) *Stats {
	general := func(name string) *uint64 { return number(a.General[name]) }
	s := &Stats{
		Items: general("curr_items"), Bytes: general("bytes"), Limit: general("limit_maxbytes"),
		Pages: number(a.Slabs["total_malloced"]),
		Gets:  general("cmd_get"), Hits: general("get_hits"), Misses: general("get_misses"), Sets: general("cmd_set"),
		Evictions:   general("evictions"),
		Oldest:      oldest(a.Items, general("uptime")),
		Connections: general("curr_connections"), MaxConnections: number(a.Settings["maxconns"]),
	}
	if c := s.Connections; c != nil {
		*c -= min(*c, a.Connections)
	}
	if power := general("hash_power_level"); power != nil && *power < 64 {
		buckets := uint64(1) << *power
		s.Buckets = &buckets
	}
	if growing, err := strconv.ParseBool(a.General["hash_is_expanding"]); err == nil {
		s.Growing = &growing
	}
	return s
}

// number reads a statistic; nil: memcached does not state it.
func number(text string) *uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// oldest is the highest age of "stats items": of each slab class it has those at the ends of LRU lists (items.c:
// item_stats). An age above the uptime is that of the crawler's mark, which has no time and moves through a list.
func oldest(items map[string]string, uptime *uint64) (most *uint64) {
	for name, text := range items {
		switch name[strings.LastIndexByte(name, ':')+1:] {
		case "age", "age_hot", "age_warm":
			age := number(text)
			if age != nil && (uptime == nil || *age <= *uptime) && (most == nil || *age > *most) {
				most = age
			}
		}
	}
	return most
}

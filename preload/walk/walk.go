// Package walk has the items that a dump reads from the cache, and the interface of a walk through
// all of them: with memcached's own functions, or by its protocol.
package walk

// An Item is an item that a walk has found. It and its bytes are valid until the function that is called with it returns.
type Item struct {
	Key, Value []byte
	// Flags are memcached's client flags.
	Flags uint64
	// CAS is its CAS unique; 0 if memcached has none (-C), or does not return it.
	CAS uint64
	// TTL is the time until it expires, in seconds; -1: never.
	TTL int64
	// Idle is the time, in seconds, since it was stored, or was read and memcached noted when. By default it notes that of
	// few reads (items.c: do_item_bump): the second one, and one after the item was at the tail of a LRU.
	Idle int64
	// Size is the length of its value in bytes, even if Value is empty.
	Size int
	// Class is its slab class, 0: not known; of an item that is stored in several chunks the largest class.
	// Total is its length in bytes with all that memcached stores with it (memcached.h: ITEM_ntotal), 0: not known;
	// where External it counts the value, too.
	Class, Total int
	// External: its value is to be fetched, and not in Value.
	External bool
	// Extstore: its value is in extstore, on a disk, and was fetched from there or is to be. Memcached's protocol does not
	// tell it.
	Extstore bool
	// Stale: it was invalidated, and is served until a client has recached it (protocol.txt: "Meta
	// Delete", flag I). Won: a client was told to do that, and the next ones are not (protocol.txt:
	// "Meta Get", flags W and Z).
	Stale, Won bool
	// Fetched: a client has read it since it was stored (memcached.h: ITEM_FETCHED). When it was read last is not known then:
	// not before Idle says.
	Fetched bool
	// Gone: its value was to be fetched, or its key was listed, and the item does not exist.
	Gone bool

	// Exptime and Time are when it expires and when it was used, as memcached has them (memcached.h: rel_time_t), of an
	// item that was read natively. With the CAS unique they tell an item from another.
	Exptime, Time uint32
}

// Options are those of a walk.
type Options struct {
	Prefix   string // of the keys; 250 bytes at most
	Keys     Keys   // not nil: only the items of these keys, in their order: Prefix, which saves a walk items that are not wanted, saves nothing then
	KeysOnly bool   // no values
	// ClientGone, if not nil, is called while the walk waits to begin. It returns an error if the client has gone; the
	// error ends the walk.
	ClientGone func() error
}

// A Walker meets each item once that is in the cache from the beginning of the walk to its end,
// and some of those that are stored or removed meanwhile. It is for one goroutine.
type Walker interface {
	// Next calls each for the next items; there may be none yet. It returns the error of each, io.EOF after the last
	// item, or an error if the walk cannot continue.
	Next(each func(*Item) error) error
	// Part is the part of the cache that was walked through, from 0 to 1.
	Part() float64
	// Close ends the walk and frees what it holds. The caller of Walk closes.
	Close()
}

// Keys are a list of keys.
type Keys interface {
	// Next returns the next key, of 1 to 250 bytes, which is valid until it is called again. The error is io.EOF after
	// the last key, or ends the walk.
	Next() ([]byte, error)
}

// Listed is a source of the items of the keys only. Of a key that has none, the item is Gone.
func Listed(s Source, keys Keys) Source { return listed{s, keys} }

type listed struct {
	Source
	keys Keys
}

func (l listed) Walk(o Options) (Walker, error) {
	o.Keys = l.keys
	return l.Source.Walk(o)
}

// A Source is a cache whose items can be read.
type Source interface {
	// Walk begins a walk; the caller closes the Walker.
	Walk(Options) (Walker, error)
}

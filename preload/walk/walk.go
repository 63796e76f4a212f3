// Package walk has the items of a dump on their way out of the cache, and the interface
// of a walk through all of them: with memcached's own functions, or its protocol.
package walk

// An Item is an item that a walk has found. Its bytes are valid until the function that is called with it returns.
type Item struct {
	Key, Value []byte
	// Flags are memcached's client flags.
	Flags uint64
	// CAS is its CAS unique; 0 if memcached has none (-C), or does not return it.
	CAS uint64
	// TTL is the seconds until it expires; -1: never.
	TTL int64
	// Idle is the seconds since it was stored or read, give or take a minute.
	Idle int64
	// Size is the length of its value in bytes, even if Value is empty.
	Size int
	// External: its value is in extstore, and not in Value.
	External bool
	// Stale: it was invalidated, and is served until a client has recached it (protocol.txt: "Meta
	// Delete", flag I). Won: a client was told to do that, and the next ones are not (protocol.txt:
	// "Meta Get", flags W and Z).
	Stale, Won bool
	// Gone: it was fetched, and no longer exists.
	Gone bool
}

// Options are those of a walk.
type Options struct {
	Prefix   string // of the keys that are wanted; 250 bytes at most
	KeysOnly bool   // no values
	// Gone, if not nil, is polled while the walk waits for its beginning; its error ends the walk.
	Gone func() error
}

// A Walker finds each item once that is in the cache from the beginning of the walk to its
// end, and some of those that are stored or removed meanwhile. It is for one goroutine.
type Walker interface {
	// Next calls each for the next items, if there are any yet. Its error is each's; io.EOF after the last item; or the
	// reason why the walk cannot continue.
	Next(each func(*Item) error) error
	// Part is how much of the cache was walked through, from 0 to 1.
	Part() float64
	// Close ends the walk.
	Close()
}

// A Store is a cache that can be walked through.
type Store interface {
	Walk(Options) (Walker, error)
}

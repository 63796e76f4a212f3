// Package walk has the items of a cache on their way out of it, and what it is to meet
// all of them: with memcached's own functions, or its protocol.
package walk

// An Item is one that was met. Its bytes are good until the function that was given them returns.
type Item struct {
	Key, Value []byte
	// Flags are memcached's client flags.
	Flags uint64
	// CAS is its CAS unique; 0 where memcached has none (-C), or does not say.
	CAS uint64
	// TTL is how many seconds it has to live; -1: for ever.
	TTL int64
	// Idle is how many seconds ago it was stored or asked for, to a minute.
	Idle int64
	// Size is the length of its value in bytes, also where that is not there.
	Size int
	// External says that its value is in extstore, and not in Value.
	External bool
	// Stale says that it was invalidated, and is served until somebody has made its value anew
	// (protocol.txt: "Meta Delete", flag I); Won, that a client was told to do that, and the next
	// ones are not (protocol.txt: "Meta Get", flags W and Z).
	Stale, Won bool
	// Gone says, of one that was fetched, that it is not there any more.
	Gone bool
}

// Options say what is wanted.
type Options struct {
	Prefix   string // of the keys; 250 bytes at most
	KeysOnly bool   // no values
	// Gone, if not nil, is asked while a walk waits for its beginning; its error ends that.
	Gone func() error
}

// A Walker meets each item that is in the cache from the beginning of the walk to its end
// once; of those that come or go meanwhile, some. It is for one goroutine.
type Walker interface {
	// Next calls each for further items, if there are any yet; its error is each's, io.EOF when there are no more, or
	// says why the walk cannot go on.
	Next(each func(*Item) error) error
	// Part is how much of the cache lies behind, from 0 to 1.
	Part() float64
	// Close ends the walk.
	Close()
}

// A Store is a cache that can be walked through.
type Store interface {
	Walk(Options) (Walker, error)
}

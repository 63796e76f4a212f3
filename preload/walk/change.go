package walk

// A Change is what becomes of items.
type Change int

// The changes.
const (
	Delete     Change = iota
	Invalidate        // they are marked as stale (protocol.txt: "Meta Delete", flag I)
	Touch             // they get another time to live
)

// Changed counts what became of items that were to be changed.
type Changed struct {
	Changed  uint64
	Replaced uint64 // a client has stored another, or changed it so that the conditions may not hold any more
	Gone     uint64 // the item does not exist any more
	Unfit    uint64 // no command can have the key (meta.Fits), and the item was not changed
}

// Changes change items that a walk has met, each only if it is still the one that was met. They are for one goroutine.
type Changes interface {
	// Add adds an item, which is not Gone, and reports whether there was room for it; if not, Apply makes some. ttl is
	// for Touch, in seconds; 0: it never expires.
	Add(i *Item, ttl int64) bool
	// Len is how many items were added since the last Apply.
	Len() int
	// Apply changes the items that were added. With an error what became of some is not known.
	Apply() (Changed, error)
	// Close frees what they hold.
	Close()
}

// Conditions say what of an item, besides its CAS unique, must be as it was met: for conditions on it held. By protocol
// memcached compares nothing else: there it is asked once more just before, and Hold decides.
type Conditions struct {
	Life bool // when it expires
	Use  bool // when it was stored, and that it was not read since
	// Hold reports whether the conditions hold for an item; nil if neither Life nor Use is meant.
	Hold func(*Item) bool
}

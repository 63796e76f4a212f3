package door

import (
	"memcached-backdoor/preload/change"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/stats"
)

const (
	// Protocol is the version of the messages that this package speaks. A
	// change that an older peer would misread raises it.
	Protocol = 1

	// MaxRequest is the size of the longest request, in bytes.
	MaxRequest = 64 << 10

	// MaxReply is the size of the longest reply, in bytes. It is well
	// below the default of SO_SNDBUF (208 KiB): a SOCK_SEQPACKET socket
	// does not send a longer message.
	MaxReply = 64 << 10
)

// The operations of a Request.
const (
	OpLoad   = "load"   // stores the rows of the descriptor that comes with the request
	OpDump   = "dump"   // writes the items of the cache to the descriptor that comes with the request
	OpDelete = "delete" // deletes items of the cache, or invalidates them
	OpTouch  = "touch"  // gives items of the cache another time to live
	OpStatus = "status" // says which library this is, and what it has done
	OpHot    = "hot"    // finds the keys with the most requests
)

// The options of the operations are those of the packages that take them, which say what each means.
type (
	Rows   = record.Options // how the rows of a load are read, and what they are stored with
	Limits = limits.Options // how fast rows are stored or items changed, and how many rows a load may reject
	Items  = dump.Options   // how a dump writes items
	Filter = filter.Options // which items are meant
	Change = change.Options // what becomes of items
	Hot    = hot.Options    // what the keys are ranked by, and for how long
)

// Stats are memcached's own statistics, as far as a status has them.
type Stats = stats.Stats

// Request is what a client sends. A field that the library does not know is an
// error there: an option must never be ignored in silence.
//
// The tag op of a field says for which operations it has a meaning. The embedded structs are the options of other packages:
// a field that one of them gets is an option of the request.
type Request struct {
	// Version is the protocol version, [Protocol].
	Version int `json:"version"`

	// Op is the operation, such as [OpLoad].
	Op string `json:"op"`

	Rows   `op:"load"`
	Limits `op:"load delete touch"`
	Items  `op:"dump"`
	Filter `op:"load dump delete touch"`
	Change `op:"delete touch"`
	Hot    `op:"hot"`

	// Keys says that one more descriptor comes, with the keys of the items that are meant: one a line,
	// percent-encoded as the keys of a list of items are (package dump: Listed), which many keys are as they are.
	// A dump has them in this order if its format is Details.
	Keys bool `json:"keys,omitempty" op:"dump delete touch"`

	// Rejects says that two more descriptors come, of regular files: the first gets
	// the rejected rows as they are in the input, the second a line about each: line,
	// column, reason and key, separated by tabs.
	Rejects bool `json:"rejects,omitempty" op:"load"`

	// Resume continues an interrupted load of the same file, with the same options, behind the last row that it
	// stored. If there was none, memcached has been started since, the file has changed, or what was stored is no
	// longer in the cache, the load begins at the beginning, and Load.Restarted is the reason.
	Resume bool `json:"resume,omitempty" op:"load"`

	// DryRun does everything but store, delete or touch: what would be counts as if it were.
	DryRun bool `json:"dry_run,omitempty" op:"load delete touch"`

	// Detach lets the load finish even when the client goes away.
	Detach bool `json:"detach,omitempty" op:"load"`

	// Slabs asks for Status.Slabs.
	Slabs bool `json:"slabs,omitempty" op:"status"`

	// Progress asks for progress messages. Without it exactly one reply comes.
	Progress bool `json:"progress,omitempty" op:"load dump delete touch hot"`

	// Stats asks for memcached's own statistics, too, and is how long memcached may take for them, in milliseconds, though
	// not longer than 10 s; 0: they are not asked for, and, without Slabs, the status does not depend on memcached's threads.
	Stats uint32 `json:"stats,omitempty" op:"status"`
}

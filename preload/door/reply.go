package door

import (
	"fmt"

	"memcached-backdoor/preload/record"
)

// The types of a Reply.
const (
	TypeProgress = "progress" // Load, Dump, Changed or Hot: the counts so far; more replies follow
	TypeResult   = "result"   // Load, Dump, Changed or Hot: the outcome
	TypeStatus   = "status"   // Status
	TypeError    = "error"    // Error
)

// Reply is an answer of the library. Type says which of the pointers is set.
type Reply struct {
	Version int      `json:"version"`
	Type    string   `json:"type"`
	Load    *Load    `json:"load,omitempty"`
	Dump    *Dump    `json:"dump,omitempty"`
	Changed *Changed `json:"changed,omitempty"`
	Status  *Status  `json:"status,omitempty"`
	Hot     *HotKeys `json:"hot,omitempty"`
	Error   *Error   `json:"error,omitempty"`
}

// Engine is how rows are stored and items are read.
type Engine string

// The engines.
const (
	EngineNative   Engine = "native"   // with memcached's own functions
	EngineProtocol Engine = "protocol" // with commands, over a connection to memcached
	EngineNone     Engine = "none"     // not at all
)

// Load counts what became of the rows of one load. Each row that was read is
// stored, rejected or skipped, and nothing else: see [Load.Check].
type Load struct {
	// Rows is how many rows were read.
	Rows uint64 `json:"rows"`

	// Stored rows are in the cache.
	Stored uint64 `json:"stored"`

	// Rejected rows could not be stored: malformed, too large, no memory.
	Rejected uint64 `json:"rejected"`

	// Skipped rows were left out for an option, a condition, the mode or that for NULL, or had
	// expired already.
	Skipped uint64 `json:"skipped"`

	// Bytes is how many bytes of the input were read.
	Bytes uint64 `json:"bytes"`

	// ValueBytes is how many bytes the values of the stored rows have.
	ValueBytes uint64 `json:"value_bytes,omitempty"`

	// Canceled says that the load ended before its input did.
	Canceled bool `json:"canceled"`

	// Limited says that it did so after more rows were rejected than the limits allow.
	Limited bool `json:"limited"`

	// Incomplete says that the input is a truncated dump, or a truncated JSON array.
	Incomplete bool `json:"incomplete,omitempty"`

	// Reasons counts the rejected and the skipped rows by reason.
	Reasons map[string]uint64 `json:"reasons,omitempty"`

	// Rejects are the first few rejected rows, in the order of the input.
	Rejects []Reject `json:"rejects,omitempty"`

	// Notes are sentences about the input: what a person should know of how it was read. Only the reply that ends
	// the load has them.
	Notes []string `json:"notes,omitempty"`

	// Resumed is how many lines were left out: an interrupted load had accounted for them.
	Resumed uint64 `json:"resumed,omitempty"`

	// ResumedBytes is how many bytes these lines have.
	ResumedBytes uint64 `json:"resumed_bytes,omitempty"`

	// Restarted is the reason for which a load that was to resume another one began at the beginning.
	Restarted string `json:"restarted,omitempty"`

	// DryRun says that nothing was stored: rows that count as stored would have been.
	DryRun bool `json:"dry_run,omitempty"`

	// First are the first rows that a dry run would store. Only the reply that ends it has them.
	First []First `json:"first,omitempty"`

	// Memory is what the rows of a dry run would need.
	Memory *Memory `json:"memory,omitempty"`

	// Gone says how many of the stored rows were no longer in the cache at the end; nil if
	// all were.
	Gone *Gone `json:"gone,omitempty"`

	// Seconds is how long the load took.
	Seconds float64 `json:"seconds"`

	// Engine is how the rows were stored.
	Engine Engine `json:"engine"`

	// EngineReason is the reason if that was not [EngineNative].
	EngineReason string `json:"engine_reason,omitempty"`
}

// MaxFirst is how many rows a dry run shows.
const MaxFirst = 3

// First is a row as it would be stored.
type First struct {
	// Mode is what it would be stored with: set, add or replace. Whether the key is there is not looked up.
	Mode record.Mode `json:"mode"`

	// Key is the key as a quoted Go string, so that a terminal can show it.
	Key string `json:"key"`

	// Flags are memcached's client flags.
	Flags uint32 `json:"flags"`

	// TTL is in seconds; 0: it never expires; -1: it has expired when it is stored.
	TTL int64 `json:"ttl"`

	// CAS is the CAS unique that the row asks for; 0: none.
	CAS uint64 `json:"cas,omitempty"`

	// Stale and Won are memcached's marks.
	Stale bool `json:"stale,omitempty"`
	Won   bool `json:"won,omitempty"`

	// Size is the value's length in bytes.
	Size int `json:"size"`

	// Value is the beginning of the value as a quoted Go string, of 64 bytes at most; Cut says that there is more.
	Value string `json:"value"`
	Cut   bool   `json:"cut,omitempty"`
}

// Memory is memcached's memory for items, and what the rows of a dry run would need of it.
// Rows whose keys are in the cache already take the places of their old values, as far as a sample of the rows tells;
// rows that come twice count twice.
type Memory struct {
	Fits      bool        `json:"fits"`                // without anything being evicted
	Needed    uint64      `json:"needed"`              // bytes of pages, besides those that the classes have
	Free      uint64      `json:"free"`                // bytes that belong to no class yet
	Limit     uint64      `json:"limit"`               // -m, in bytes; 0: there is none
	Megabytes uint64      `json:"megabytes,omitempty"` // the -m with which they would fit; 0: they do
	Classes   []SlabClass `json:"classes,omitempty"`   // those that get rows
	Unknown   string      `json:"unknown,omitempty"`   // the reason for which the rest is not known
}

// SlabClass is one of memcached's slab classes.
type SlabClass struct {
	ID        int    `json:"id"`
	ChunkSize uint64 `json:"chunk_size"` // bytes
	Chunks    uint64 `json:"chunks"`     // that the rows would take, besides those of their old values
	Free      uint64 `json:"free"`       // chunks that are free now
	Pages     uint64 `json:"pages"`      // of 1 MB, that it would need besides those that it has
}

// Slabs is how memcached's memory for items is divided (protocol.txt: "Statistics", slabs).
type Slabs struct {
	Limit    uint64      `json:"limit"`             // -m, in bytes; 0: there is none
	ChunkMax uint64      `json:"chunk_max"`         // bytes: a larger item is stored in several chunks
	Classes  []SlabUsage `json:"classes,omitempty"` // those that have pages, the smallest chunks first
	Unknown  string      `json:"unknown,omitempty"` // the reason for which the rest is not known
}

// SlabUsage is a slab class with its pages.
type SlabUsage struct {
	ID        int    `json:"id"`
	ChunkSize uint64 `json:"chunk_size"` // bytes
	Pages     uint64 `json:"pages"`      // of 1 MB
	Used      uint64 `json:"used"`       // chunks; some may have items that have expired
	Free      uint64 `json:"free"`       // chunks
}

// Gone are rows that were stored and are no longer in the cache.
type Gone struct {
	Rows      uint64 `json:"rows"`                // how many
	Exact     bool   `json:"exact"`               // each row was looked for; else Rows is an estimate
	Megabytes uint64 `json:"megabytes,omitempty"` // the -m that would have held all
	Unknown   string `json:"unknown,omitempty"`   // the reason for which that is not known
}

// Count is a number of things in English: "1 row", "2 rows".
func Count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// MaxRejects is how many rejected rows a [Load] lists.
const MaxRejects = 10

// Check returns an error if the counts do not add up.
func (l *Load) Check() error {
	if l.Rows != l.Stored+l.Rejected+l.Skipped {
		return fmt.Errorf("the counts do not add up: %d rows read, but %d stored, %d rejected and %d skipped",
			l.Rows, l.Stored, l.Rejected, l.Skipped)
	}
	return nil
}

// Dump counts what became of the items of a dump. Each item that was met is written, filtered,
// lost or, where the dump failed or was canceled, unwritten.
type Dump struct {
	// Items is how many live items were met.
	Items uint64 `json:"items"`

	// Written items are in the dump: the file, the pipe or the socket has taken all their bytes.
	// Whether a file's bytes are on its disk is up to the client, as is what becomes of the file.
	Written uint64 `json:"written"`

	// Filtered items are not among those that were asked for.
	Filtered uint64 `json:"filtered"`

	// Lost items have values that could not be read: in extstore, or, by protocol, under keys that no
	// command can have. Keys are some of their keys.
	Lost uint64   `json:"lost"`
	Keys []string `json:"keys,omitempty"`

	// Gone keys were listed and have no item; or the item was met and went away before its value was read. They are not
	// among the Items.
	Gone uint64 `json:"gone,omitempty"`

	// Unwritten items were met, and the dump ended before they were written.
	Unwritten uint64 `json:"unwritten"`

	// Unmarked items are stale or won, and are written without these marks, which the format does not
	// have.
	Unmarked uint64 `json:"unmarked"`

	// Bytes is how many bytes were written.
	Bytes uint64 `json:"bytes"`

	// Part is the part of the cache that was walked through, from 0 to 1.
	Part float64 `json:"part"`

	// Canceled says that the dump ended early: the client had gone.
	Canceled bool `json:"canceled"`

	// Seconds is how long the dump took.
	Seconds float64 `json:"seconds"`

	// Engine is how the items were read; EngineReason is the reason if that was not [EngineNative].
	Engine       Engine `json:"engine"`
	EngineReason string `json:"engine_reason,omitempty"`
}

// Check returns an error if the counts do not add up.
func (d *Dump) Check() error {
	if d.Items != d.Written+d.Filtered+d.Lost+d.Unwritten {
		return fmt.Errorf("the counts do not add up: %d items met, but %d written, %d filtered, %d lost and %d unwritten",
			d.Items, d.Written, d.Filtered, d.Lost, d.Unwritten)
	}
	return nil
}

// Changed counts what became of items that were to be deleted, invalidated or touched. Each item that was met is changed,
// spared, gone or, where the call failed or was canceled, left.
type Changed struct {
	// Items is how many live items were met: of those with the prefix, or in a dry run of all. Of listed keys it is their
	// number.
	Items uint64 `json:"items"`

	// Changed items were deleted, invalidated or touched; in a dry run, would be. Of these, Keys has some keys, as quoted
	// Go strings.
	Changed uint64   `json:"changed"`
	Keys    []string `json:"keys,omitempty"`

	// Spared items are as they were: the conditions do not hold for them. Replaced is how many of these were stored anew
	// by a client, or touched, after they had been met.
	Spared   uint64 `json:"spared"`
	Replaced uint64 `json:"replaced"`

	// Gone items were not in the cache any more. Of keys that were listed: were not in the cache.
	Gone uint64 `json:"gone"`

	// Left is how many items were met, and the call ended before they were changed or it was known.
	Left uint64 `json:"left"`

	// DryRun says that nothing was changed.
	DryRun bool `json:"dry_run,omitempty"`

	// Part is the part of the cache that was walked through, from 0 to 1; 0 if keys were listed.
	Part float64 `json:"part"`

	// Canceled says that the call ended early: the client had gone.
	Canceled bool `json:"canceled"`

	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`

	// Engine is how the items were changed; EngineReason is the reason if that was not [EngineNative].
	Engine       Engine `json:"engine"`
	EngineReason string `json:"engine_reason,omitempty"`
}

// Check returns an error if the counts do not add up.
func (c *Changed) Check() error {
	if c.Items != c.Changed+c.Spared+c.Gone+c.Left || c.Replaced > c.Spared {
		return fmt.Errorf("the counts do not add up: %d items met, but %d changed, %d spared, of which %d replaced, %d gone and %d left",
			c.Items, c.Changed, c.Spared, c.Replaced, c.Gone, c.Left)
	}
	return nil
}

// Reject is one row that was not stored.
type Reject struct {
	// Line is the number of the row's first line in the input, from 1.
	Line uint64 `json:"line"`

	// Column is the byte of that line, or of the row if it has several, from 1, at which the reason was found; 0: not
	// known.
	Column int `json:"column,omitempty"`

	// Reason is a short phrase in lower case, one of a fixed set.
	Reason string `json:"reason"`

	// Detail is what there is to say of the reason in this row, such as the name of a member; "": nothing.
	Detail string `json:"detail,omitempty"`

	// Key is the row's key as a quoted Go string, cut to 64 bytes, so that a
	// terminal can show it. It is empty if no key was found.
	Key string `json:"key,omitempty"`
}

// Text is the reason with its detail and the row's key, as far as there are any, for a message.
func (r *Reject) Text() string {
	text := record.Reason(r.Reason).With(r.Detail)
	if r.Key != "" {
		text += " (key " + r.Key + ")"
	}
	return text
}

// Status says which library is in which memcached, and what it has done.
type Status struct {
	Library     string  `json:"library"`                // version of the library
	Memcached   string  `json:"memcached"`              // version of memcached, or "" if it states none
	BuildID     string  `json:"build_id,omitempty"`     // of the memcached program, in hexadecimal
	PID         int     `json:"pid"`                    // memcached's process
	Route       string  `json:"route,omitempty"`        // how memcached's functions were found
	Engine      Engine  `json:"engine"`                 // how rows are stored
	Reason      string  `json:"reason,omitempty"`       // if that is not EngineNative
	Dumps       Engine  `json:"dumps"`                  // how items are read
	DumpsReason string  `json:"dumps_reason,omitempty"` // if that is not EngineNative
	Workers     int     `json:"workers"`                // memcached's worker threads
	ItemSizeMax uint64  `json:"item_size_max"`          // memcached's -I, in bytes
	Calls       uint64  `json:"calls"`                  // answered and running, this one included
	Active      int     `json:"active"`                 // loads that run now
	Stored      uint64  `json:"stored"`                 // rows of all loads
	Rejected    uint64  `json:"rejected"`               // rows of all loads
	Skipped     uint64  `json:"skipped"`                // rows of all loads
	Uptime      float64 `json:"uptime"`                 // seconds since the door opened

	Fixtures *Fixtures `json:"preload,omitempty"` // nil: there are none
	Slabs    *Slabs    `json:"slabs,omitempty"`   // nil: they were not asked for

	Stats       *Stats `json:"stats,omitempty"`        // nil: they were not asked for, or could not be had
	StatsReason string `json:"stats_reason,omitempty"` // for which they could not be had
}

// Fixtures is what has become of the fixtures. The counts of the status include their rows.
type Fixtures struct {
	Done     bool    `json:"done"`     // memcached accepts connections
	Complete bool    `json:"complete"` // done, and every row is in the cache or was skipped; the reasons are on memcached's stderr
	Files    uint64  `json:"files"`
	Rows     uint64  `json:"rows"`
	Stored   uint64  `json:"stored"`
	Rejected uint64  `json:"rejected"`
	Skipped  uint64  `json:"skipped"`
	Seconds  float64 `json:"seconds"` // so far
}

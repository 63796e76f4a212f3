// Package record turns bytes into records: where a row ends, what its key and its
// value are, and why it has none.  It knows the formats of the tools that rows come
// from, and nothing of where they come from or go to.
package record

import "memcached-backdoor/preload/meta"

// TTLMax is the longest time to live in seconds: 68 years. memcached keeps times in 32 bits, as seconds since
// its start (memcached.h: rel_time_t).
const TTLMax = 1<<31 - 1

// Past is the time to live of an item that has expired when it is stored (package batch: Past).
const Past = 1<<32 - 1

// A Reason says why a row is not stored, in words for a person.  There are few
// enough of them to be counted apart.
type Reason string

// What can be wrong with a row of any format.
const (
	EmptyKey   Reason = "empty key"
	KeyTooLong Reason = "key longer than 250 bytes"
	KeyByte    Reason = "space or control byte in the key"
	BinaryKey  Reason = "key longer than 186 bytes that is no text: memcached's protocol has none"
	NullKey    Reason = "NULL in the key"
	BadFlags   Reason = "the flags are not a number from 0 to 4294967295"
	BadTTL     Reason = "the time to live is neither a whole number of seconds nor a duration such as 24h, 68 years at most"
	TwoTTLs    Reason = "both a time to live and a date"
	TooLong    Reason = "row too long for memcached's item size limit (-I)"
)

// Why a good row is skipped.
const (
	NullValue Reason = "the value is NULL"
	Expired   Reason = "expired already"
)

// Command is what a row is stored with.
type Command uint8

// The commands have memcached's names.
const (
	Set Command = iota
	Add
	Replace
)

// Kind is what [Parser.Next] has found.
type Kind int

const (
	// More is the beginning of a row that is not complete.
	More Kind = iota
	// Item is a row to be stored.
	Item
	// Reject is a row that cannot be stored, because of Reason.
	Reject
	// Skip is a row that is not to be stored, because of Reason. One that is Expired has a
	// Key and a Command; there is then no need for the old value any more.
	Skip
	// Nothing is no row: a header, an empty line, a command that stores nothing.
	Nothing
	// End is the end of the rows, whatever follows.
	End
	// Failed is the end of the load, because of Err.
	Failed
)

// Bytes are a key or a value: Len bytes at At of the input that the parser was given,
// or Made, where they do not stand there as they are.  Made is good until the parser is
// called again.
type Bytes struct {
	At, Len int
	Made    []byte
}

// Of returns the bytes themselves.
func (b Bytes) Of(data []byte) []byte {
	if b.Made != nil {
		return b.Made
	}
	return data[b.At:][:b.Len]
}

func made(p []byte) Bytes { return Bytes{Len: len(p), Made: p} }

// A Row is what stands at the beginning of the input.
type Row struct {
	// Size is how many bytes of input it is, with the end of its line; Content without.
	Size, Content int
	// Lines is how many line feeds there are in it.
	Lines int

	Key, Value Bytes
	// Binary says that the key has any bytes, as one in base64 may; otherwise it is such as
	// stands in commands.
	Binary bool
	// Oversize says that the value is longer than Options.ValueMax, and not there.
	Oversize bool
	Command  Command
	Flags    uint32
	TTL      int64  // seconds from now; 0: never expires; or Past
	CAS      uint64 // the item's CAS unique; 0: memcached draws one
	// Stale and Won are the item's marks (package walk: Item).
	Stale, Won bool

	// Left is how many more items the row makes: [Parser.Next] is asked for the next of them
	// with the same bytes, perhaps more behind them.
	Left uint64

	// Known says, with Reject, that the row has a valid Key, and a Command, beyond doubt: what is
	// wrong with it is something else. If it was to be set, its key's old value is stale, which is
	// worse than none. There is doubt where quotes, columns or JSON are not as they must be, so that
	// the row may be part of a value; where a command has a flag that may change its meaning; and
	// where a checksum is wrong or missing.
	Known bool

	Header bool // with Nothing: it is the header

	Reason Reason
	Column int   // the byte of the row, from 1, at which Reason was seen; 0: not known
	Err    error // with Failed
}

// reject makes the row one that cannot be stored; at is an offset in it.
func (r *Row) reject(reason Reason, at int) Kind {
	r.Reason, r.Column = reason, at+1
	return Reject
}

// badKey holds a key to the text protocol's rules (protocol.txt: "Keys"), so
// that every client can ask for what was stored.  at is where in the key it breaks them.
func badKey(key []byte) (reason Reason, at int) {
	switch {
	case len(key) == 0:
		return EmptyKey, 0
	case len(key) > meta.KeyMax:
		return KeyTooLong, meta.KeyMax
	}
	if at = meta.IndexBinary(key); at >= 0 {
		return KeyByte, at
	}
	return "", 0
}

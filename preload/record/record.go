// Package record parses rows: where a row ends, what its key and its value are, or the reason to reject it. It knows
// the formats of the tools that write rows, and nothing of their source and their store.
package record

import (
	"fmt"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
)

// TTLMax is the longest time to live in seconds: 68 years. memcached keeps times in 32 bits, as seconds since
// its start (memcached.h: rel_time_t).
const TTLMax = 1<<31 - 1

// Past is the time to live of an item that has expired when it is stored (package batch: Past).
const Past = 1<<32 - 1

// A Reason is the reason for which a row is not stored, for a person to read. There are few of them, and each is
// counted.
type Reason string

// With is the reason with its detail in a row; "": it has none.
func (r Reason) With(detail string) string {
	if detail == "" {
		return string(r)
	}
	return string(r) + ": " + detail
}

// The reasons to reject a row of any format.
const (
	EmptyKey   Reason = "empty key"
	KeyTooLong Reason = "key longer than 250 bytes"
	KeyByte    Reason = "space or control byte in the key"
	BinaryKey  Reason = "binary key longer than 186 bytes: memcached's protocol has none"
	NullKey    Reason = "NULL in the key"
	BadFlags   Reason = "the flags are not a number from 0 to 4294967295"
	BadTTL     Reason = "the time to live is neither a whole number of seconds nor a duration such as 24h or 30d, 68 years at most"
	BadExptime Reason = "the exptime is not a whole number of seconds, of 64 bits"
	BadDate    Reason = "the date is neither in seconds since 1970 nor written as 2037-12-01 00:00:00 or 2037-12-01T00:00:00Z"
	FarDate    Reason = "the date is more than 68 years ahead: 0 means never"
	TwoTTLs    Reason = "both a time to live and a date"
	BadBase64  Reason = "not base64"
	TooLong    Reason = "row too long for memcached's item size limit (-I)"
)

// The reasons to skip a good row.
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

// Kind is what [Parser.Next] has parsed.
type Kind int

const (
	// More is the beginning of a row that is not complete.
	More Kind = iota
	// Item is a row to be stored.
	Item
	// Reject is a row that cannot be stored, for Reason.
	Reject
	// Skip is a row that is not to be stored, for Reason. One that is Expired has a Key and a Command: its key's old
	// value is outdated.
	Skip
	// Nothing is not a row: a header, an empty line, a command that stores nothing.
	Nothing
	// Failed is the end of the load, with the error Err.
	Failed
)

// Bytes are a key or a value: Len bytes at offset At of the parser's input, or Made, which is not nil if they are not
// in the input as they are. Made is valid until the parser is called again.
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

func made(p []byte) Bytes {
	if p == nil {
		p = []byte{}
	}
	return Bytes{Len: len(p), Made: p}
}

// A Row is what is at the beginning of the input.
type Row struct {
	// Size is its length in bytes with the line end, Content without.
	Size, Content int
	// Lines is how many line feeds it has.
	Lines int

	Key, Value Bytes
	hashed     bool   // Key is a hash of the row's own key
	own        []byte // the row's own key, if Key is another; valid as Made is
	// Binary says that the key may be a binary one: it was in base64. Any other is a text key (package meta: IsText).
	Binary bool
	// Oversize says that the value is longer than Options.ValueMax; Value is not valid then.
	Oversize bool
	Command  Command
	Flags    uint32
	TTL      int64  // seconds from now; 0: never expires; or Past
	CAS      uint64 // the item's CAS unique; 0: memcached draws one
	// Stale and Won are the item's marks (package walk: Item).
	Stale, Won bool

	// Left is how many more items the row makes: [Parser.Next] makes the next one from the same bytes.
	Left uint64

	// Known says, with Reject, that Key and Command are valid beyond doubt: what is wrong is something else. If the
	// row was to be set, its key's old value is stale, which is worse than none. There is doubt if quotes, columns
	// or JSON are malformed, so that the row may be part of a value; if a command has a flag that may change its
	// meaning; and if a checksum is wrong or missing.
	Known bool

	Header bool // with Nothing: it is the header, or the line sep=; of a spreadsheet: rejected rows need it

	Reason Reason
	Detail string // of the Reason in this row, such as a name or a number; "": there is none
	Column int    // the byte of the row, from 1, at which Reason was found; 0: not known
	Err    error  // with Failed
}

// Own is the key that the row has itself, without what the options make of it.
func (r *Row) Own(data []byte) []byte {
	if r.own != nil {
		return r.own
	}
	return r.Key.Of(data)
}

// reject rejects the row; at is the offset in it at which the reason was found.
func (r *Row) reject(reason Reason, at int) Kind {
	r.Reason, r.Column = reason, at+1
	return Reject
}

// rejectFor is reject with a detail of the reason.
func (r *Row) rejectFor(reason Reason, at int, format string, args ...any) Kind {
	r.Detail = fmt.Sprintf(format, args...)
	return r.reject(reason, at)
}

// tooLong rejects a row that was cut, whatever was found in its beginning.
func (r *Row) tooLong() Kind {
	r.Detail = ""
	return r.reject(TooLong, 0)
}

// rejectNear is reject with what is in data at the offset at.
func (r *Row) rejectNear(reason Reason, data []byte, at int) Kind {
	return r.rejectFor(reason, at, "%s", near(data, at))
}

// near quotes what is at an offset.
func near(data []byte, at int) string {
	const most = 20 // runes
	if at == len(data) {
		return "it ends there"
	}
	return clip.QuoteN(data[at:], most)
}

// badKey returns the reason to reject a key, and its offset in the key. Keys follow the rules of the text protocol
// (protocol.txt: "Keys"), so that every client can ask for what was stored.
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

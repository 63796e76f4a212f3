// Package record turns bytes into records: what is a row, what is its key, and
// why is this one none.
package record

import "bytes"

// KeyMax is the largest key in bytes (memcached.h: KEY_MAX_LENGTH).
const KeyMax = 250

// A Reason says why a row cannot be stored, in words for a person.
type Reason string

// What can be wrong with a line of the form key<TAB>value.
const (
	NoTab      Reason = "no tab between key and value"
	EmptyKey   Reason = "empty key"
	KeyTooLong Reason = "key longer than 250 bytes"
	KeyByte    Reason = "space or control byte in the key"
)

// Line finds the key of a line key<TAB>value, given without its line feed: the
// key is line[:nkey], the value line[nkey+1:], both raw bytes.  The value may be
// empty and may hold further tabs; a carriage return at its end is part of it.
// A line that is no row has a reason, and nkey is then the length of what stands
// in the key's place.
func Line(line []byte) (nkey int, reason Reason) {
	nkey = bytes.IndexByte(line, '\t')
	if nkey < 0 {
		return len(line), NoTab
	}
	return nkey, checkKey(line[:nkey])
}

// checkKey holds a key to the text protocol's rules (protocol.txt: "Keys"), so
// that every client can ask for what was stored.
func checkKey(key []byte) Reason {
	switch {
	case len(key) == 0:
		return EmptyKey
	case len(key) > KeyMax:
		return KeyTooLong
	}
	for _, b := range key {
		if b <= ' ' || b == 0x7f {
			return KeyByte
		}
	}
	return ""
}

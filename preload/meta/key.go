// Package meta writes memcached's commands (its doc/protocol.txt: "Meta Commands").
//
// A key may have any bytes, and memcached takes what it reads for commands: a key with a line
// feed, written as it is, ends its command and begins another. So only one function, appendKey, writes
// keys into commands. And a connection sends only Text, which no other package can make: its
// keys are written by appendKey.
package meta

import (
	"encoding/base64"
	"strconv"
)

const (
	// KeyMax is the length of the longest key, in bytes (memcached.h: KEY_MAX_LENGTH). In a command it is that
	// of the key as it is written there: memcached compares before it decodes (proto_text.c:
	// process_mset_command), and up to 1.6.39 takes the data of such an "ms" for commands.
	KeyMax = 250
	// BinaryKeyMax is the length of the longest key, in bytes, that fits into a command in base64.
	BinaryKeyMax = KeyMax / 4 * 3
	// RelativeMax is the longest time to live, in seconds, that a command can say: memcached takes a larger
	// number for a date, in seconds since 1970 (memcached.c: realtime).
	RelativeMax = 60 * 60 * 24 * 30
)

// IndexBinary returns the offset of the first byte of a key that no command can have as it is: a space or a
// control byte (protocol.txt: "Keys"). It is -1 for a text key.
func IndexBinary(key []byte) int {
	for i, b := range key {
		if b <= ' ' || b == 0x7f {
			return i
		}
	}
	return -1
}

// IsText reports whether a key is written into a command as it is.
func IsText(key []byte) bool { return IndexBinary(key) < 0 }

// Fits reports whether a command can have the key.
func Fits(key []byte) bool {
	return len(key) > 0 && len(key) <= KeyMax && (len(key) <= BinaryKeyMax || IsText(key))
}

// appendKey appends a key to a command. A binary key is written in base64, and its command has the flag b. If no
// command can have the key, ok is false and nothing is appended.
func appendKey(dst, key []byte) (_ []byte, binary, ok bool) {
	switch {
	case !Fits(key):
		return dst, false, false
	case IsText(key):
		return append(dst, key...), false, true
	}
	return base64.StdEncoding.AppendEncode(dst, key), true, true
}

// AppendSet appends the beginning of a command that stores length bytes of data under a key.
//
// A dump has all items, and can be sent to a memcached as it is. If no command can have the key of an item,
// memcached must not store it, and must not take its data for commands. The command of such an item has the
// key in a flag K, which memcached does not know: it skips the data of such a command
// (proto_text.c: process_mset_command, _meta_flag_preparse).
func AppendSet(dst, key []byte, length int) []byte {
	dst, binary, ok := appendKey(append(dst, "ms "...), key)
	if !ok {
		dst = append(dst, '-')
	}
	dst = strconv.AppendInt(append(dst, ' '), int64(length), 10)
	switch {
	case !ok:
		dst = base64.StdEncoding.AppendEncode(append(dst, " K"...), key)
	case binary:
		dst = append(dst, " b"...)
	}
	return dst
}

// Package meta writes memcached's commands (its doc/protocol.txt: "Meta Commands").
//
// A key may have any bytes, and memcached takes what it reads for commands: a key with a line
// feed in it, written as it is, ends its command and begins another. So one function writes a
// key into a command, appendKey. And a connection sends Text only, which has a key from
// appendKey, or from nowhere: no other package can make one.
package meta

import (
	"encoding/base64"
	"strconv"
)

const (
	// keyMax is the longest key in a command, in bytes as it stands there: memcached compares
	// before it decodes (proto_text.c: process_mset_command), and to 1.6.39 takes the data of such an
	// "ms" for commands.
	keyMax = 250
	// BinaryKeyMax is the longest key in bytes that is short enough in base64.
	BinaryKeyMax = keyMax / 4 * 3
)

// IsText says that a key can stand in a command as it is (protocol.txt: "Keys").
func IsText(key []byte) bool {
	for _, b := range key {
		if b <= ' ' || b == 0x7f {
			return false
		}
	}
	return true
}

// Fits says that a command can have the key.
func Fits(key []byte) bool {
	return len(key) > 0 && len(key) <= keyMax && (len(key) <= BinaryKeyMax || IsText(key))
}

// appendKey appends a key as it stands in a command, which has the flag b if it is binary: then
// it is in base64. It appends nothing if no command can have the key.
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
// A dump has all items, and is sent to a memcached as it is. Under a key that no command can
// have, memcached is to store nothing, and it is to take none of the data for commands. So the
// key is in a flag there, K, that it does not know: it leaves out the data of such a command
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

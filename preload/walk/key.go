package walk

import (
	"bytes"
	"errors"
	"strconv"
)

// AppendEncoded appends a key with all bytes percent-encoded that are not printable, as in
// memcached's own lists of keys (protocol.txt: "lru_crawler metadump").
func AppendEncoded(dst, key []byte) []byte {
	for _, b := range key {
		if b <= ' ' || b >= 0x7f || b == '%' {
			dst = append(dst, '%', "0123456789ABCDEF"[b>>4], "0123456789ABCDEF"[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

var errEncoding = errors.New("the key is not percent-encoded")

// Decode decodes a percent-encoded key in place.
func Decode(key []byte) ([]byte, error) {
	n := 0
	for i := 0; i < len(key); i++ {
		b := key[i]
		if b == '%' {
			if i+2 >= len(key) {
				return nil, errEncoding
			}
			code, err := strconv.ParseUint(string(key[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, errEncoding
			}
			b = byte(code)
			i += 2
		}
		key[n] = b
		n++
	}
	return key[:n], nil
}

// Prefix is the beginning of a key up to a delimiter at a depth of 1 or more, or the last one before, with it; empty if the key has no
// delimiter.
func Prefix(key []byte, delimiter string, depth int) []byte {
	end := 0
	for range depth {
		at := bytes.Index(key[end:], []byte(delimiter))
		if at < 0 {
			break
		}
		end += at + len(delimiter)
	}
	return key[:end]
}

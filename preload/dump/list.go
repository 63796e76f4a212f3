package dump

import (
	"bytes"
	"errors"
	"strconv"

	"memcached-backdoor/preload/walk"
)

// list has a line for each item:
//
//	KEY SIZE FLAGS EXPIRES USED
//
// The key is percent-encoded, the size is that of the value in bytes, and the dates are in seconds
// since 1970: of its expiry, 0 for never, and of when it was stored or asked for, to a minute.
type list struct{}

func (list) begin(dst []byte) []byte { return dst }

func (list) item(dst []byte, i *walk.Item, now int64) []byte {
	dst = append(appendEncoded(dst, i.Key), ' ')
	dst = append(strconv.AppendInt(dst, int64(i.Size), 10), ' ')
	dst = append(strconv.AppendUint(dst, i.Flags, 10), ' ')
	dst = append(strconv.AppendInt(dst, expires(i, now), 10), ' ')
	return append(strconv.AppendInt(dst, now-i.Idle, 10), '\n')
}

func (list) end(dst []byte) []byte { return dst }

// appendEncoded appends a key of which all that is not printable is percent-encoded, as
// memcached's own lists of keys have it (protocol.txt: "lru_crawler metadump").
func appendEncoded(dst, key []byte) []byte {
	for _, b := range key {
		if b <= ' ' || b >= 0x7f || b == '%' {
			dst = append(dst, '%', "0123456789ABCDEF"[b>>4], "0123456789ABCDEF"[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// Listed is an item of a List. Dates are in seconds since 1970.
type Listed struct {
	Key     []byte
	Size    uint64 // of the value, in bytes
	Flags   uint64
	Expires int64 // 0: never
	Used    int64 // when it was stored or asked for, to a minute
}

var errList = errors.New("not a line of a list of items")

// Parse reads a line of a List, without its line feed. The key is made of the line's own bytes.
func (l *Listed) Parse(line []byte) error {
	key, rest, _ := bytes.Cut(line, []byte(" "))
	var numbers [4]uint64
	for i := range numbers {
		var number []byte
		number, rest, _ = bytes.Cut(rest, []byte(" "))
		n, err := strconv.ParseUint(string(number), 10, 63)
		if err != nil {
			return errList
		}
		numbers[i] = n
	}
	if len(rest) > 0 {
		return errList
	}
	var err error
	*l = Listed{Size: numbers[0], Flags: numbers[1], Expires: int64(numbers[2]), Used: int64(numbers[3])}
	l.Key, err = decode(key)
	return err
}

// decode takes the percent-encoding out, in place.
func decode(key []byte) ([]byte, error) {
	n := 0
	for i := 0; i < len(key); i++ {
		b := key[i]
		if b == '%' {
			if i+2 >= len(key) {
				return nil, errList
			}
			code, err := strconv.ParseUint(string(key[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, errList
			}
			b = byte(code)
			i += 2
		}
		key[n] = b
		n++
	}
	return key[:n], nil
}

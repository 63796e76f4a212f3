package dump

import (
	"bytes"
	"errors"
	"strconv"

	"memcached-backdoor/preload/walk"
)

// list has a line for each item:
//
//	KEY SIZE FLAGS EXPIRES USED[ CLASS TOTAL][ stale][ won]
//
// The key is percent-encoded, the size is that of the value in bytes, and the dates are in seconds
// since 1970: when it expires, 0 for never, and when it was stored or asked for, to a minute. CLASS and
// TOTAL are there if the format is Classes: the slab class, 0 if it is not known, and the bytes of all that memcached
// stores with the item. A stale or won item has these words at the end of its line.
type list struct{ classes bool }

func (list) begin(dst []byte) []byte { return dst }

func (l list) item(dst []byte, i *walk.Item, now int64) []byte {
	dst = append(walk.AppendEncoded(dst, i.Key), ' ')
	dst = append(strconv.AppendInt(dst, int64(i.Size), 10), ' ')
	dst = append(strconv.AppendUint(dst, i.Flags, 10), ' ')
	dst = append(strconv.AppendInt(dst, expires(i, now), 10), ' ')
	dst = strconv.AppendInt(dst, now-i.Idle, 10)
	if l.classes {
		dst = strconv.AppendInt(append(dst, ' '), int64(i.Class), 10)
		dst = strconv.AppendInt(append(dst, ' '), int64(i.Total), 10)
	}
	if i.Stale {
		dst = append(dst, " stale"...)
	}
	if i.Won {
		dst = append(dst, " won"...)
	}
	return append(dst, '\n')
}

func (list) end(dst []byte) []byte { return dst }

// Listed is an item of a List. Dates are in seconds since 1970.
type Listed struct {
	Key     []byte
	Size    uint64 // of the value, in bytes
	Flags   uint64
	Expires int64 // 0: never
	Used    int64 // when it was stored or asked for, to a minute

	Class, Total uint64 // package walk: Item; both are 0 of a List

	Stale, Won bool // package walk: Item
}

var errList = errors.New("not a line of a list of items")

// Parse parses a line of a List, without its line feed. The key is decoded in place, in the line's bytes.
func (l *Listed) Parse(line []byte) error {
	key, rest, _ := bytes.Cut(line, []byte(" "))
	var numbers [6]uint64
	for i := range numbers {
		if i == 4 && (len(rest) == 0 || rest[0] > '9') {
			break // it is a List
		}
		var number []byte
		number, rest, _ = bytes.Cut(rest, []byte(" "))
		n, err := strconv.ParseUint(string(number), 10, 63)
		if err != nil {
			return errList
		}
		numbers[i] = n
	}
	*l = Listed{
		Size: numbers[0], Flags: numbers[1], Expires: int64(numbers[2]), Used: int64(numbers[3]),
		Class: numbers[4], Total: numbers[5],
	}
	switch string(rest) {
	case "":
	case "stale":
		l.Stale = true
	case "won":
		l.Won = true
	case "stale won":
		l.Stale, l.Won = true, true
	default:
		return errList
	}
	var err error
	if l.Key, err = walk.Decode(key); err != nil {
		return errList
	}
	return nil
}

package dump

import (
	"bytes"
	"errors"
	"strconv"

	"memcached-backdoor/preload/walk"
)

// list has a line for each item:
//
//	KEY SIZE FLAGS EXPIRES USED[ class=CLASS total=TOTAL cas=CAS][ extstore][ gone][ stale][ won]
//
// The key is percent-encoded, the size is that of the value in bytes, and the dates are in seconds
// since 1970: when it expires, 0 for never, and when it was stored, or was read and memcached noted that (package walk: Idle). A stale or won
// item has these words at the end of its line.
//
// With details there is the slab class, 0 if it is not known, the bytes of all that memcached stores with the item, and the
// CAS unique, 0 if there is none. A gone item does not exist: of it nothing but the key has a meaning. With values the value
// follows, and a line feed.
type list struct{ details, values bool }

func (list) begin(dst []byte) []byte { return dst }

func (l list) item(dst []byte, i *walk.Item, now int64) []byte {
	dst = l.line(dst, i, now)
	if l.values && !i.Gone {
		dst = append(append(dst, i.Value...), '\n')
	}
	return dst
}

// line is what is before the value.
func (l list) line(dst []byte, i *walk.Item, now int64) []byte {
	dst = append(walk.AppendEncoded(dst, i.Key), ' ')
	dst = append(strconv.AppendInt(dst, int64(i.Size), 10), ' ')
	dst = append(strconv.AppendUint(dst, i.Flags, 10), ' ')
	dst = append(strconv.AppendInt(dst, expires(i, now), 10), ' ')
	dst = strconv.AppendInt(dst, now-i.Idle, 10)
	if l.details {
		dst = strconv.AppendUint(append(dst, " class="...), uint64(i.Class), 10)
		dst = strconv.AppendUint(append(dst, " total="...), uint64(i.Total), 10)
		dst = strconv.AppendUint(append(dst, " cas="...), i.CAS, 10)
		if i.Extstore {
			dst = append(dst, " extstore"...)
		}
		if i.Gone {
			dst = append(dst, " gone"...)
		}
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

// Listed is an item of a List, or of Details. Dates are in seconds since 1970.
type Listed struct {
	Key     []byte
	Size    uint64 // of the value, in bytes
	Flags   uint64
	Expires int64 // 0: never
	Used    int64 // when it was stored, or was read and memcached noted that

	Class, Total               uint64 // of Details; package walk: Item
	CAS                        uint64
	Extstore, Gone, Stale, Won bool // package walk: Item
}

var errList = errors.New("not a line of a list of items")

// Parse parses a line of a List or of Details, without its line feed. The key is decoded in place, in the line's bytes.
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
	*l = Listed{Size: numbers[0], Flags: numbers[1], Expires: int64(numbers[2]), Used: int64(numbers[3])}
	if len(rest) > 0 && !l.parseWords(rest) {
		return errList
	}
	var err error
	if l.Key, err = walk.Decode(key); err != nil {
		return errList
	}
	return nil
}

// parseWords parses the words behind the dates, in their order.
func (l *Listed) parseWords(rest []byte) bool {
	if bytes.HasPrefix(rest, []byte("class=")) {
		for _, number := range []struct {
			name string
			to   *uint64
		}{{"class", &l.Class}, {"total", &l.Total}, {"cas", &l.CAS}} {
			word, behind, more := bytes.Cut(rest, []byte(" "))
			name, value, _ := bytes.Cut(word, []byte("="))
			n, err := strconv.ParseUint(string(value), 10, 64)
			if err != nil || string(name) != number.name || more && len(behind) == 0 {
				return false
			}
			*number.to, rest = n, behind
		}
	}
	for _, word := range []struct {
		name string
		is   *bool
	}{{"extstore", &l.Extstore}, {"gone", &l.Gone}, {"stale", &l.Stale}, {"won", &l.Won}} {
		if string(rest) == word.name {
			*word.is = true
			return true
		}
		if words, ok := bytes.CutPrefix(rest, []byte(word.name+" ")); ok && len(words) > 0 {
			*word.is, rest = true, words
		}
	}
	return len(rest) == 0
}

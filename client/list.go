package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// errListed is returned for an answer that is not a list.
var errListed = errors.New("memcached did not answer with a list of its items")

// list calls each for every selected item of the cache, without its value. each must not keep the
// item's key.
func (d *dumping) list(each func(*dump.Listed)) (*door.Dump, error) {
	var listed uint64
	to, err := pipeTarget(func(r io.Reader) error {
		lines := bufio.NewReaderSize(r, pipeSize)
		for {
			line, err := lines.ReadSlice('\n')
			if err == io.EOF {
				return nil // if the line is not complete, the reply has the reason
			}
			var i dump.Listed
			if err != nil || i.Parse(line[:len(line)-1]) != nil {
				return errListed
			}
			if !i.Gone { // of keys that were asked for
				listed++
			}
			each(&i)
		}
	})
	if err != nil {
		return nil, err
	}
	counts, err := d.dump(to)
	if err == nil && counts.Written != listed {
		err = fmt.Errorf("the counts do not add up: %d items were sent, and %d came", counts.Written, listed)
	}
	return counts, err
}

// left is the time to a date in seconds, at least 0.
func left(date, now int64) int64 { return max(date-now, 0) }

// shownKey is a key in the form that a terminal can show: a quoted Go string if it has a space or a
// byte that is not printable, or begins with a quote.
func shownKey(key []byte) string {
	for at := 0; at < len(key); {
		r, n := utf8.DecodeRune(key[at:])
		if r == utf8.RuneError && n == 1 || r == ' ' || r == '"' && at == 0 || !unicode.IsPrint(r) {
			return strconv.Quote(string(key))
		}
		at += n
	}
	return string(key)
}

// jsonText is a key for JSON: text, or Base64 if it is not UTF-8.
func jsonText(key []byte) (text *string, base64 []byte) {
	if !utf8.Valid(key) {
		return nil, key
	}
	s := string(key)
	return &s, nil
}

// span is a number of seconds with one unit or two, such as 5s, 1h30m or 2d3h.
func span(seconds int64) string {
	const day = 24 * time.Hour
	d := time.Duration(seconds) * time.Second
	if d < day && d.Round(time.Minute) == day {
		d = day // as hours and minutes it would be 24h
	}
	for _, u := range []struct {
		large, small         time.Duration
		largeUnit, smallUnit string
	}{
		{day, time.Hour, "d", "h"}, {time.Hour, time.Minute, "h", "m"}, {time.Minute, time.Second, "m", "s"},
	} {
		if d < u.large {
			continue
		}
		d = d.Round(u.small)
		s := strconv.Itoa(int(d/u.large)) + u.largeUnit
		if rest := d % u.large / u.small; rest > 0 {
			s += strconv.Itoa(int(rest)) + u.smallUnit
		}
		return s
	}
	return strconv.FormatInt(seconds, 10) + "s"
}

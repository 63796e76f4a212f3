package record

import (
	"bytes"
	"strconv"
	"time"
)

// present reports whether a column is used, is there, and is not NULL.
func present(fields []field, column int) bool {
	return column >= 0 && !fields[column].absent && !fields[column].null
}

// word returns the text of a column that has a number, and its offset; -1: the column is absent, NULL or empty. The
// word is empty if it cannot be a number.
func (l *layout) word(data []byte, fields []field, column int) (word []byte, at int) {
	if !present(fields, column) || fields[column].at == fields[column].end {
		return nil, -1
	}
	f := fields[column]
	from := len(l.made)
	if reason, at := l.add(data, f); reason != "" {
		return nil, at
	}
	word = bytes.TrimSpace(l.made[from:])
	l.made = l.made[:from]
	if len(word) > wordMax {
		return nil, f.at
	}
	return word, f.at
}

// wordMax is the length of the longest number: 18446744073709551615.
const wordMax = 20

// number parses a column; at is that of word.
func (l *layout) number(data []byte, fields []field, column int) (n int64, ok bool, at int) {
	word, at := l.word(data, fields, column)
	if at < 0 {
		return 0, false, at
	}
	n, err := strconv.ParseInt(string(word), 10, 64)
	return n, err == nil, at
}

// seconds parses the time to live: seconds, or a duration with a unit, which is rounded up, for memcached's clock ticks
// once a second.
func (l *layout) seconds(data []byte, fields []field) (n int64, ok bool, at int) {
	word, at := l.word(data, fields, l.ttl)
	if at < 0 {
		return 0, false, at
	}
	if n, err := strconv.ParseInt(string(word), 10, 64); err == nil {
		return n, true, at
	}
	d, err := time.ParseDuration(string(word))
	switch {
	case err != nil || d == 0 && bytes.ContainsAny(word, "123456789"): // less than a nanosecond
		return 0, false, at
	case d < 0:
		return -1, true, at
	case d%time.Second > 0:
		d += time.Second
	}
	return int64(d / time.Second), true, at
}

// expireIn sets the row's time to live in seconds; 0: for ever.
func (r *Row) expireIn(seconds int64, at int) Kind {
	switch {
	case seconds < 0:
		r.Reason = Expired
		return Skip
	case seconds > TTLMax:
		return r.reject(BadTTL, at)
	}
	r.TTL = seconds
	return Item
}

// expireAt sets the row's time to live up to a date, in seconds since 1970; 0: for ever.
func (r *Row) expireAt(date int64, at int) Kind {
	if date == 0 {
		r.TTL = 0
		return Item
	}
	left := date - time.Now().Unix()
	if date < 0 || left <= 0 {
		r.Reason = Expired
		return Skip
	}
	return r.expireIn(left, at)
}

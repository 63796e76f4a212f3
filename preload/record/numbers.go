package record

import (
	"bytes"
	"strconv"
	"time"
)

// given says that a column is asked for, is there, and is not NULL.
func given(fields []field, column int) bool {
	return column >= 0 && !fields[column].absent && !fields[column].null
}

// word reads a column that has a number; at is where it stands, -1 if there is none, or it is
// NULL or empty.  What can be no number is empty.
func (l *layout) word(data []byte, fields []field, column int) (word []byte, at int) {
	if !given(fields, column) || fields[column].at == fields[column].end {
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

// wordMax is the length of the longest number.
const wordMax = 20

// number reads a column; at is as word has it.
func (l *layout) number(data []byte, fields []field, column int) (n int64, ok bool, at int) {
	word, at := l.word(data, fields, column)
	if at < 0 {
		return 0, false, at
	}
	n, err := strconv.ParseInt(string(word), 10, 64)
	return n, err == nil, at
}

// seconds reads the time to live: seconds, or a duration with a unit, which is rounded up,
// for memcached's clock ticks once a second.
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
	case err != nil || d == 0 && bytes.ContainsAny(word, "123456789"): // less than it can say
		return 0, false, at
	case d < 0:
		return -1, true, at
	case d%time.Second > 0:
		d += time.Second
	}
	return int64(d / time.Second), true, at
}

// in gives the row so many seconds to live; 0 is for ever.
func (r *Row) in(seconds int64, at int) Kind {
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

// until gives the row until a date, in seconds since 1970; 0 is for ever.
func (r *Row) until(date int64, at int) Kind {
	if date == 0 {
		r.TTL = 0
		return Item
	}
	left := date - time.Now().Unix()
	if date < 0 || left <= 0 {
		r.Reason = Expired
		return Skip
	}
	return r.in(left, at)
}

package record

import (
	"bytes"
	"strconv"
)

// present reports whether a column is used, is there, and is not NULL.
func present(fields []field, column int) bool {
	return column >= 0 && !fields[column].absent && !fields[column].null
}

// word returns the text of a column that has a number or a date, and its offset; -1: the column is absent, NULL or empty. The
// word is empty if it cannot be one.
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

// wordMax is the length of the longest number or date, with room for zeros.
const wordMax = 64

// number parses a column; at is that of word.
func (l *layout) number(data []byte, fields []field, column int) (n int64, ok bool, at int) {
	word, at := l.word(data, fields, column)
	if at < 0 {
		return 0, false, at
	}
	n, err := strconv.ParseInt(string(word), 10, 64)
	return n, err == nil, at
}

package record

import "bytes"

// What can be wrong with an escape.
const (
	BadEscape  Reason = "a backslash with what mysql --batch never writes behind it"
	LoneEscape Reason = "a backslash with nothing behind it"
)

// tabs are rows on a line each, with tabs between the columns.
type tabs struct {
	lines
	null    []byte // what NULL looks like
	escapes *[256]int16
}

// What escapes of one byte stand for; -1: nothing.
var mysqlEscapes, psqlEscapes = escapes(-1, "0\x00t\tn\n\\\\"), escapes(0, "b\bf\fn\nr\rt\tv\v")

// escapes makes a table of pairs; other says what all other bytes stand for: -1 nothing, 0
// themselves.
func escapes(other int16, pairs string) *[256]int16 {
	var table [256]int16
	for i := range table {
		table[i] = int16(i)
		if other < 0 {
			table[i] = other
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		table[pairs[i]] = int16(pairs[i+1])
	}
	return &table
}

func (t *tabs) split(fields []field, row []byte) ([]field, Reason, int) {
	for at := 0; ; {
		end := len(row)
		if n := bytes.IndexByte(row[at:], '\t'); n >= 0 {
			end = at + n
		}
		f := field{at: at, end: end, null: bytes.Equal(row[at:end], t.null)}
		f.coded = t.escapes != nil && bytes.IndexByte(row[at:end], '\\') >= 0
		fields = append(fields, f)
		if end == len(row) {
			return fields, "", 0
		}
		at = end + 1
	}
}

// decode of mysql --batch (client/mysql.cc: safe_put_field), which escapes four bytes.
func (t *tabs) decode(dst, raw []byte) ([]byte, Reason, int) {
	for at := 0; ; {
		n := bytes.IndexByte(raw[at:], '\\')
		if n < 0 {
			return append(dst, raw[at:]...), "", 0
		}
		dst = append(dst, raw[at:at+n]...)
		at += n
		if at+1 == len(raw) {
			return dst, LoneEscape, at
		}
		b := t.escapes[raw[at+1]]
		if b < 0 {
			return dst, BadEscape, at
		}
		dst = append(dst, byte(b))
		at += 2
	}
}

// copied is the text format of PostgreSQL's COPY (its reference, "Text Format").
type copied struct {
	tabs
	dropped bool // a backslash stands at the end of what was dropped that is none itself
}

// next looks for a line feed that is not escaped; a carriage return before it belongs to
// the line's end, for one that is data is always written \r.
func (c *copied) next(data []byte, end bool) (content, size int) {
	for {
		content, size = c.lines.next(data, end)
		if size == 0 {
			return 0, 0
		}
		if content == size || !c.escaped(data[:content]) {
			break
		}
		if c.scanned = size; size == len(data) {
			if end {
				return size, size
			}
			return 0, 0
		}
	}
	c.dropped = false
	if content > 0 && content < size && data[content-1] == '\r' {
		content--
	}
	return content, size
}

func (c *copied) drop(data []byte) {
	c.tabs.drop(data)
	c.dropped = c.escaped(data)
}

// escaped says that a backslash stands at the end of data that is none itself.
func (c *copied) escaped(data []byte) bool {
	before := len(bytes.TrimRight(data, `\`))
	odd := (len(data)-before)%2 == 1
	if before == 0 {
		return odd != c.dropped
	}
	return odd
}

func (c *copied) decode(dst, raw []byte) ([]byte, Reason, int) {
	for at := 0; ; {
		n := bytes.IndexByte(raw[at:], '\\')
		if n < 0 {
			return append(dst, raw[at:]...), "", 0
		}
		dst = append(dst, raw[at:at+n]...)
		at += n + 1
		if at == len(raw) {
			return dst, LoneEscape, at - 1
		}
		b := raw[at]
		switch {
		case '0' <= b && b <= '7':
			var value, digits int
			for ; digits < 3 && at+digits < len(raw) && raw[at+digits]&^7 == '0'; digits++ {
				value = value<<3 | int(raw[at+digits]&7)
			}
			dst, at = append(dst, byte(value)), at+digits
		case b == 'x' && at+1 < len(raw) && hexDigit(raw[at+1]) >= 0:
			value, digits := 0, 1
			for ; digits < 3 && at+digits < len(raw) && hexDigit(raw[at+digits]) >= 0; digits++ {
				value = value<<4 | hexDigit(raw[at+digits])
			}
			dst, at = append(dst, byte(value)), at+digits
		default:
			dst, at = append(dst, byte(c.escapes[b])), at+1
		}
	}
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

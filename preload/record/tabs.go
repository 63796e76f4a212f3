package record

import "bytes"

// tabs are rows on a line each, with columns separated by tabs, or another delimiter.
type tabs struct {
	lines
	escapes
	delimiter byte
	null      []byte  // the text of NULL
	escape    escaper // nil: there are no escapes
}

func (t *tabs) split(fields []field, row []byte) ([]field, Reason, int) {
	for at := 0; ; {
		end := len(row)
		if n := bytes.IndexByte(row[at:], t.delimiter); n >= 0 {
			end = at + n
		}
		f := field{at: at, end: end, null: bytes.Equal(row[at:end], t.null)}
		f.coded = t.escape != nil && bytes.IndexByte(row[at:end], '\\') >= 0
		fields = append(fields, f)
		if end == len(row) {
			t.count(row[at:]) // most often this is the value
			return fields, "", 0
		}
		at = end + 1
	}
}

func (t *tabs) notes() []string {
	if t.escape != nil {
		return t.lineEnds()
	}
	return t.escapes.notes()
}

func (t *tabs) unescape(dst, raw []byte) ([]byte, Reason, int) { return unescape(dst, raw, t.escape) }

// copyText is the text format of PostgreSQL's COPY (its reference, "Text Format").
type copyText struct {
	tabs
	escapeDropped bool // what was dropped ends with a backslash that escapes what follows
}

// next looks for a line feed that is not escaped. A carriage return before it belongs to the line end, for in data it
// is always written \r.
func (c *copyText) next(data []byte, eof bool) (content, size int) {
	for {
		content, size = c.lines.next(data, eof)
		if size == 0 {
			return 0, 0
		}
		if content == size || !c.escaped(data[:content]) {
			break
		}
		if c.scanned = size; size == len(data) {
			if eof {
				return size, size
			}
			return 0, 0
		}
	}
	c.escapeDropped = false
	if content > 0 && content < size && data[content-1] == '\r' {
		content--
	}
	return content, size
}

// split takes a tab behind a backslash for a part of its field, as COPY does.
func (c *copyText) split(fields []field, row []byte) ([]field, Reason, int) {
	for at := 0; ; {
		end := at
		for {
			n := bytes.IndexByte(row[end:], '\t')
			if n < 0 {
				end = len(row)
				break
			}
			if end += n; !endsEscaping(row[at:end]) {
				break
			}
			end++
		}
		f := field{at: at, end: end, null: bytes.Equal(row[at:end], c.null)}
		f.coded = bytes.IndexByte(row[at:end], '\\') >= 0
		fields = append(fields, f)
		if end == len(row) {
			return fields, "", 0
		}
		at = end + 1
	}
}

func (c *copyText) drop(data []byte) {
	c.tabs.drop(data)
	c.escapeDropped = c.escaped(data)
}

// escaped reports whether data ends with a backslash that is not escaped itself.
func (c *copyText) escaped(data []byte) bool {
	odd := endsEscaping(data)
	if len(bytes.TrimRight(data, `\`)) == 0 {
		return odd != c.escapeDropped
	}
	return odd
}

// endsEscaping reports whether data ends with an odd number of backslashes, of which the last escapes what follows.
func endsEscaping(data []byte) bool {
	n := len(data)
	for n > 0 && data[n-1] == '\\' {
		n--
	}
	return (len(data)-n)%2 == 1
}

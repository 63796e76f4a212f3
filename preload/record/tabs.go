package record

import "bytes"

// tabs are rows on a line each, with tabs between the columns.
type tabs struct {
	lines
	null   []byte  // what NULL looks like
	escape escaper // nil: there are no escapes
}

func (t *tabs) split(fields []field, row []byte) ([]field, Reason, int) {
	for at := 0; ; {
		end := len(row)
		if n := bytes.IndexByte(row[at:], '\t'); n >= 0 {
			end = at + n
		}
		f := field{at: at, end: end, null: bytes.Equal(row[at:end], t.null)}
		f.coded = t.escape != nil && bytes.IndexByte(row[at:end], '\\') >= 0
		fields = append(fields, f)
		if end == len(row) {
			return fields, "", 0
		}
		at = end + 1
	}
}

func (t *tabs) decode(dst, raw []byte) ([]byte, Reason, int) { return unescape(dst, raw, t.escape) }

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

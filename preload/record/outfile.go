package record

import "bytes"

// The reasons to reject a row of the format outfile.
const (
	CarriageEnd Reason = "a carriage return behind the closing quote: export with LINES TERMINATED BY a line feed alone"
	TwoQuotes   Reason = "two quotes without an escape character: INTO OUTFILE means both, LOAD DATA one, as --from csv does"
)

// outfile is what SELECT … INTO OUTFILE and mysqldump --tab write, read by the rules of LOAD DATA (MariaDB's
// sql/sql_load.cc: READ_INFO::read_field and read_sep_field, sql/sql_class.cc: select_export::send_data). The rules are
// those for bytes, CHARACTER SET binary. What LOAD DATA would guess is rejected: an enclosed field without an end, an
// escape character at the end of the input, and the two reasons above.
//
// Called with more of the input, next continues where it stopped: a row may be long.
type outfile struct {
	dialect
	null    []byte // the text of NULL in a field that is not enclosed; empty: there is none
	state   quotedState
	scanned int // bytes that state is about
	line    int // between scanned and this there is no line feed that ends a row
	// escapeDropped says that what was dropped ends with an escape character that escapes what follows.
	escapeDropped bool
}

func newOutfile(d dialect) *outfile {
	o := &outfile{dialect: d}
	if d.quote != 0 || d.escape == 0 {
		o.null = []byte("NULL")
	}
	return o
}

func (o *outfile) next(data []byte, eof bool) (content, size int) {
	for o.scanned < len(data) {
		first := data[o.scanned]
		switch o.state {
		case fieldBegins:
			o.state = unquoted
			if o.quote != 0 && first == o.quote {
				o.state = inQuotes
				o.scanned++
			}
		case inQuotes:
			o.scanned = o.index(data, o.quote, o.scanned) + 1
			if o.scanned == 0 {
				o.scanned = len(data)
				continue
			}
			o.state = quoteSeen
		case quoteSeen:
			switch first {
			case '\n':
				return o.end(o.scanned, o.scanned+1)
			case '\r':
				o.state = carriageSeen
			case o.delimiter:
				o.state = fieldBegins
			case o.quote:
				o.state = inQuotes
			default: // the quote is data, and this may be an escape
				o.state = inQuotes
				continue
			}
			o.scanned++
		case carriageSeen:
			if first == '\n' {
				return o.end(o.scanned, o.scanned+1)
			}
			o.state = inQuotes
		case unquoted:
			o.line = max(o.line, o.scanned)
			if o.line = o.index(data, '\n', o.line); o.line < 0 {
				o.line = len(data)
			}
			if o.quote != 0 { // else no field needs to be known
				if n := o.index(data[:o.line], o.delimiter, o.scanned); n >= 0 {
					o.scanned = n + 1
					o.state = fieldBegins
					continue
				}
			}
			if o.line < len(data) {
				return o.end(o.line, o.line+1)
			}
			o.scanned = len(data)
		}
	}
	if !eof {
		return 0, 0
	}
	return o.end(len(data), len(data))
}

// end ends the row.
func (o *outfile) end(content, size int) (int, int) {
	o.state, o.scanned, o.line, o.escapeDropped = fieldBegins, 0, 0, false
	return content, size
}

func (o *outfile) drop(data []byte) {
	o.escapeDropped = o.escaped(data)
	o.scanned = max(o.scanned-len(data), 0)
	o.line = max(o.line-len(data), 0)
}

// index finds a byte that is not escaped; -1: there is none. No field is known to end before from.
func (o *outfile) index(data []byte, b byte, from int) int {
	for {
		n := bytes.IndexByte(data[from:], b)
		if n < 0 {
			return -1
		}
		if n += from; o.escape == 0 || !o.escaped(data[:n]) {
			return n
		}
		from = n + 1
	}
}

// escaped reports whether data ends with an odd number of escape characters, of which the last escapes what follows. No
// other character of the dialect is one, so that it does not matter where the field begins.
func (o *outfile) escaped(data []byte) bool {
	n := len(data)
	for n > 0 && o.escape != 0 && data[n-1] == o.escape {
		n--
	}
	odd := (len(data)-n)%2 == 1
	return odd != (n == 0 && o.escapeDropped)
}

func (o *outfile) split(fields []field, row []byte) ([]field, Reason, int) {
	for at := 0; ; {
		var end int // of the field
		f := field{at: at}
		if o.quote != 0 && at < len(row) && row[at] == o.quote {
			var reason Reason
			var bad int
			if f, end, reason, bad = o.enclosed(row, at); reason != "" {
				return fields, reason, bad
			}
		} else {
			if end = o.index(row, o.delimiter, at); end < 0 {
				end = len(row)
			}
			f.end = end
			f.coded = o.escape != 0 && bytes.IndexByte(row[at:end], o.escape) >= 0
			f.null = o.isNull(row[at:end], f.coded)
		}
		fields = append(fields, f)
		if end == len(row) {
			return fields, "", 0
		}
		at = end + 1
	}
}

// enclosed is the field whose opening quote is at an offset, and end what is behind its closing one. If the field is
// coded it has the opening quote, which tells unescape that quotes are doubled.
func (o *outfile) enclosed(row []byte, at int) (f field, end int, reason Reason, bad int) {
	f.at = at + 1
	for n := at + 1; ; n++ {
		if n = o.index(row, o.quote, n); n < 0 {
			return f, 0, OpenQuote, at
		}
		if n+1 == len(row) || row[n+1] == o.delimiter {
			f.end = n
			break
		}
		switch {
		case row[n+1] == o.quote && o.escape == 0:
			return f, 0, TwoQuotes, n
		case row[n+1] == o.quote:
			f.coded = true
			n++
		case row[n+1] == '\r' && n+2 == len(row):
			return f, 0, CarriageEnd, n + 1
		}
	}
	text := row[f.at:f.end]
	if o.escape != 0 && bytes.IndexByte(text, o.escape) >= 0 {
		f.coded = true
		f.null = o.isEscapedN(text)
	}
	if f.coded && !f.null {
		f.at = at
	}
	return f, f.end + 1, "", 0
}

func (o *outfile) isEscapedN(text []byte) bool {
	return len(text) == 2 && text[0] == o.escape && text[1] == 'N'
}

// isNull reports whether a field that is not enclosed is NULL. LOAD DATA looks for the word when it has unescaped the
// field.
func (o *outfile) isNull(text []byte, coded bool) bool {
	switch {
	case !coded:
		return len(o.null) > 0 && bytes.Equal(text, o.null)
	case o.isEscapedN(text):
		return true
	case len(o.null) == 0 || len(text) > 2*len(o.null):
		return false
	}
	plain, reason, _ := o.unescape(make([]byte, 0, 8), text)
	return reason == "" && bytes.Equal(plain, o.null)
}

func (o *outfile) unescape(dst, raw []byte) (_ []byte, reason Reason, bad int) {
	at := 0
	doubled := o.quote != 0 && len(raw) > 0 && raw[0] == o.quote
	if doubled {
		at = 1
	}
	for {
		n := bytes.IndexByte(raw[at:], o.escape)
		end := at + n
		if n < 0 {
			end = len(raw)
		}
		if doubled {
			dst = appendSingle(dst, raw[at:end], o.quote)
		} else {
			dst = append(dst, raw[at:end]...)
		}
		switch {
		case n < 0:
			return dst, "", 0
		case end+1 == len(raw):
			return dst, LoneEscape, end
		}
		dst = append(dst, outfileEscape(raw[end+1]))
		at = end + 2
	}
}

// appendSingle appends a text with one quote for each doubled one.
func appendSingle(dst, text []byte, quote byte) []byte {
	for {
		n := bytes.IndexByte(text, quote)
		if n < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:n+1]...)
		if text = text[n+1:]; len(text) > 0 && text[0] == quote {
			text = text[1:]
		}
	}
}

// outfileEscape is what a byte behind the escape character stands for (sql/sql_load.cc: READ_INFO::unescape). N is NULL
// if the field has nothing else, and any other byte itself.
func outfileEscape(b byte) byte {
	switch b {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 0x1a
	}
	return b
}

package record

import "bytes"

// The reasons to reject a row of CSV.
const (
	BareQuote  Reason = "a quote in a field that does not begin with one"
	AfterQuote Reason = "text behind the closing quote"
	OpenQuote  Reason = "a quote that is not closed"
)

// quoted is CSV (RFC 4180), with the quote and the delimiter of its dialect; a line feed alone is a line end, too.
//
// Called with more of the input, next continues where it stopped: a row may be long.
type quoted struct {
	dialect
	state   quotedState
	scanned int  // bytes that state is about
	line    int  // between scanned and this there is no line feed
	quotes  bool // the row that was split has a field in quotes

	backslashes
}

type quotedState int

const (
	fieldBegins quotedState = iota
	unquoted
	inQuotes
	quoteSeen    // in quotes: the closing one, or the first half of a doubled one
	carriageSeen // behind a quote (outfile)
)

func (q *quoted) next(data []byte, eof bool) (content, size int) {
	for q.scanned < len(data) {
		rest := data[q.scanned:]
		switch q.state {
		case fieldBegins:
			q.state = unquoted
			if rest[0] == q.quote && q.quote != 0 {
				q.state = inQuotes
				q.scanned++
			}
		case inQuotes:
			n := bytes.IndexByte(rest, q.quote)
			if n < 0 {
				q.scanned = len(data)
				continue
			}
			q.scanned += n + 1
			q.state = quoteSeen
		case quoteSeen:
			q.state = unquoted // behind the closing quote
			if rest[0] == q.quote {
				q.state = inQuotes
				q.scanned++
			}
		case unquoted:
			q.line = max(q.line, q.scanned)
			if n := bytes.IndexByte(data[q.line:], '\n'); n >= 0 {
				q.line += n
			} else {
				q.line = len(data)
			}
			if n := bytes.IndexByte(data[q.scanned:q.line], q.delimiter); n >= 0 {
				q.scanned += n + 1
				q.state = fieldBegins
				continue
			}
			if q.line == len(data) {
				q.scanned = len(data)
				continue
			}
			content, size = q.line, q.line+1
			q.restart()
			if content > 0 && data[content-1] == '\r' {
				content--
			}
			return content, size
		}
	}
	if !eof {
		return 0, 0
	}
	open := q.state == inQuotes
	q.restart()
	content = len(data)
	if !open && content > 0 && data[content-1] == '\r' {
		content--
	}
	return content, len(data)
}

func (q *quoted) restart() { q.state, q.scanned, q.line = fieldBegins, 0, 0 }

func (q *quoted) drop(data []byte) {
	q.scanned = max(q.scanned-len(data), 0)
	q.line = max(q.line-len(data), 0)
}

func (q *quoted) split(fields []field, row []byte) ([]field, Reason, int) {
	q.quotes = false
	for at := 0; ; {
		if at < len(row) && row[at] == q.quote && q.quote != 0 {
			q.quotes = true
			f := field{at: at + 1}
			for f.end = f.at; ; {
				n := bytes.IndexByte(row[f.end:], q.quote)
				if n < 0 {
					return fields, OpenQuote, at
				}
				f.end += n
				if f.end+1 == len(row) || row[f.end+1] != q.quote {
					break
				}
				f.coded = true
				f.end += 2
			}
			fields = append(fields, f)
			at = f.end + 1
			if at < len(row) && row[at] != q.delimiter {
				return fields, AfterQuote, at
			}
		} else {
			f := field{at: at, end: len(row)}
			if n := bytes.IndexByte(row[at:], q.delimiter); n >= 0 {
				f.end = at + n
			}
			if n := bytes.IndexByte(row[at:f.end], q.quote); n >= 0 && q.quote != 0 {
				return fields, BareQuote, at + n
			}
			f.null = f.at == f.end
			fields = append(fields, f)
			at = f.end
		}
		if at == len(row) {
			return fields, "", 0
		}
		at++
	}
}

// unescape makes one quote of each doubled one; there are no others.
func (q *quoted) unescape(dst, raw []byte) ([]byte, Reason, int) {
	for {
		n := bytes.IndexByte(raw, q.quote)
		if n < 0 {
			return append(dst, raw...), "", 0
		}
		dst = append(dst, raw[:n+1]...)
		raw = raw[n+2:]
	}
}

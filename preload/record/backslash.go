package record

import "bytes"

// The reasons to reject a row of CSV whose backslashes are not data, but escapes, as INTO OUTFILE writes them.
const (
	OutfileNull  Reason = "NULL as INTO OUTFILE writes it: --from outfile reads it, --escape none takes a backslash for data"
	OutfileLine  Reason = "a backslash before each line feed, as INTO OUTFILE writes it: --from outfile reads it, --escape none takes it for data"
	OutfileQuote Reason = "a backslash before a quote: --from outfile reads what INTO OUTFILE writes"
)

// backslashes tells CSV, in which a backslash is data, from what INTO OUTFILE writes with a delimiter and a quote. Many
// rows of the one could be rows of the other. What is certain is
//   - \N without quotes: no other writer of CSV writes that, unless it was told to;
//   - that the input is CSV behind a row with a doubled quote, with a line feed in quotes that has no backslash in front,
//     or with a backslash before a byte that INTO OUTFILE does not escape.
//
// A line feed behind a backslash, in quotes, can be either. It is rejected until the input is known to be CSV.
type backslashes struct {
	data   bool // an option says that a backslash is data
	proven bool // a row has shown it
}

// judge returns the reason to reject a row: its own, named for what it is, or that of its backslashes.
func (q *quoted) judge(fields []field, row []byte, reason Reason, at int) (Reason, int) {
	if q.backslashes.data {
		return reason, at
	}
	found := bytes.IndexByte(row, '\\') >= 0
	switch {
	case reason != "":
		if found && !q.backslashes.proven && (reason == AfterQuote || reason == OpenQuote) && bytes.Contains(row, []byte{'\\', q.quote}) {
			reason = OutfileQuote
		}
		return reason, at
	case !found:
		if !q.backslashes.proven {
			q.backslashes.proven = bytes.IndexByte(row, '\n') >= 0 || anyCoded(fields)
		}
		return "", 0
	}
	escaped := -1
	for _, f := range fields {
		text, enclosed := row[f.at:f.end], q.encloses(row, f)
		if !enclosed && string(text) == `\N` {
			return OutfileNull, f.at
		}
		if q.backslashes.proven {
			continue
		}
		var line int
		if line, q.backslashes.proven = q.read(text, enclosed); line >= 0 {
			escaped = f.at + line
		}
	}
	if escaped >= 0 && !q.backslashes.proven {
		return OutfileLine, escaped
	}
	return "", 0
}

func anyCoded(fields []field) bool {
	for i := range fields {
		if fields[i].coded {
			return true
		}
	}
	return false
}

// read looks for a line feed that is escaped, if backslashes are escapes, and for proof that they are not.
func (q *quoted) read(text []byte, enclosed bool) (line int, proven bool) {
	line = -1
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\n', q.quote: // a doubled one
			return line, true
		case '\\':
			if at++; at == len(text) {
				return line, enclosed // an escaped quote would not be the closing one
			}
			switch text[at] {
			case '\\', '0':
			case '\r', '\n':
				if bytes.HasPrefix(text[at:], []byte("\r\n")) {
					at++
				}
				line = at
			case q.quote:
				at++
			default:
				return line, true
			}
		}
	}
	return line, false
}

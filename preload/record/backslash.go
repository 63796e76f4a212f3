package record

import "bytes"

// The reasons to reject a row of CSV whose backslashes are not data, but escapes, as INTO OUTFILE writes them.
const (
	OutfileLine  Reason = "a backslash before each line feed, as INTO OUTFILE writes it: --from outfile reads it, --escape none takes it for data"
	OutfileQuote Reason = "a backslash before a quote: --from outfile reads what INTO OUTFILE writes"
)

// backslashes tells CSV, in which a backslash is data, from what INTO OUTFILE writes with a delimiter and a quote. Many
// rows of the one could be rows of the other. The input is proven to be CSV by a doubled quote, by a line feed in quotes
// that has no backslash in front, and by a backslash before a byte that INTO OUTFILE does not escape. Until then
//   - \N without quotes is certain to be a NULL of INTO OUTFILE, as far as any field is: the load fails;
//   - a line feed behind a backslash, in quotes, can be either: the row is rejected.
type backslashes struct {
	proven bool // a row has shown that a backslash is data, or an option says it
}

// judge returns the reason to reject a row that can be either: its own, named for what it is, or that of its backslashes.
// null says that it has a NULL of INTO OUTFILE.
func (q *quoted) judge(fields []field, row []byte, reason Reason, at int) (_ Reason, _ int, null bool) {
	found := bytes.IndexByte(row, '\\') >= 0
	switch {
	case reason != "":
		if found && (reason == AfterQuote || reason == OpenQuote) && bytes.Contains(row, []byte{'\\', q.quote}) {
			reason = OutfileQuote
		}
		return reason, at, false
	case !found && !q.quotes:
		return "", 0, false
	case !found:
		q.proven = bytes.IndexByte(row, '\n') >= 0 || anyCoded(fields)
		return "", 0, false
	}
	escaped := -1
	for _, f := range fields {
		text, enclosed := row[f.at:f.end], q.encloses(row, f)
		null = null || !enclosed && string(text) == `\N`
		line, proven := q.read(text, enclosed)
		if proven {
			q.proven = true
			return "", 0, false
		}
		if line >= 0 {
			escaped = f.at + line
		}
	}
	if escaped >= 0 {
		return OutfileLine, escaped, null
	}
	return "", 0, null
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
			case 'N':
				if enclosed || len(text) > 2 {
					return line, true
				}
			default:
				return line, true
			}
		}
	}
	return line, false
}

package record

import (
	"bytes"
	"fmt"
	"strings"
)

// escapes counts, in values that are stored as they are, what looks like another format's escapes, or like the line end
// of another system. It looks at the first values only, and costs nothing behind them.
type escapes struct {
	looked  int // values that were looked at
	escaped int // of them, those that have a backslash
	mysql   int // of these, those that mysql --batch may have written
	copy    int // those that COPY may have written
	nulls   int // values that are \N
	returns int // values that end with a carriage return
}

// escapesLooked is how many values are looked at.
const escapesLooked = 4096

// ignore is for values that are not stored as they are.
func (e *escapes) ignore() { e.looked = escapesLooked }

// count counts a value. It is small so that it is inlined: there is one for each row.
func (e *escapes) count(value []byte) {
	if e.looked < escapesLooked {
		e.look(value)
	}
}

func (e *escapes) look(value []byte) {
	e.looked++
	if bytes.HasSuffix(value, []byte("\r")) {
		e.returns++
	}
	switch at := bytes.IndexByte(value, '\\'); {
	case at < 0:
	case string(value) == `\N`:
		e.nulls++
	case value[0] == '{' || value[0] == '[' || value[0] == '"': // JSON has the same escapes
	default:
		e.escaped++
		if onlyEscapes(value[at:], mysqlWrites) {
			e.mysql++
		}
		if onlyEscapes(value[at:], copyWrites) {
			e.copy++
		}
	}
}

// What the formats write behind a backslash: client/mysql.cc: safe_put_field; copyto.c: CopyAttributeOutText.
const (
	mysqlWrites = `0tn\`
	copyWrites  = `bfnrtv\`
)

// onlyEscapes reports whether behind each backslash of a value there is one of letters.
func onlyEscapes(value []byte, letters string) bool {
	for {
		at := bytes.IndexByte(value, '\\')
		if at < 0 {
			return true
		}
		if at+1 == len(value) || strings.IndexByte(letters, value[at+1]) < 0 {
			return false
		}
		value = value[at+2:]
	}
}

// notes says what looks like another format. One backslash that a format does not write shows that the others are
// plain bytes.
func (e *escapes) notes() (notes []string) {
	if e.nulls > 0 {
		notes = append(notes, fmt.Sprintf(`%d of %d values that were looked at are \N, and are stored as these two bytes: COPY of PostgreSQL writes so for NULL, and --from psql reads it`, e.nulls, e.looked))
	}
	const escaped = `%d of %d values that were looked at have backslashes as %s writes them (such as \n), and are stored with them: --from %s takes the escapes back`
	switch {
	case e.escaped == 0:
	case e.mysql == e.escaped && e.nulls == 0:
		notes = append(notes, fmt.Sprintf(escaped, e.escaped, e.looked, "mysql --batch", MySQL))
	case e.copy == e.escaped:
		notes = append(notes, fmt.Sprintf(escaped, e.escaped, e.looked, "COPY", PSQL))
	}
	return append(notes, e.lineEnds()...)
}

// lineEnds says if every value ends with a carriage return.
func (e *escapes) lineEnds() []string {
	if e.looked == 0 || e.returns < e.looked {
		return nil
	}
	return []string{"every value that was looked at ends with a carriage return, and is stored with it: if these are line ends of Windows, take them off (tr -d '\\r')"}
}

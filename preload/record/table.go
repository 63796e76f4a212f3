package record

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// The reasons to reject a row of a table.
const (
	NoColumn   Reason = "fewer columns than expected"
	MoreColumn Reason = "more columns than expected"
	NotUTF8    Reason = "not UTF-8, which JSON must be"
	NotJSON    Reason = "a column of --json-columns is not JSON"
)

// A splitter splits rows into fields.
type splitter interface {
	frame
	// split appends the fields of a row; with a reason, at is the offset of what is rejected.
	split(fields []field, row []byte) (_ []field, reason Reason, at int)
	unescape(dst, raw []byte) (_ []byte, reason Reason, bad int)
}

// table is a format whose columns have an order, and may have a header.
type table struct {
	splitter
	layout
	names   []string // the header's
	index   []int    // of layout.columns in the row; nil: not known yet
	last    int      // the largest index
	inOrder bool     // index is 0, 1, …
	isJSON  []bool   // by a field's index: it holds JSON itself; nil: none does
	fields  []field  // of the row
	chosen  []field  // of these, layout.columns
	field   []byte   // the text of one of them

	headerCut bool // the header was too long

	// Of csv: what the first row may change; nil: it has been parsed.
	first  *dialect
	quoted *quoted // the splitter, if it is that; else nil
	isDump bool    // the first row was dumpHeader

	delimiterNote string // what a person should know of the delimiter that was chosen; "": nothing

	// Of psql: the next line is the input's first, or behind \. , which ends the rows of a table.
	outside, second bool
}

func newTable(l layout, s splitter) *table {
	l.unescape = s.unescape
	if t, ok := s.(*tabs); ok && l.options.Decode != "" {
		t.ignore()
	}
	return &table{layout: l, splitter: s, outside: true}
}

// dumpHeader is the first row of a dump as CSV (package dump: table).
const dumpHeader = "key,value,flags,expires"

// isDumpHeader reports whether the first row is that of a dump, and no option says what the columns are.
func (t *table) isDumpHeader(content []byte) bool {
	o := &t.options
	return !o.Header && o.Delimiter+o.Quote+o.Escape+o.Key+o.Value+o.TTLColumn+o.ExpiresColumn+o.FlagsColumn == "" && string(content) == dumpHeader
}

// readDump makes the columns those of a dump. Its keys are in it as they are, so that they may be binary ones.
func (t *table) readDump() {
	o := t.options
	o.Header, o.Key, o.Value, o.FlagsColumn, o.ExpiresColumn = true, "key", "value", "flags", "expires"
	t.layout, _ = newLayout(&o) // the header has all of them
	t.layout.unescape, t.anyKey, t.isDump = t.splitter.unescape, true, true
	t.quoted.proven = true
}

func (t *table) parse(content []byte, row *Row) Kind {
	t.made = t.made[:0]
	switch {
	case t.options.Format == CSV && len(content) == 0:
		return Nothing // an empty line, which readers of CSV leave out
	case t.options.Format == PSQL && (t.outside || string(content) == `\.`):
		if kind, ended := t.between(content, row); ended {
			return kind
		}
	case t.first != nil:
		if kind, ended := t.begin(content, row); ended {
			return kind
		}
	}
	var reason Reason
	var at int
	t.fields, reason, at = t.split(t.fields[:0], content)
	if t.index == nil && t.options.Header {
		return t.header(content, row, reason, at)
	}
	if t.quoted != nil && !t.quoted.proven {
		var null bool
		if reason, at, null = t.quoted.judge(t.fields, content, reason, at); null {
			return row.fail(option.Errorf("--from outfile "+t.quoted.options()+" reads it; with --escape none a backslash is data",
				`this is what SELECT … INTO OUTFILE writes, not RFC 4180: \N without quotes in the row %s`, clip.Quote(content)))
		}
	}
	switch {
	case reason == OpenQuote:
		return row.rejectFor(reason, at, "line feeds in it: %d", bytes.Count(content[at:], lineFeed))
	case reason != "":
		return row.rejectNear(reason, content, at)
	}
	if t.index == nil {
		_ = t.resolve() // no name can be missing: columns are numbers without a header
	}
	if n := t.expected(); len(t.fields) < n {
		return row.rejectFor(NoColumn, len(content), "%d instead of %d", len(t.fields), n)
	} else if len(t.fields) > n && (t.names != nil || t.pair()) {
		return row.rejectFor(MoreColumn, t.fields[n].at, "%d instead of %d", len(t.fields), n)
	}
	chosen := t.choose()
	kind := t.record(row, content, chosen)
	if kind == Item && t.json {
		kind = t.object(content, row)
	}
	if kind == Reject {
		t.known(row, content, chosen)
	}
	return kind
}

// between parses a line outside of a table's rows, of psql; false: it is a row. More rows may follow the end mark,
// but not with another header, whose columns may be others.
func (t *table) between(content []byte, row *Row) (kind Kind, ended bool) {
	switch {
	case string(content) == `\.`:
		t.outside, t.second = true, true
		return Nothing, true
	case t.second && len(content) == 0:
		return Nothing, true
	case isScript(content):
		return row.fail(option.Errorf(`export a table with psql -c "COPY (SELECT …) TO STDOUT"`, "this is an SQL script, as pg_dump writes, not the rows of COPY: %s", clip.Quote(content))), true
	case t.second && t.options.Header:
		return row.fail(option.Errorf("load each table by itself", `behind \. is another table, whose columns the header does not name`)), true
	}
	t.outside = false
	return 0, false
}

// pair reports whether neither the key nor the value is an option: the row then has two columns for them, and no others
// but those that are options.
func (t *table) pair() bool { return t.options.Key == "" && t.options.Value == "" }

// expected is the number of a row's columns: those of the header, or up to the last that is used.
func (t *table) expected() int { return max(len(t.names), t.last+1) }

func (t *table) notes() (notes []string) {
	if t.isDump {
		return []string{"the first line is that of a dump: the columns are key, value, flags and expires"}
	}
	if n, ok := t.splitter.(noter); ok {
		notes = n.notes()
	}
	if t.delimiterNote != "" {
		notes = append(notes, t.delimiterNote)
	}
	return append(notes, t.dates.notes()...)
}

// choose returns the fields that are layout.columns.
func (t *table) choose() []field {
	if t.inOrder {
		return t.fields[:len(t.index)]
	}
	t.chosen = t.chosen[:0]
	for _, i := range t.index {
		t.chosen = append(t.chosen, t.fields[i])
	}
	return t.chosen
}

// header takes the names of the columns from the first row. It fails if they cannot be names.
func (t *table) header(content []byte, row *Row, reason Reason, at int) Kind {
	if t.headerCut {
		return row.fail(option.Errorf("", "the header is too long"))
	}
	var names []string
	if reason == "" {
		names, reason, at = t.readNames(content)
	}
	if reason != "" {
		return row.fail(option.Errorf("", "the header is malformed at byte %d: %s", at+1, reason))
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) && (t.json || slices.Contains(t.columns, name)) {
			return row.fail(option.Errorf("without --header columns have numbers", "the header has two columns %s", clip.Quote(name)))
		}
	}
	t.names, row.Header = names, true
	err := t.resolve()
	if t.pair() && (len(names) < 2 || err == nil && len(names) != t.last+1) {
		return row.fail(option.Errorf("--key and --value choose columns; a row as JSON is --value json",
			"the header has %d columns, not just a key and a value: %s", len(names), shown(names)))
	}
	if err != nil {
		return row.fail(err)
	}
	return Nothing
}

// readNames reads the fields of the header.
func (t *table) readNames(content []byte) (names []string, reason Reason, at int) {
	for _, f := range t.fields {
		f.null = false                                 // a name may look like a NULL
		f.coded = f.coded && t.options.Format != MySQL // mysql --batch does not escape names
		t.made = t.made[:0]
		if reason, at = t.add(content, f); reason == "" && t.json && !utf8.Valid(t.made) {
			reason, at = NotUTF8, f.at
		}
		if reason != "" {
			return nil, reason, at
		}
		names = append(names, string(t.made))
	}
	return names, "", 0
}

func (r *Row) fail(err error) Kind {
	r.Err = err
	return Failed
}

// resolve finds the columns that are used. A number is a column also if there are names.
func (t *table) resolve() error {
	t.index, t.last, t.inOrder = make([]int, 0, len(t.columns)), -1, true
	for i, name := range t.columns {
		at := slices.Index(t.names, name)
		if at < 0 {
			n, ok := columnNumber(name)
			if !ok || t.names != nil && n > len(t.names) {
				return option.Errorf("the header has "+shown(t.names), "there is no column %q", name)
			}
			at = n - 1
		}
		t.index = append(t.index, at)
		t.inOrder = t.inOrder && at == i
		t.last = max(t.last, at)
	}
	if len(t.jsonColumns) > 0 {
		t.isJSON = make([]bool, len(t.names))
		for _, column := range t.jsonColumns {
			t.isJSON[t.index[column]] = true
		}
	}
	return nil
}

// shown lists names for a message.
func shown(names []string) string {
	const most = 20
	quoted := make([]string, 0, most+1)
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, clip.Quote(name))
	}
	if len(names) > most {
		quoted = append(quoted, "…")
	}
	return strings.Join(quoted, ", ")
}

// cut takes the key from the beginning of a row, whose last field is not complete.
func (t *table) cut(beginning []byte, row *Row) Kind {
	t.made = t.made[:0]
	if t.index == nil && t.options.Header {
		t.headerCut = true
		return row.tooLong()
	}
	if t.index == nil {
		_ = t.resolve()
	}
	var reason Reason
	switch t.fields, reason, _ = t.split(t.fields[:0], beginning); reason {
	case "":
		t.fields = t.fields[:len(t.fields)-1] // more of it may come
	case OpenQuote: // fields is without the last one
	default:
		return row.tooLong()
	}
	t.chosen = t.chosen[:0]
	for _, i := range t.index {
		f := field{absent: true}
		if i < len(t.fields) {
			f = t.fields[i]
		}
		t.chosen = append(t.chosen, f)
	}
	if t.recordKey(row, beginning, t.chosen) != Item {
		return row.tooLong()
	}
	row.Command, row.Flags, row.TTL = t.options.command, t.options.Flags, t.options.TTL
	return Item
}

// object makes the value a JSON object of the row, with the header's names.
func (t *table) object(content []byte, row *Row) Kind {
	from := len(t.made)
	t.made = append(t.made, '{')
	for i, f := range t.fields {
		if i > 0 {
			t.made = append(t.made, ',')
		}
		t.made = append(appendJSON(t.made, []byte(t.names[i])), ':')
		isJSON := t.isJSON != nil && t.isJSON[i]
		if f.null && (isJSON || t.options.Null != NullLiteral) { // the text of a NULL is not JSON in any format
			t.made = append(t.made, "null"...)
			continue
		}
		// The field is unescaped at the end of made, and then written there as JSON.
		at := len(t.made)
		if reason, bad := t.add(content, f); reason != "" {
			return row.rejectNear(reason, content[:f.end], bad)
		}
		text := t.made[at:]
		if bad := invalidUTF8(text); bad >= 0 {
			return row.rejectFor(NotUTF8, f.at, "byte %#02x in %s", text[bad], clip.Quote(t.names[i]))
		}
		if !isJSON {
			t.field = append(t.field[:0], text...)
			t.made = appendJSON(t.made[:at], t.field)
		} else if !json.Valid(text) {
			return row.rejectFor(NotJSON, f.at, "%s is %s", clip.Quote(t.names[i]), clip.Quote(text))
		}
		if len(t.made)-from > t.options.ValueMax {
			row.Oversize = true
			break
		}
	}
	t.made = append(t.made, '}')
	row.Value = made(t.made[from:len(t.made):len(t.made)])
	row.Oversize = row.Oversize || row.Value.Len > t.options.ValueMax
	return Item
}

// appendJSON appends a text in UTF-8 as a JSON string.
func appendJSON(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, b := range text {
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}

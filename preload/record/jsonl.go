package record

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// The reasons to reject a row of JSON.
const (
	BadJSON    Reason = "not a JSON object"
	OpenObject Reason = "the object is not closed"
	TwoKeys    Reason = "both key and key_base64"
	NoMember   Reason = "the object has no such member"
	TwoValues  Reason = "both value and value_base64"
)

// objects are JSON objects, one behind the other, or in arrays.
type objects struct {
	objectFrame
	layout
	content, size int  // of the row
	scanned       bool // the row has an object, and scan has been through it

	fields []field // of the row, by layout.columns
	none   []field // the same of an object without members
	name   []byte  // of a member, without escapes

	// Unless other members are data, or allowed:
	strict    bool
	extra     field  // the name of a member that looks like an option; its zero value: there is none
	advice    string // what it is meant for
	plainName []byte // the name of a member, as the function plainName makes it

	mocks    int  // the first column that is a mock's member
	mocked   bool // the row has such a member
	repeated int  // the offset of one that the row has already; 0: there is none
	mock     mock
	filler   filler
}

func newObjects(l layout) *objects {
	o := &objects{layout: l, mocks: len(l.columns)}
	if l.options.Key == "" && l.options.Value == "" {
		o.columns = append(o.columns, mockMembers...)
		o.strict = !l.options.AllowExtra
	}
	for range o.columns {
		o.none = append(o.none, field{absent: true})
	}
	return o
}

// next takes the short way if an object is on one line: nearly all are.
func (o *objects) next(data []byte, eof bool) (content, size int) {
	if o.mock.left() {
		return o.content, o.size
	}
	if o.phase == beforeObject && o.at == 0 {
		o.scanned = false
		if from := skipBlank(data, 0); from < len(data) && data[from] == '{' {
			lineEnd := o.lineEnd(data)
			if end, bad := o.scan(data[:lineEnd], from); bad < 0 {
				o.begin(from)
				o.at, o.to, o.phase, o.scanned = end, end, behindObject, true
			}
		}
	}
	o.content, o.size = o.objectFrame.next(data, eof)
	return o.content, o.size
}

func (o *objects) parse(content []byte, row *Row) Kind {
	if o.lines {
		row.Lines = bytes.Count(content, lineFeed)
	}
	if o.mock.left() {
		return o.nextMock(content, row)
	}
	o.made, o.unescape = o.made[:0], unescapeString
	bad := -1
	switch o.is {
	case framedNothing:
		return Nothing
	case framedOther, framedOpen:
		bad = o.from
		o.fields = append(o.fields[:0], o.none...)
	case framedObject:
		if !o.scanned {
			_, bad = o.scan(content[:o.to], o.from)
		}
	}
	kind := Reject
	if at := invalidUTF8(content); at >= 0 {
		row.rejectFor(NotUTF8, at, "byte %#02x", content[at])
	} else if bad >= 0 {
		o.rejectJSON(o.is, content, bad, row)
	} else if kind = o.object(content, o.from, o.to, row); row.Reason == NoMember {
		row.Detail = missing(row.Detail, content, o.from)
	}
	if kind == Reject && bad < 0 {
		o.known(row, content)
	}
	return kind
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, -1 if there is none.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	at := 0
	for {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			return at
		}
		at += n
	}
}

// known sets Known. A row with a count has a key for each of its items, and no key itself.
func (o *objects) known(row *Row, line []byte) {
	if o.mocked && o.has(mockCount) || o.extra.at > 0 && o.advice == adviceKey {
		return
	}
	valid := o.validKey(line)
	o.layout.known(row, line, o.fields)
	row.Known = row.Known && valid
}

// validKey reports whether the row's own key, in the place of which a hash may be stored, is UTF-8.
func (o *objects) validKey(line []byte) bool {
	var row Row
	return o.keyText(&row, line, o.fields) == Item && (row.Binary || utf8.Valid(row.Key.Of(line)))
}

func (o *objects) notes() []string { return o.dates.notes() }

// object makes the record of the object line[from:to], or the first one of several.
func (o *objects) object(line []byte, from, to int, row *Row) Kind {
	if o.extra.at > 0 && (o.advice == adviceKey || o.hasKey()) {
		return row.rejectFor(ExtraMember, o.extra.at, "%q: %s", nameOf(line, o.extra), o.advice)
	}
	if o.json {
		if kind := o.recordKey(row, line, o.fields); kind != Item {
			return kind
		}
		row.Value = Bytes{At: from, Len: to - from}
		row.Oversize = to-from > o.options.ValueMax
		return o.rest(row, line, o.fields)
	}
	if o.mocked {
		return o.firstMock(line, row)
	}
	if kind := o.recordKey(row, line, o.fields); kind != Item {
		return kind
	}
	if kind := o.recordValue(line, row); kind != Item {
		return kind
	}
	return o.rest(row, line, o.fields)
}

// recordValue makes the value, unless it is the whole row.
func (o *objects) recordValue(line []byte, row *Row) Kind {
	if o.base64 >= 0 && o.isBinary() {
		return o.binary(line, row)
	}
	if o.options.Decode != "" {
		return o.encodedValue(row, line, o.fields)
	}
	return o.text(row, line, o.fields, o.value, &row.Value)
}

func skipSpace(data []byte, at int) int {
	for at < len(data) && (isBlank(data[at]) || data[at] == '\n') {
		at++
	}
	return at
}

func skipBlank(data []byte, at int) int {
	for at < len(data) && isBlank(data[at]) {
		at++
	}
	return at
}

// isBinary reports whether the value is that of value_base64: the member is there, and is not null besides a member
// value.
func (o *objects) isBinary() bool {
	f := o.fields[o.base64]
	return !f.absent && (!f.null || o.fields[o.value.first()].absent)
}

// binary makes the value from value_base64.
func (o *objects) binary(line []byte, row *Row) Kind {
	f := o.fields[o.base64]
	if value := o.fields[o.value.first()]; !value.absent && !value.null && !f.null {
		return row.reject(TwoValues, f.at)
	}
	if f.null {
		return o.text(row, line, o.fields, template{{column: o.base64}}, &row.Value)
	}
	kind := o.fromBase64(row, line, f, &row.Value)
	row.Oversize = kind == Item && row.Value.Len > o.options.ValueMax
	return kind
}

// hasKey reports whether the row has a member for the key.
func (o *objects) hasKey() bool {
	return !o.fields[o.key.first()].absent || o.keyBase64 >= 0 && !o.fields[o.keyBase64].absent
}

func (o *objects) cut(beginning []byte, row *Row) Kind {
	o.made, o.unescape = o.made[:0], unescapeString
	switch o.phase {
	case beforeObject:
		return row.tooLong()
	case inOther:
		return o.rejectJSON(framedOther, beginning, o.from, row)
	}
	_, _ = o.scan(beginning, o.from)        // it finds the members up to where the row was cut
	counted := o.mocked && o.has(mockCount) // the row's key is that of no item
	if counted || !o.validKey(beginning) || o.recordKey(row, beginning, o.fields) != Item {
		row.tooLong()
		row.Detail = rowsIn(beginning, o.from)
		return Reject
	}
	row.Command, row.Flags, row.TTL = o.options.command, o.options.Flags, o.options.TTL
	return Item
}

// scan finds the members that are columns in the object at at, and the object's end. bad is the offset of what is not
// JSON, or -1. Of members with the same name the last one counts, as in encoding/json.
func (o *objects) scan(data []byte, at int) (end, bad int) {
	o.fields, o.mocked, o.repeated, o.extra = append(o.fields[:0], o.none...), false, 0, field{}
	at = skipSpace(data, at+1)
	if at < len(data) && data[at] == '}' {
		return at + 1, -1
	}
	for {
		name, next := scanString(data, at)
		if next < 0 {
			return 0, at
		}
		at = skipSpace(data, next)
		if at == len(data) || data[at] != ':' {
			return 0, at
		}
		at = skipSpace(data, at+1)
		value, next := scanValue(data, at)
		if next < 0 {
			return 0, at
		}
		column, ok := o.columnOf(data, name)
		if !ok {
			return 0, name.at
		}
		if column >= o.mocks {
			if o.mocked = true; !o.fields[column].absent {
				o.repeated = name.at
			}
		}
		if column >= 0 {
			o.fields[column] = value
		}
		at = skipSpace(data, next)
		switch {
		case at < len(data) && data[at] == ',':
			at = skipSpace(data, at+1)
		case at < len(data) && data[at] == '}':
			return at + 1, -1
		default:
			return 0, at
		}
	}
}

// columnOf returns a member's column, -1 if it is none. ok is false if the name has a bad escape.
func (o *objects) columnOf(data []byte, f field) (column int, ok bool) {
	name := data[f.at:f.end]
	if f.coded {
		var reason Reason
		if o.name, reason, _ = unescapeString(o.name[:0], name); reason != "" {
			return 0, false
		}
		name = o.name
	}
	for i, column := range o.columns {
		if string(name) == column {
			return i, true
		}
	}
	if o.strict && o.extra.at == 0 {
		if advice := o.lookalike(name); advice != "" {
			o.extra, o.advice = f, advice
		}
	}
	return -1, true
}

// scanString finds the end of the string that begins at at; next is the offset behind it, -1 if it is none.
func scanString(data []byte, at int) (f field, next int) {
	if at >= len(data) || data[at] != '"' {
		return field{}, -1
	}
	f.at = at + 1
	for i := f.at; i < len(data); i++ {
		switch b := data[i]; {
		case b == '"':
			f.end = i
			return f, i + 1
		case b == '\\':
			if !isEscape(data[i:]) { // checked here, for not every string is unescaped
				return field{}, -1
			}
			f.coded = true
			i++
		case b < ' ':
			return field{}, -1
		}
	}
	return field{}, -1
}

// scanValue finds the end of the value that begins at at; next is the offset behind it, -1 if it is none.
func scanValue(data []byte, at int) (f field, next int) {
	if at >= len(data) {
		return field{}, -1
	}
	switch data[at] {
	case '"':
		return scanString(data, at)
	case '{', '[':
		next = nested(data, at)
	default:
		next = at + bytes.IndexAny(data[at:], ",} \t\r\n")
	}
	if next <= at || !json.Valid(data[at:next]) {
		return field{}, -1
	}
	f = field{at: at, end: next}
	f.null = string(data[at:next]) == "null"
	return f, next
}

// nested returns the offset behind an object or an array, -1 if it has no end. It does not check what is inside.
func nested(data []byte, at int) int {
	for depth := 0; at < len(data); at++ {
		switch data[at] {
		case '"':
			_, next := scanString(data, at)
			if next < 0 {
				return -1
			}
			at = next - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return -1
}

// unescapeString appends what a JSON string stands for.
func unescapeString(dst, raw []byte) ([]byte, Reason, int) { return unescape(dst, raw, jsonEscape) }

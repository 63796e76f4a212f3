package record

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// A field is what a row has in a column.
type field struct {
	at, end int  // offsets in the row, without quotes
	coded   bool // these bytes have escapes
	null    bool // it is SQL's NULL
	absent  bool // the object has no such member, or the row was cut before it
}

// An unescaper appends what a coded field stands for. With a reason, bad is the offset of what is rejected.
type unescaper func(dst, raw []byte) (_ []byte, reason Reason, bad int)

// layout says which columns make the key, the value and the rest of a record.
type layout struct {
	options Options
	columns []string // that are used: names, or numbers from 1
	key     template
	value   template
	json    bool // the value is the whole row

	jsonColumns []int // indexes of those that hold JSON themselves

	// Indexes of columns; -1: there is none.
	keyBase64 int // of the key in base64
	base64    int // of the value in base64
	ttl       int
	expires   int
	flags     int

	anyKey bool // the keys are those of items as they are, which may be binary

	keys  keys
	dates dates

	made     []byte // the bytes of the record's Bytes
	unescape unescaper
}

// A template is literal text and columns; a single column is a template, too.
type template []part

type part struct {
	text   string
	column int // an index of layout.columns; -1: it is text
}

// newLayout makes the layout of a format that has columns.
func newLayout(o *Options) (layout, error) {
	l := layout{options: *o, keys: newKeys(o), keyBase64: -1, base64: -1, ttl: -1, expires: -1, flags: -1}
	if o.Format == Raw || o.Format == Memcached || o.Format == Dump {
		return l, nil
	}
	key, value := o.Key, o.Value
	if o.Format == JSONL {
		if key == "" {
			l.keyBase64, _ = l.column("key_base64")
		}
		if value == "" {
			l.base64, _ = l.column("value_base64")
		}
		if o.TTLColumn == "" && o.ExpiresColumn == "" {
			l.ttl, _ = l.column("ttl")
			l.expires, _ = l.column("expires")
		}
		if o.FlagsColumn == "" {
			l.flags, _ = l.column("flags")
		}
		key, value = cmp.Or(key, "key"), cmp.Or(value, "value")
	} else {
		key, value = cmp.Or(key, "1"), cmp.Or(value, "2")
	}
	var err error
	if l.key, err = l.parse("key", key); err != nil {
		return l, err
	}
	if l.json = value == "json"; l.json {
		if o.Format != JSONL && !o.Header {
			return l, option.Errorf("--header says that the first row has the names of the columns", "a row without names cannot be a JSON object")
		}
	} else if l.value, err = l.parse("value", value); err != nil {
		return l, err
	} else if o.Decode != "" && (len(l.value) != 1 || l.value[0].column < 0) {
		return l, option.Errorf("--value names the column to decode", "--decode decodes a single column, and not the value %q", value)
	}
	if o.JSONColumns != "" {
		for name := range strings.SplitSeq(o.JSONColumns, ",") {
			column, err := l.column(name)
			if err != nil {
				return l, err
			}
			l.jsonColumns = append(l.jsonColumns, column)
		}
	}
	for _, column := range []struct {
		name string
		at   *int
	}{{o.TTLColumn, &l.ttl}, {o.ExpiresColumn, &l.expires}, {o.FlagsColumn, &l.flags}} {
		if column.name != "" {
			if *column.at, err = l.column(column.name); err != nil {
				return l, err
			}
		}
	}
	return l, nil
}

// parse parses a column or a template; what is the option's name.
func (l *layout) parse(what, s string) (template, error) {
	if !strings.ContainsAny(s, "{}") {
		column, err := l.column(s)
		return template{{column: column}}, err
	}
	var t template
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case i+1 < len(s) && (s[i] == '{' || s[i] == '}') && s[i+1] == s[i]:
			text.WriteByte(s[i])
			i++
		case s[i] == '{':
			n := strings.IndexByte(s[i:], '}')
			if n < 2 {
				return nil, option.Errorf("a column is {name} or {number}; {{ and }} are braces", "the %s %q has a brace that names no column", what, s)
			}
			column, err := l.column(s[i+1 : i+n])
			if err != nil {
				return nil, err
			}
			if text.Len() > 0 {
				t = append(t, part{text: text.String(), column: -1})
				text.Reset()
			}
			t = append(t, part{column: column})
			i += n
		case s[i] == '}':
			return nil, option.Errorf("a column is {name} or {number}; {{ and }} are braces", "the %s %q has a brace that closes nothing", what, s)
		default:
			text.WriteByte(s[i])
		}
	}
	if text.Len() > 0 {
		t = append(t, part{text: text.String(), column: -1})
	}
	if what == "key" && !slices.ContainsFunc(t, func(p part) bool { return p.column >= 0 }) {
		return nil, option.Errorf("a column is {name} or {number}", "the key %q is the same for all rows", s)
	}
	return t, nil
}

// column returns the index of a column, which it adds to the columns if it is new.
func (l *layout) column(name string) (int, error) {
	if at := slices.Index(l.columns, name); at >= 0 {
		return at, nil
	}
	if l.options.Format != JSONL && !l.options.Header {
		if _, ok := columnNumber(name); !ok {
			return 0, option.Errorf("--header says that the first row has the names; without it columns have numbers, from 1",
				"there is no column %q without a header", name)
		}
	}
	l.columns = append(l.columns, name)
	return len(l.columns) - 1, nil
}

// shownColumn is a column for a message.
func (l *layout) shownColumn(at int) string {
	name := l.columns[at]
	if _, ok := columnNumber(name); ok && l.options.Format != JSONL {
		return "column " + name
	}
	return clip.Quote(name)
}

// columnNumber parses the number of a column, from 1.
func columnNumber(name string) (int, bool) {
	n, err := strconv.ParseUint(name, 10, 16)
	return int(n), err == nil && n > 0
}

// record makes the record of a row, whose fields are those of l.columns.
func (l *layout) record(row *Row, data []byte, fields []field) Kind {
	if kind := l.recordKey(row, data, fields); kind != Item {
		return kind
	}
	if !l.json { // else the format makes it
		kind := Item
		if l.options.Decode == "" {
			kind = l.text(row, data, fields, l.value, &row.Value)
		} else {
			kind = l.encodedValue(row, data, fields)
		}
		if kind != Item {
			return kind
		}
	}
	return l.rest(row, data, fields)
}

func (l *layout) recordKey(row *Row, data []byte, fields []field) Kind {
	if kind := l.keyText(row, data, fields); kind != Item {
		return kind
	}
	return l.checkKey(row, data, fields)
}

// known sets Known of a rejected row, if its key is good.
func (l *layout) known(row *Row, data []byte, fields []field) {
	reason, detail, column := row.Reason, row.Detail, row.Column
	row.Known = l.recordKey(row, data, fields) == Item
	row.Command = l.options.command
	row.Reason, row.Detail, row.Column = reason, detail, column
}

func (l *layout) keyText(row *Row, data []byte, fields []field) Kind {
	l.made = l.made[:0]
	if row.Binary = l.anyKey; present(fields, l.keyBase64) {
		return l.binaryKey(row, data, fields)
	}
	switch kind := l.text(row, data, fields, l.key, &row.Key); {
	case kind == Skip:
		return row.rejectFor(NullKey, fields[l.key.first()].at, "%s", l.shownColumn(l.key.first()))
	case kind != Item:
		return kind
	case row.Oversize:
		row.Oversize = false
		return row.reject(KeyTooLong, fields[l.key.first()].at)
	}
	return Item
}

func (l *layout) checkKey(row *Row, data []byte, fields []field) Kind {
	ownAt, isMade := row.Key.At, row.Key.Made != nil
	if reason, at := l.keys.check(row, row.Key.Of(data)); reason != "" {
		if isMade {
			at = fields[l.keyField(fields)].at
		} else {
			at += ownAt
		}
		return row.reject(reason, at)
	}
	return Item
}

// keyField is the field that has the key, or its first part.
func (l *layout) keyField(fields []field) int {
	if present(fields, l.keyBase64) {
		return l.keyBase64
	}
	return l.key.first()
}

// binaryKey makes the key from key_base64.
func (l *layout) binaryKey(row *Row, data []byte, fields []field) Kind {
	f := fields[l.keyBase64]
	if present(fields, l.key.first()) {
		return row.reject(TwoKeys, f.at)
	}
	row.Binary = true
	return l.fromBase64(row, data, f, &row.Key)
}

func (t template) first() int {
	for _, p := range t {
		if p.column >= 0 {
			return p.column
		}
	}
	return 0
}

// text makes the text of a template; Skip: it is NULL.
func (l *layout) text(row *Row, data []byte, fields []field, t template, to *Bytes) Kind {
	for _, p := range t {
		if p.column < 0 {
			continue
		}
		f := &fields[p.column]
		if f.absent {
			return row.rejectFor(NoMember, 0, "%s", clip.Quote(l.columns[p.column]))
		}
		if f.null && l.options.Null == NullSkip {
			row.Reason = NullValue
			return Skip
		}
	}
	if len(t) == 1 && t[0].column >= 0 {
		if f := &fields[t[0].column]; !f.coded || f.null {
			*to = Bytes{At: f.at, Len: f.end - f.at}
			if f.null && l.options.Null == NullEmpty {
				to.Len = 0
			}
			row.Oversize = to.Len > l.options.ValueMax
			return Item
		}
	}
	from := len(l.made)
	for _, p := range t {
		if p.column < 0 {
			l.made = append(l.made, p.text...)
		} else if reason, at := l.add(data, fields[p.column]); reason != "" {
			return row.rejectNear(reason, data[:fields[p.column].end], at)
		}
		// A template may name a large column many times.
		if len(l.made)-from > l.options.ValueMax {
			row.Oversize = true
			break
		}
	}
	*to = made(l.made[from:len(l.made):len(l.made)])
	return Item
}

// add appends what a field stands for; with a reason, at is the offset of what is rejected.
func (l *layout) add(data []byte, f field) (reason Reason, at int) {
	switch {
	case f.null && l.options.Null == NullEmpty:
	case f.null || !f.coded:
		l.made = append(l.made, data[f.at:f.end]...)
	default:
		var bad int
		if l.made, reason, bad = l.unescape(l.made, data[f.at:f.end]); reason != "" {
			return reason, f.at + bad
		}
	}
	return "", 0
}

// rest sets what a row is stored with: from its columns, or from the options.
func (l *layout) rest(row *Row, data []byte, fields []field) Kind {
	o := &l.options
	row.Command, row.Flags = o.command, o.Flags
	if l.flags < 0 && l.ttl < 0 && l.expires < 0 {
		return l.lifetime(row, data, fields, nil, -1)
	}
	if n, ok, at := l.number(data, fields, l.flags); at >= 0 {
		if !ok || n < 0 || n > 1<<32-1 {
			return l.rejectColumn(row, BadFlags, data, fields, l.flags, at, "")
		}
		row.Flags = uint32(n)
	}
	ttl, ttlAt := l.word(data, fields, l.ttl)
	until, dateAt := l.word(data, fields, l.expires) // its bytes may be where those of ttl were
	switch {
	case dateAt < 0:
		return l.lifetime(row, data, fields, ttl, ttlAt)
	case ttlAt >= 0:
		return row.reject(TwoTTLs, dateAt)
	}
	when, why, ok := l.dates.parse(string(until))
	if !ok {
		return l.rejectColumn(row, BadDate, data, fields, l.expires, dateAt, why)
	}
	kind := row.expireAt(when, dateAt)
	if kind == Reject {
		return l.rejectColumn(row, row.Reason, data, fields, l.expires, dateAt, "")
	}
	return kind
}

// rejectColumn is reject with the text of a column, its name, and why it is wrong.
func (l *layout) rejectColumn(row *Row, reason Reason, data []byte, fields []field, column, at int, why string) Kind {
	f := fields[column]
	return row.rejectFor(reason, at, "%s in %s%s", clip.Quote(data[f.at:f.end]), l.shownColumn(column), why)
}

// lifetime sets the time to live to that of the row, whose text is word at at, or of the options.
func (l *layout) lifetime(row *Row, data []byte, fields []field, word []byte, at int) Kind {
	row.TTL = l.options.TTL
	if at >= 0 {
		d, ok := ParseDuration(string(word))
		seconds := Seconds(d)
		if !ok || seconds > TTLMax {
			return l.rejectColumn(row, BadTTL, data, fields, l.ttl, at, "")
		}
		if kind := row.expireIn(seconds); kind != Item {
			return kind
		}
	}
	if l.options.jitter > 0 {
		l.options.shorten(row, data)
	}
	return Item
}

package record

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// otherDelimiters are what spreadsheets write instead of commas.
const otherDelimiters = ";\t"

// begin looks at the first row of CSV, which may say or show that columns are not separated by commas. ended is false if
// it is a row like any other. A choice is made only if it is certain: the row has the columns that are used with one
// delimiter, and not with a comma. Else the load fails if the key would have another delimiter in it.
func (t *table) begin(content []byte, row *Row) (kind Kind, ended bool) {
	d := t.first
	t.first = nil
	if t.isDumpHeader(content) {
		t.readDump()
		return 0, false
	}
	if sep, ok := separator(content); ok {
		return t.separated(sep, d, row), true
	}
	if t.options.Delimiter != "" {
		return 0, false
	}
	defer func() { t.names, t.index = nil, nil }()
	var fitting []byte
	var possible byte
	for _, other := range []byte(otherDelimiters) {
		switch fits, byName := t.fits(content, d, other); {
		case !fits:
		case byName || !t.outsideQuotes(content, d, ','):
			fitting = append(fitting, other)
		default:
			possible = other
		}
	}
	comma, byName := t.fits(content, d, ',')
	switch {
	case comma && byName:
		return 0, false
	case !comma && len(fitting) == 1:
		d.delimiter = fitting[0]
		t.delimiterNote = fmt.Sprintf("columns are separated by %s, as the first row shows; rejected rows that are loaded again may not show it: --delimiter %[1]s says it", shellWord(d.delimiter))
		return 0, false
	}
	if other := t.doubt(content, d, comma); other != 0 {
		word := shellWord(other)
		return row.fail(option.Errorf("--delimiter "+word+" or --delimiter , says which it is",
			"columns may be separated by %s or by commas; the first row is %s", word, clip.Quote(content))), true
	}
	if possible != 0 {
		t.delimiterNote = fmt.Sprintf("columns were read as separated by commas; the first row has as many with %s, which --delimiter %[1]s says: %s", shellWord(possible), clip.Quote(content))
	}
	return 0, false
}

// separator reads the line by which spreadsheets say what separates columns.
func separator(line []byte) (string, bool) {
	text := string(bytes.Trim(line, `"`))
	if len(text) != len("sep=;") || !strings.EqualFold(text[:4], "sep=") {
		return "", false
	}
	return text[4:], true
}

// separated takes what the first line says. The line goes with rejected rows, as a header does.
func (t *table) separated(sep string, d *dialect, row *Row) Kind {
	b, reason := character(sep)
	said := *d
	said.delimiter = b
	switch {
	case reason != "" || said.check() != nil:
		return row.fail(option.Errorf("without this line, --delimiter says it", "the first line says that columns are separated by %q", sep))
	case t.options.Delimiter != "" && b != d.delimiter:
		return row.fail(option.Errorf("leave --delimiter out", "the first line says that columns are separated by %q, --delimiter says %q", b, d.delimiter))
	}
	*d = said
	row.Header = true
	return Nothing
}

// fits reports whether the first row has the columns that are used, with a delimiter that becomes that of the dialect;
// byName: the header has the name of one.
func (t *table) fits(content []byte, d *dialect, delimiter byte) (fits, byName bool) {
	d.delimiter = delimiter
	var reason Reason
	t.names, t.index = nil, nil
	if t.fields, reason, _ = t.split(t.fields[:0], content); reason != "" {
		return false, false
	}
	if t.options.Header {
		if t.names, reason, _ = t.readNames(content); reason != "" {
			return false, false
		}
		for _, name := range t.columns {
			byName = byName || slices.Contains(t.names, name)
		}
	}
	err := t.resolve()
	return err == nil && len(t.fields) > t.last && (!t.pair() || len(t.fields) == t.last+1), byName
}

// outsideQuotes reports whether a field without quotes has a byte.
func (t *table) outsideQuotes(content []byte, d *dialect, b byte) bool {
	return slices.ContainsFunc(t.fields, func(f field) bool {
		return !d.encloses(content, f) && bytes.IndexByte(content[f.at:f.end], b) >= 0
	})
}

// doubt returns the other delimiter that the key has in it, outside of quotes, if commas are the delimiter; 0: none. If
// they do not fit, the first column stands for the key.
func (t *table) doubt(content []byte, d *dialect, comma bool) byte {
	var key []byte
	switch {
	case !comma:
		key, _, _ = bytes.Cut(content, []byte{','})
	default:
		for _, p := range t.key {
			if p.column < 0 {
				continue
			}
			if f := t.fields[t.index[p.column]]; !d.encloses(content, f) {
				key = append(key, content[f.at:f.end]...)
			}
		}
	}
	if n := bytes.IndexAny(key, otherDelimiters); n >= 0 {
		return key[n]
	}
	return 0
}

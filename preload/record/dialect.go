package record

import (
	"fmt"
	"strings"

	"memcached-backdoor/preload/option"
)

// A dialect says how a row is written: what MySQL calls FIELDS TERMINATED BY, ENCLOSED BY and ESCAPED BY.
type dialect struct {
	delimiter     byte
	quote, escape byte // 0: there is none
}

// dialects are the formats that have one.
var dialects = map[Format]dialect{
	CSV:     {delimiter: ',', quote: '"'},
	TSV:     {delimiter: '\t'},
	Outfile: {delimiter: '\t', escape: '\\'},
}

// none is the quote and the escape of a dialect that has none.
const none = "none"

// newDialect is the format's dialect with what the options say of it; that of a format without one is empty.
func newDialect(o *Options) (dialect, error) {
	d, ok := dialects[o.Format]
	for _, c := range []struct {
		name, value string
		to          *byte
	}{{"delimiter", o.Delimiter, &d.delimiter}, {"quote", o.Quote, &d.quote}, {"escape", o.Escape, &d.escape}} {
		switch {
		case c.value == "":
		case !ok:
			return d, option.Errorf("it is for the formats csv, tsv and outfile: --from says which it is",
				"the format %s is not written with other characters, so that --%s means nothing", o.Format, c.name)
		case c.value == none && c.name != "delimiter":
			*c.to = 0
		default:
			b, reason := character(c.value)
			if reason != "" {
				return d, option.Errorf(characterHint(c.name), "--%s cannot be %q: %s", c.name, c.value, reason)
			}
			*c.to = b
		}
	}
	if !ok {
		return d, nil
	}
	return d, d.check()
}

func characterHint(option string) string {
	if option == "delimiter" {
		return "it is one ASCII character such as , ; | or tab"
	}
	return "it is one ASCII character, or none"
}

// character reads a character of a dialect.
func character(s string) (_ byte, reason string) {
	if s == "tab" || s == `\t` {
		return '\t', ""
	}
	if len(s) != 1 || s[0] >= 0x80 {
		return 0, "that is not one ASCII character"
	}
	switch b := s[0]; {
	case b == 0 || b == '\n' || b == '\r':
		return 0, "rows have it for other things"
	case '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z':
		// MySQL takes letters; some of them cannot be told from an escape (sql/sql_class.h: ESCAPE_CHARS).
		return 0, "that is a letter or a digit"
	default:
		return b, ""
	}
}

// check reports whether the dialect's characters differ.
func (d dialect) check() error {
	switch {
	case d.delimiter == d.quote:
		return option.Errorf("", "--delimiter and --quote are both %q", d.quote)
	case d.delimiter == d.escape:
		return option.Errorf("", "--delimiter and --escape are both %q", d.escape)
	case d.quote != 0 && d.quote == d.escape:
		return option.Errorf("LOAD DATA cannot read that NULL and line feeds either; export with ESCAPED BY '\\\\', or load quotes that are doubled by --from csv",
			"--quote and --escape are both %q", d.quote)
	}
	return nil
}

// newDialectTable makes the table of a format that has a dialect.
func newDialectTable(l layout, d dialect) *table {
	format := l.options.Format
	var t *table
	switch {
	case d.escape != 0 || format == Outfile:
		o := newOutfile(d)
		t = newTable(l, o)
		t.first = &o.dialect
	case d.quote != 0 || format == CSV:
		q := &quoted{dialect: d}
		q.proven = l.options.Escape != ""
		t = newTable(l, q)
		t.first, t.quoted = &q.dialect, q
	default:
		return newTable(l, &tabs{delimiter: d.delimiter, null: []byte{}})
	}
	if format != CSV {
		t.first = nil
	}
	return t
}

// encloses reports whether a field of a row has quotes, which it may begin with (outfile).
func (d dialect) encloses(row []byte, f field) bool {
	return d.quote != 0 && (f.at > 0 && row[f.at-1] == d.quote || f.at < f.end && row[f.at] == d.quote)
}

// options are the options of the client that say the dialect.
func (d dialect) options() string {
	var s strings.Builder
	fmt.Fprintf(&s, "--delimiter %s", shellWord(d.delimiter))
	if d.quote != 0 {
		fmt.Fprintf(&s, " --quote %s", shellWord(d.quote))
	}
	return s.String()
}

// shellWord is a character of a dialect as a word of a shell's command line.
func shellWord(b byte) string {
	switch b {
	case '\t':
		return "tab"
	case ',':
		return ","
	case '\'':
		return `"'"`
	}
	return "'" + string(rune(b)) + "'"
}

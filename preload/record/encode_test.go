package record

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// An encoder writes rows as the tool does that a format is named after.
type encoder func(columns ...string) string

// joined makes an encoder of rows of an encoder of columns.
func joined(encode func(string) string, separator, end string) encoder {
	return func(columns ...string) string {
		var row []string
		for _, column := range columns {
			row = append(row, encode(column))
		}
		return strings.Join(row, separator) + end
	}
}

// encodeMySQL is what mysql --batch does (client/mysql.cc: safe_put_field).
func encodeMySQL(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch s[i] {
		case 0:
			b.WriteString(`\0`)
		case '\t':
			b.WriteString(`\t`)
		case '\n':
			b.WriteString(`\n`)
		case '\\':
			b.WriteString(`\\`)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// encodePSQL is what COPY TO does (copyto.c: CopyAttributeOutText).
func encodePSQL(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if n := strings.IndexByte("\b\f\n\r\t\v\\", s[i]); n >= 0 {
			b.WriteByte('\\')
			b.WriteByte(`bfnrtv\`[n])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// encodeBytes writes a number for each byte, which COPY FROM takes, too.
func encodeBytes(format string) func(s string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, format, s[i])
		}
		return b.String()
	}
}

// encodeCSV is RFC 4180's, with quotes around everything.
func encodeCSV(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// checkRoundTrip encodes texts and compares them with what is parsed, as values and in JSON.
func checkRoundTrip(t *testing.T, o Options, encode encoder, a, b string) {
	t.Helper()
	input := encode("k", a, b) + encode("l", b, a)
	columns := o
	columns.Key, columns.Value = "1", "{2}|{3}"
	values := parse(t, columns, 0, input)
	check(t, input, values, []found{item("k", a+"|"+b), item("l", b+"|"+a)})
	input = encode("k", a) + encode("l", b)
	check(t, input, parse(t, o, 0, input), []found{item("k", a), item("l", b)})

	names := []string{"id", "a" + strings.ToValidUTF8(a, "?"), "b" + strings.ToValidUTF8(b, "?")}
	header := encode(names...)
	if o.Format == MySQL { // names are not escaped
		for i, name := range names {
			names[i] = strings.NewReplacer("\t", "?", "\n", "?").Replace(name)
		}
		header = strings.Join(names, "\t") + "\n"
	}
	input = header + encode("k", a, b)
	o.Header, o.Value = true, "json"
	rows := parse(t, o, 0, input)
	if len(rows) != 2 || rows[0].kind != Nothing {
		t.Fatalf("%q: %+v", input, rows)
	}
	if utf8.ValidString(a) && utf8.ValidString(b) {
		if rows[1].kind != Item {
			t.Fatalf("%q: %+v", input, rows)
		}
		checkObject(t, rows[1].value, names, []any{"k", a, b})
	} else if rows[1].kind != Reject || rows[1].reason != NotUTF8 {
		t.Fatalf("%q: %+v", input, rows)
	}
}

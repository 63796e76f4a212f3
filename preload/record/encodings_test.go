package record

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"memcached-backdoor/preload/meta"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	decode := func(e Encoding) Options { return Options{Decode: e} }
	run(t, Raw, []parserTest{
		{name: "hex", options: decode(Hex), input: "k\t68656c6C6F\nl\t\nm\t0x00ff\nn\t0x\n", want: []found{item("k", "hello"), item("l", ""), item("m", "\x00\xff"), item("n", "")}},
		{name: "bad hex", options: decode(Hex), input: "k\t6\nk\t68z0\nk\t686z\nk\t68\t68\nk\t0X68\nk\t68 \nk\t\\x68\nk\t68\r\nk\t0x680\n", want: []found{
			reject(BadHex, 3), reject(BadHex, 5), reject(BadHex, 6), reject(BadHex, 5), reject(BadHex, 4), reject(BadHex, 5), reject(BadHex, 3), reject(BadHex, 5), reject(BadHex, 7),
		}},
		{name: "base64", options: decode(Base64), input: "k\taGVsbG8=\nl\t\nm\tAP+/\r\n", want: []found{item("k", "hello"), item("l", ""), item("m", "\x00\xff\xbf")}},
		{name: "bad base64", options: decode(Base64), input: "k\taGVsbG8\nk\tAP-_\nk\tAP /\nk\tA\nk\t====\nk\tAA==AA==\nk\tAA=A\nk\tAB==\nk\tAAB=\n", want: []found{
			reject(BadBase64, 7), reject(BadBase64, 5), reject(BadBase64, 5), reject(BadBase64, 3), reject(BadBase64, 3), reject(BadBase64, 7), reject(BadBase64, 5), reject(BadBase64, 5), reject(BadBase64, 6),
		}},
		{name: "bytea", options: decode(Bytea), input: "k\t\\x68FF\nl\t\nm\t\\x\nn\ta\\\\b\\000\\377~\no\t68\n", want: []found{
			item("k", "h\xff"), item("l", ""), item("m", ""), item("n", "a\\b\x00\xff~"), item("o", "68"),
		}},
		{name: "bad bytea", options: decode(Bytea), input: "k\t\\x6\nk\ta\\\nk\t\\12\nk\t\\400\nk\t\\128\nk\tab\x7f\nk\té\nk\t\\x68\r\nk\t\\X68\n", want: []found{
			reject(BadBytea, 5), reject(BadBytea, 4), reject(BadBytea, 3), reject(BadBytea, 3), reject(BadBytea, 3), reject(BadBytea, 5), reject(BadBytea, 3), reject(BadBytea, 7), reject(BadBytea, 3),
		}},
		{name: "with options", options: Options{Decode: Hex, TTL: 9, Flags: 8, Mode: ModeAdd}, input: "\xef\xbb\xbfk\t68\n", want: []found{{kind: Item, key: "k", value: "h", ttl: 9, flags: 8, command: Add}}},
		{name: "bad key, no tab", options: decode(Hex), input: "a b\t68\nk\n", want: []found{reject(KeyByte, 2), reject(NoTab, 1)}},
	})
	run(t, MySQL, []parserTest{
		{name: "lines of TO_BASE64", options: decode(Base64), input: "k\t" + strings.Repeat("dnZ2", 19) + `\n` + "dnZ2\n", want: []found{item("k", strings.Repeat("vvv", 20))}},
		{name: "one column of a template", options: Options{Key: "1", Value: "{3}", TTLColumn: "2", Decode: Hex}, input: "k\t60\t00\n", want: []found{{kind: Item, key: "k", value: "\x00", ttl: 60}}},
		{name: "key and value", options: Options{Key: "u:{1}", Value: "1", Decode: Hex}, input: "68\n", want: []found{item("u:68", "h")}},
		{name: "bad escape", options: decode(Hex), input: "k\t\\x68\n", want: []found{reject(BadEscape, 3)}},
		{name: "escape that is not hex", options: decode(Hex), input: "k\t68\\n\n", want: []found{reject(BadHex, 3)}},
		{name: "NULL is not the text", options: decode(Hex), input: "NULL\t68\nk\tNULL\n", want: []found{item("NULL", "h"), reject(MaybeNull, 3)}},
		{name: "NULL may be base64", options: decode(Base64), input: "k\tNULL\n", want: []found{reject(MaybeNull, 3)}},
		{name: "NULL is base64", options: Options{Decode: Base64, Null: NullLiteral}, input: "k\tNULL\n", want: []found{item("k", "5B\xcb")}},
		{name: "NULL is no hex", options: Options{Decode: Hex, Null: NullLiteral}, input: "k\tNULL\n", want: []found{reject(BadHex, 3)}},
		{name: "NULL is skipped", options: Options{Decode: Hex, Null: NullSkip}, input: "k\tNULL\n", want: []found{skip(NullValue)}},
		{name: "NULL is empty", options: Options{Decode: Hex, Null: NullEmpty}, input: "k\tNULL\n", want: []found{item("k", "")}},
	})
	run(t, PSQL, []parserTest{
		{name: "bytea", options: decode(Bytea), input: "k\t\\\\x00fF\nl\ta\\\\\\\\b\\\\001\n", want: []found{item("k", "\x00\xff"), item("l", "a\\b\x01")}},
		{name: "NULL", options: decode(Bytea), input: "k\t\\N\n", want: []found{skip(NullValue)}},
		{name: "NULL is no bytea", options: Options{Decode: Bytea, Null: NullLiteral}, input: "k\t\\N\n", want: []found{reject(BadBytea, 3)}},
		{name: "by name", options: Options{Header: true, Key: "id", Value: "v", Decode: Hex}, input: "v\tid\n68\tk\n6\tk\n", want: []found{nothing, item("k", "h"), reject(BadHex, 1)}},
	})
	run(t, CSV, []parserTest{
		{name: "csv", options: decode(Hex), input: "k,68\nk,\"68\"\nk,\nk,\"\"\n", want: []found{item("k", "h"), item("k", "h"), item("k", ""), item("k", "")}},
		{name: "lines in quotes", options: decode(Base64), input: "k,\"dnZ2\r\ndnZ2\"\n", want: []found{item("k", "vvvvvv")}},
		{name: "quotes", options: decode(Hex), input: "k,\"6\"\"8\"\n", want: []found{reject(BadHex, 4)}},
	})
	run(t, TSV, []parserTest{{name: "tsv", options: decode(Bytea), input: "k\t\\x68\nk\t\n", want: []found{item("k", "h"), item("k", "")}}})
	run(t, JSONL, []parserTest{
		{name: "jsonl", options: decode(Hex), input: `{"key":"k","value":"68"}` + "\n" + `{"key":"k","value":"\u00368"}`, want: []found{item("k", "h"), item("k", "h")}},
		{name: "of a name", options: Options{Key: "id", Value: "v", Decode: Bytea, FlagsColumn: "f"}, input: `{"id":1,"v":"\\x68","f":2}`, want: []found{{kind: Item, key: "1", value: "h", flags: 2}}},
		{name: "value_base64 has its own", options: decode(Hex), input: `{"key":"k","value_base64":"AAAA"}`, want: []found{item("k", "\x00\x00\x00")}},
		{name: "no string", options: decode(Hex), input: `{"key":"k","value":68}` + "\n" + `{"key":"k","value":{}}`, want: []found{reject(NotText, 20), reject(NotText, 20)}},
		{name: "NULL", options: decode(Hex), input: `{"key":"k","value":null}`, want: []found{skip(NullValue)}},
		{name: "NULL is no string", options: Options{Decode: Hex, Null: NullLiteral}, input: `{"key":"k","value":null}`, want: []found{reject(NotText, 20)}},
		{name: "no member", options: decode(Hex), input: `{"key":"k"}`, want: []found{reject(NoMember, 1)}},
		{name: "bad string", options: decode(Hex), input: `{"key":"k","value":"\ud800"}`, want: []found{reject(BadString, 21)}},
		// The bytes {n} are bytes, not a place.
		{name: "several items", options: decode(Hex), input: `{"key":"k{n}","value":"7b6e7D","count":2}`,
			want: []found{{kind: Item, key: "k1", value: "{n}", left: 1}, item("k2", "{n}")}},
		{name: "filler", options: decode(Hex), input: `{"key":"k","size":0}`, want: []found{item("k", "")}},
	})
}

// encoders are what writes each encoding.
var encoders = map[Encoding][]func([]byte) string{
	Hex: {hex.EncodeToString, func(p []byte) string { return fmt.Sprintf("%X", p) }, func(p []byte) string { return fmt.Sprintf("0x%X", p) }},
	Base64: {base64.StdEncoding.EncodeToString, func(p []byte) string { // lines, as TO_BASE64() and encode() write
		const most = 76
		var b strings.Builder
		text := base64.StdEncoding.EncodeToString(p)
		for ; len(text) > most; text = text[most:] {
			b.WriteString(text[:most] + "\n")
		}
		return b.String() + text
	}},
	Bytea: {func(p []byte) string { return fmt.Sprintf(`\x%x`, p) }, func(p []byte) string { // byteaout in varlena.c
		var b strings.Builder
		for _, c := range p {
			switch {
			case c == '\\':
				b.WriteString(`\\`)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03o`, c)
			default:
				b.WriteByte(c)
			}
		}
		return b.String()
	}},
}

// encodeJSONL writes a key and a value.
func encodeJSONL(columns ...string) string {
	line, err := json.Marshal(map[string]string{"key": columns[0], "value": columns[1]})
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

// TestDecodedMax: what fits when it is decoded is stored, however long its text is, and is cut in no format.
func TestDecodedMax(t *testing.T) {
	t.Parallel()
	const most = 40000
	key := strings.Repeat("k", meta.KeyMax)
	all := make([]byte, most+1)
	for i := range all {
		all[i] = byte(i)
	}
	for encoding, encode := range encoders {
		for i, encode := range encode {
			for format, write := range map[Format]encoder{
				Raw: joined(strings.Clone, "\t", "\n"), TSV: joined(strings.Clone, "\t", "\n"), CSV: joined(encodeCSV, ",", "\r\n"),
				MySQL: joined(encodeMySQL, "\t", "\n"), PSQL: joined(encodePSQL, "\t", "\n"), JSONL: encodeJSONL,
			} {
				for _, value := range [][]byte{all[:most], make([]byte, most), all} {
					text := encode(value)
					if (format == Raw || format == TSV) && strings.Contains(text, "\n") {
						continue
					}
					p, err := New(Options{Format: format, Decode: encoding, ValueMax: most})
					if err != nil {
						t.Fatal(err)
					}
					var row Row
					data := []byte(write(key, text))
					kind := p.Next(data, false, &row)
					if kind != Item || row.Oversize != (len(value) > most) || string(row.Key.Of(data)) != key {
						t.Errorf("%s %d in %s: kind %d, %s, oversize %t", encoding, i, format, kind, row.Reason, row.Oversize)
					} else if !row.Oversize && (!bytes.Equal(row.Value.Of(data), value) || row.Content > p.RowMax()) {
						t.Errorf("%s %d in %s: another value of a row of %d bytes, at most %d", encoding, i, format, row.Content, p.RowMax())
					}
				}
			}
		}
	}
}

// TestDecodedCut: a row that is cut has its key, although its value cannot be decoded.
func TestDecodedCut(t *testing.T) {
	t.Parallel()
	for format, write := range map[Format]encoder{Raw: joined(strings.Clone, "\t", "\n"), CSV: joined(encodeCSV, ",", "\r\n"), JSONL: encodeJSONL} {
		input := write("k", strings.Repeat("z", 99)) + write("l", "68")
		check(t, input, parse(t, Options{Format: format, Decode: Hex}, 40, input), []found{large("k"), item("l", "h")})
	}
}

// TestDecodedNotes: an encoding's text is not what is stored, and there is nothing to say of it. A mark in front of the
// first key is said.
func TestDecodedNotes(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Raw, TSV, MySQL} {
		p, err := New(Options{Format: format, Decode: Bytea, ValueMax: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		data, most := []byte("k\t\\000\n"), 0
		switch format {
		case MySQL:
			data = []byte("k\ta\r\n")
		case Raw:
			data, most = append([]byte(mark), data...), 1
		}
		var row Row
		p.Next(data, true, &row)
		if notes := p.Notes(); len(notes) != most {
			t.Errorf("%s: %q", format, notes)
		}
	}
}

// What an encoder writes is decoded to the same bytes in each format, and other text is decoded as the standard library
// decodes it, or is rejected.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "hello", "\x00\xff\\", "68", "0x6", "aGVsbG8=", "AB==", "====", `\x68`, `\001\\a`, `\x6`, "NULL", "\r\n", strings.Repeat("v", 120)} {
		f.Add([]byte(text))
	}
	formats := map[Format]encoder{
		CSV: joined(encodeCSV, ",", "\r\n"), MySQL: joined(encodeMySQL, "\t", "\n"), PSQL: joined(encodePSQL, "\t", "\n"), JSONL: encodeJSONL,
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > inputMax/4 {
			return
		}
		for encoding, encode := range encoders {
			o := Options{Decode: encoding, Null: NullLiteral}
			for _, encode := range encode {
				text := encode(value)
				for o.Format = range formats {
					input := formats[o.Format]("k", text)
					check(t, input, parse(t, o, 0, input), []found{item("k", string(value))})
				}
			}
			text := string(value)
			want, ok := decodedBy(encoding, text)
			for o.Format = range formats {
				if o.Format == JSONL && !utf8.ValidString(text) {
					continue
				}
				input := formats[o.Format]("k", text)
				row := parse(t, o, 0, input)[0]
				if ok != (row.kind == Item) || ok && row.value != want || !ok && row.kind != Reject {
					t.Fatalf("%s: %q: %+v, want %q %t", encoding, input, row, want, ok)
				}
			}
		}
	})
}

// decodedBy is what text stands for in an encoding, if it is in it.
func decodedBy(e Encoding, text string) (string, bool) {
	var decoded []byte
	var err error
	digits, isHex := strings.CutPrefix(text, `\x`)
	switch {
	case e == Hex:
		decoded, err = hex.DecodeString(strings.TrimPrefix(text, "0x"))
	case e == Base64:
		decoded, err = base64.StdEncoding.Strict().DecodeString(text)
	case isHex:
		decoded, err = hex.DecodeString(digits)
	default:
		return byteaEscapes.ReplaceAllStringFunc(text, func(escape string) string {
			if value, err := strconv.ParseUint(escape[1:], 8, 8); err == nil {
				return string([]byte{byte(value)})
			}
			return escape[1:]
		}), byteaEscaped.MatchString(text)
	}
	return string(decoded), err == nil
}

var (
	byteaEscaped = regexp.MustCompile(`^([ -\[\]-~]|\\\\|\\[0-3][0-7]{2})*$`)
	byteaEscapes = regexp.MustCompile(`\\\\|\\[0-3][0-7]{2}`)
)

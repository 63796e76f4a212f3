package record

import (
	"strings"
	"testing"
)

func TestOutfile(t *testing.T) {
	t.Parallel()
	value := func(text string) string { return "k\t" + text + "\n" }
	run(t, Outfile, []parserTest{
		{name: "plain", input: "a\t1\nb\t2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "last line end missing", input: "a\t1\nb\t2", want: []found{item("a", "1"), item("b", "2")}},
		{name: "every letter", input: value(`\0\b\n\r\t\Z\\`), want: []found{item("k", "\x00\b\n\r\t\x1a\\")}},
		{name: "any other byte", input: value(`\a\"\9\.\z\x41` + "\\\xff"), want: []found{item("k", "a\"9.zx41\xff")}},
		{name: "escaped tab", input: "k\ta\\\tb\nl\t\\\t\\\t\n", want: []found{item("k", "a\tb"), item("l", "\t\t")}},
		{name: "backslash before a tab", input: "k\ta\\\\\tb\n", want: []found{reject(MoreColumn, 7)}},
		{name: "escaped line feed", input: value("a\\\nb"), want: []found{item("k", "a\nb")}},
		{name: "backslash before a line feed", input: "k\ta\\\\\nl\tb\n", want: []found{item("k", `a\`), item("l", "b")}},
		{name: "escaped line feed at the end", input: "k\ta\\\n", want: []found{item("k", "a\n")}},
		{name: "lone backslash at the end", input: "k\ta\\", want: []found{reject(LoneEscape, 4)}},
		{name: "NULL", input: value(`\N`) + value("NULL") + value(`\NULL`), want: []found{skip(NullValue), item("k", "NULL"), item("k", "NULL")}},
		{name: "NULL in the key", input: "\\N\tv\n", want: []found{reject(NullKey, 1)}},
		{name: "NULL is text", options: Options{Null: NullLiteral}, input: value(`\N`), want: []found{item("k", `\N`)}},
		{name: "text of NULL", input: value(`\\N`) + value(`\Nx`) + value(`x\N`), want: []found{item("k", `\N`), item("k", "Nx"), item("k", "xN")}},
		{name: "quotes are data", input: value(`"a"`), want: []found{item("k", `"a"`)}},
		{name: "carriage return is data", input: "k\tv\r\n", want: []found{item("k", "v\r")}},
		{name: "no end mark", input: "\\.\tv\n", want: []found{item(".", "v")}},
		{name: "empty line", input: "\nk\tv\n", want: []found{reject(NoColumn, 1), item("k", "v")}},
		{name: "byte order mark", input: "\xef\xbb\xbfk\tv\n", want: []found{item("k", "v")}},
		{name: "names", options: Options{Header: true, Key: "i\td", Value: `b\`}, input: "i\\\td\tb\\\\\n1\tx\\\ny\n", want: []found{nothing, item("1", "x\ny")}},
		{name: "another escape character", options: Options{Escape: "|"}, input: "k\ta|\tb|\n||\\t\nl\t|N\n", want: []found{item("k", "a\tb\n|\\t"), skip(NullValue)}},
	})
}

// TestOutfileEnclosed: FIELDS TERMINATED BY ',' [OPTIONALLY] ENCLOSED BY '"'.
func TestOutfileEnclosed(t *testing.T) {
	t.Parallel()
	o := Options{Format: Outfile, Delimiter: ",", Quote: `"`}
	json := o
	json.Header, json.Value = true, "json"
	empty := o
	empty.Null = NullEmpty
	run(t, Outfile, []parserTest{
		{name: "export", options: o, input: "1,\"a\tb\"\n2,\"l1\\\nl2\"\n3,\\N\n4,\"c:\\\\dir\"\n5,\"a,b\"\n",
			want: []found{item("1", "a\tb"), item("2", "l1\nl2"), skip(NullValue), item("4", `c:\dir`), item("5", "a,b")}},
		{name: "line feed within quotes", options: o, input: "1,\"a\nb\"\n", want: []found{item("1", "a\nb")}},
		{name: "escaped quote", options: o, input: `1,"a\"b"` + "\n" + `2,"\""` + "\n" + `3,"\\"`, want: []found{item("1", `a"b`), item("2", `"`), item("3", `\`)}},
		{name: "doubled quote", options: o, input: `1,"a""b"` + "\n" + `"2",""""` + "\n" + `"3""",""`, want: []found{item("1", `a"b`), item("2", `"`), item(`3"`, "")}},
		{name: "doubled and escaped", options: o, input: `1,"\"""a"""""` + "\n", want: []found{item("1", `""a""`)}},
		{name: "quote that closes nothing", options: o, input: `1,"a"b"` + "\n" + `2,"a"\"b",` + "\n", want: []found{item("1", `a"b`), reject(MoreColumn, 11)}},
		{name: "quote that closes nothing, coded", options: o, input: `1,"a"\t"b"` + "\n", want: []found{item("1", "a\"\t\"b")}},
		{name: "quote in a field without", options: o, input: `1,a"b""c"` + "\n" + `2, "a"` + "\n", want: []found{item("1", `a"b""c"`), item("2", ` "a"`)}},
		{name: "escape in a field without", options: o, input: `1,\"a\,b` + "\\\n" + `c` + "\n", want: []found{item("1", "\"a,b\nc")}},
		{name: "escaped quote is no opening one", options: o, input: "1,\\\"a\n2,b\n", want: []found{item("1", `"a`), item("2", "b")}},
		{name: "the word NULL", options: o, input: "1,NULL\n2,\"NULL\"\n3,N\\ULL\n4,\\NULLx\n5,\\\\NULL\n6,null\n",
			want: []found{skip(NullValue), item("2", "NULL"), skip(NullValue), item("4", "NULLx"), item("5", `\NULL`), item("6", "null")}},
		{name: "enclosed escaped N", options: o, input: `1,"\N"` + "\n" + `2,"\\N"` + "\n" + `"\N",2` + "\n", want: []found{skip(NullValue), item("2", `\N`), reject(NullKey, 2)}},
		{name: "NULL empty", options: empty, input: `1,"\N"` + "\n2,NULL\n3,\\N\n", want: []found{item("1", ""), item("2", ""), item("3", "")}},
		{name: "empty fields", options: o, input: "1,\n2,\"\"\n", want: []found{item("1", ""), item("2", "")}},
		{name: "object", options: json, input: `"id","n""m"` + "\n" + `1,"\N"` + "\n" + `2,"x\"y"` + "\n3,\"\\\n\"\n",
			want: []found{nothing, item("1", `{"id":"1","n\"m":null}`), item("2", `{"id":"2","n\"m":"x\"y"}`), item("3", `{"id":"3","n\"m":"\n"}`)}},
		{name: "open", options: o, input: "1,\"a\n2,b\n", want: []found{reject(OpenQuote, 3)}},
		{name: "open by an escape", options: o, input: `1,"a\"`, want: []found{reject(OpenQuote, 3)}},
		{name: "escape and nothing", options: o, input: `1,"a"` + "\n" + `2,a\`, want: []found{item("1", "a"), reject(LoneEscape, 4)}},
		{name: "line ends of Windows", options: o, input: "1,\"a\"\r\n2,\"b\"\r\n", want: []found{reject(CarriageEnd, 6), reject(CarriageEnd, 6)}},
		{name: "carriage return behind a quote", options: o, input: "1,\"a\"\rb\"\n2,\"b\"\r", want: []found{item("1", "a\"\rb"), reject(CarriageEnd, 6)}},
	})
}

// TestOutfileUnescaped: FIELDS ESCAPED BY ”.
func TestOutfileUnescaped(t *testing.T) {
	t.Parallel()
	plain := Options{Format: Outfile, Escape: "none"}
	quoted := Options{Format: Outfile, Delimiter: ";", Quote: "'", Escape: "none"}
	skipped := plain
	skipped.Null = NullSkip
	run(t, Outfile, []parserTest{
		{name: "backslashes are data", options: plain, input: "k\t\\n\\\nl\t\\N\n", want: []found{item("k", `\n\`), item("l", `\N`)}},
		{name: "NULL looks like its text", options: plain, input: "k\tNULL\n", want: []found{item("k", "NULL")}},
		{name: "NULL skipped", options: skipped, input: "k\tNULL\n", want: []found{skip(NullValue)}},
		{name: "enclosed", options: quoted, input: "k;'a;\n\\'\n'l';NULL\nm;'NULL'\n", want: []found{item("k", "a;\n\\"), skip(NullValue), item("m", "NULL")}},
		{name: "a quote", options: quoted, input: "k;'a'b'\n", want: []found{item("k", "a'b")}},
		{name: "two quotes", options: quoted, input: "k;'a''b'\nl;'c'\n", want: []found{reject(TwoQuotes, 5), item("l", "c")}},
		{name: "empty", options: quoted, input: "k;''\n", want: []found{item("k", "")}},
	})
}

// TestDialects: csv and tsv with characters of another dialect.
func TestDialects(t *testing.T) {
	t.Parallel()
	run(t, CSV, []parserTest{
		{name: "semicolon", options: Options{Delimiter: ";"}, input: "1001;3,50\r\n1002;\"a;b\"\n", want: []found{item("1001", "3,50"), item("1002", "a;b")}},
		{name: "tab", options: Options{Delimiter: "tab", Quote: "'"}, input: "k\t'a\t''\"\nb'\nl\t\"\n", want: []found{item("k", "a\t'\"\nb"), item("l", `"`)}},
		{name: "no quotes", options: Options{Quote: "none"}, input: "k,\"a\"\r\n\"l,\x00\n", want: []found{item("k", `"a"`), item(`"l`, "\x00")}},
		{name: "escapes", options: Options{Escape: `\`}, input: "k,\"a\\\"\\\nb\"\nl,\\N\nm,\n", want: []found{item("k", "a\"\nb"), item("l", ""), item("m", "")}},
		{name: "unit separator", options: Options{Delimiter: "\x1f"}, input: "k\x1fv\n", want: []found{item("k", "v")}},
	})
	run(t, TSV, []parserTest{
		{name: "bar", options: Options{Delimiter: "|"}, input: "k|a\tb\r\n", want: []found{item("k", "a\tb\r")}},
		{name: "quotes", options: Options{Quote: `"`}, input: "k\t\"a\t\nb\"\r\n", want: []found{item("k", "a\t\nb")}},
	})
}

// encodeOutfile is what INTO OUTFILE does with a text (sql/sql_class.cc: select_export::send_data).
func encodeOutfile(d dialect, enclosed bool) func(string) string {
	return func(s string) string {
		end := d.delimiter
		if enclosed {
			end = d.quote
		}
		var b strings.Builder
		for i := range len(s) {
			switch s[i] {
			case 0:
				b.WriteByte(d.escape)
				b.WriteByte('0')
				continue
			case end, d.escape, '\n':
				b.WriteByte(d.escape)
			}
			b.WriteByte(s[i])
		}
		if enclosed {
			return string(d.quote) + b.String() + string(d.quote)
		}
		return b.String()
	}
}

func FuzzOutfile(f *testing.F) {
	seedTexts(f, "", "k\tv\n", "k\t\\0\\b\\n\\r\\t\\Z\\\\\\q\n", "k\ta\\\nb\nl\t1\n", "k,\"v\"\r\n\"k\",\"\\N\"\n", "k,\"a\"\"b\\\"\"c\"\nNULL,v\n", "\"k\",\"a\"\\\n\",\nl,\"x\"\r",
		"k,\""+strings.Repeat(`v\\""`, 50)+"\"\nl,w\n", "k\t"+strings.Repeat("\\\\\\\n", 50)+"\nl\tw\n", `k,"a`+"\n"+`"b",c`+"\n")
	f.Fuzz(func(t *testing.T, input, a, b string, size uint8) {
		if len(input) > inputMax || len(a)+len(b) > inputMax {
			return
		}
		for _, o := range []Options{
			{}, {Delimiter: ",", Quote: `"`}, {Delimiter: ",", Quote: `"`, Escape: none}, {Escape: none}, {Delimiter: ",", Escape: "|"},
		} {
			o.Format = Outfile
			checkCut(t, o, 4+int(size), input)
			checkLoadData(t, o, input)
			o.Header, o.Value = true, "json"
			parse(t, o, 4+int(size), input)
		}
		checkRoundTrip(t, Options{Format: Outfile}, joined(encodeOutfile(dialects[Outfile], false), "\t", "\n"), a, b)
		d := dialect{delimiter: ';', quote: '\'', escape: '|'}
		o := Options{Format: Outfile, Delimiter: ";", Quote: "'", Escape: "|"}
		checkRoundTrip(t, o, joined(encodeOutfile(d, true), ";", "\n"), a, b)
		if a != "NULL" && b != "NULL" && !strings.HasPrefix(a, "'") && !strings.HasPrefix(b, "'") {
			checkRoundTrip(t, o, joined(encodeOutfile(d, false), ";", "\n"), a, b)
		}
	})
}

// loadData reads the fields of a row as MariaDB's READ_INFO::read_field does, byte by byte, and returns what is behind
// the row. sound is false if this package rejects the row.
func loadData(d dialect, in string) (fields []string, rest string, sound bool) {
	at := 0
	get := func() int {
		if at == len(in) {
			at++
			return -1
		}
		at++
		return int(in[at-1])
	}
	is := func(c int, b byte) bool { return b != 0 && c == int(b) }
	sound = true
	for {
		var data []byte
		null, found := false, false
		if at < len(in) && is(int(in[at]), d.quote) {
			found = true
			at++
		}
		ended := byte(0) // by the delimiter, a line feed, or the end of the input: e
		for ended == 0 {
			c := get()
			switch {
			case c < 0:
				ended = 'e'
				sound = sound && !found
			case is(c, d.escape):
				if c = get(); c < 0 {
					ended = 'e'
					sound = false
					continue
				}
				null = null || c == 'N'
				data = append(data, outfileEscape(byte(c)))
			case c == '\n' && !found:
				ended = '\n'
			case is(c, d.quote) && found:
				switch c = get(); {
				case is(c, d.quote):
					data = append(data, d.quote)
					sound = sound && d.escape != 0
				case c < 0:
					ended = 'e'
				case c == '\n':
					ended = '\n'
				case is(c, d.delimiter):
					ended = d.delimiter
				default:
					at--
					data = append(data, d.quote)
					if strings.HasPrefix(in[at:], "\r\n") || in[at:] == "\r" {
						return nil, "", false
					}
				}
			case is(c, d.delimiter) && !found:
				ended = d.delimiter
			default:
				data = append(data, byte(c))
			}
		}
		text := string(data)
		if null && len(text) == 1 || !found && d.quote != 0 && text == "NULL" {
			text = "\x00NULL"
		}
		fields = append(fields, text)
		if ended != d.delimiter {
			return fields, in[min(at, len(in)):], sound
		}
	}
}

// checkLoadData compares the fields of each row with those that LOAD DATA reads.
func checkLoadData(t *testing.T, options Options, input string) {
	t.Helper()
	d, err := newDialect(&options)
	if err != nil {
		t.Fatal(err)
	}
	o := newOutfile(d)
	if d.quote == 0 && d.escape == 0 {
		o.null = nil // what LOAD DATA reads as text
	}
	for len(input) > 0 {
		want, rest, sound := loadData(d, input)
		content, size := o.next([]byte(input), true)
		row := []byte(input[:content])
		var got []string
		fields, reason, _ := o.split(nil, row)
		for _, f := range fields {
			text := row[f.at:f.end]
			if f.null {
				text = []byte("\x00NULL")
			} else if f.coded && reason == "" {
				text, reason, _ = o.unescape(nil, text)
			}
			got = append(got, string(text))
		}
		if sound != (reason == "") {
			t.Fatalf("%+v, %q: %q, LOAD DATA reads %q, sound %t", d, input, reason, want, sound)
		}
		if !sound {
			return
		}
		if strings.Join(got, "\x00|") != strings.Join(want, "\x00|") || input[size:] != rest {
			t.Fatalf("%+v, %q: %q, LOAD DATA: %q, and then %q", d, input, got, want, rest)
		}
		input = rest
	}
}

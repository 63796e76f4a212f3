package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// typed is a row as JSON whose columns are JSON.
func typed(columns string) Options {
	return Options{Header: true, Key: "id", Value: "json", JSONColumns: columns}
}

func TestJSONColumns(t *testing.T) {
	t.Parallel()
	with := func(null Null) Options {
		o := typed("n")
		o.Null = null
		return o
	}
	null := item("1", `{"id":"1","n":null}`)
	run(t, CSV, []parserTest{
		{name: "every type", options: typed("id,a,b,c,d,e"), input: "id,a,b,c,d,e,f\n1,-1.50e+3,true,null,\"[1, {\"\"x\"\":\"\"y\"\"}]\",\"\"\"s\\u00e9\"\"\",2\n",
			want: []found{nothing, item("1", `{"id":1,"a":-1.50e+3,"b":true,"c":null,"d":[1, {"x":"y"}],"e":"s\u00e9","f":"2"}`)}},
		{name: "a number as it is", options: typed("n"), input: "id,n\n1,123456789012345678901234567890.10\n2,-0\n",
			want: []found{nothing, item("1", `{"id":"1","n":123456789012345678901234567890.10}`), item("2", `{"id":"2","n":-0}`)}},
		{name: "white space as it is", options: typed("n"), input: "id,n\n1,\" {\n\t\"\"a\"\": 1 }\r\n\"\n", want: []found{nothing, item("1", "{\"id\":\"1\",\"n\": {\n\t\"a\": 1 }\r\n}")}},
		{name: "by number, twice, and the key", options: typed("2,n,1"), input: "id,n\n1,2\n", want: []found{nothing, item("1", `{"id":1,"n":2}`)}},
		{name: "a name with a comma", options: typed("2"), input: "id,\"n,m\"\n1,2\n", want: []found{nothing, item("1", `{"id":"1","n,m":2}`)}},
		{name: "names with odd bytes", options: typed(`a"\, é`), input: "id,\"a\"\"\\\",\" é\"\n1,2,3\n", want: []found{nothing, item("1", `{"id":"1","a\"\\":2," é":3}`)}},
		{name: "with a time to live", options: Options{Header: true, Key: "id", Value: "json", JSONColumns: "ttl", TTLColumn: "ttl"}, input: "id,ttl\n1,60\n",
			want: []found{nothing, {kind: Item, key: "1", value: `{"id":"1","ttl":60}`, ttl: 60}}},
		{name: "NULL", options: with(""), input: "id,n\n1,\n", want: []found{nothing, null}},
		{name: "NULL is text", options: with(NullLiteral), input: "id,n\n1,\n", want: []found{nothing, null}},
		{name: "NULL is skipped", options: with(NullSkip), input: "id,n\n1,\n", want: []found{nothing, null}},
		{name: "no JSON", options: typed("n"), input: "id,n\n1,\"\"\n1,t\n1,01\n1,.5\n1,NaN\n1,a b\n1,1 2\n1,[1\n1,'a'\n1,NULL\n",
			want: []found{nothing, reject(NotJSON, 4), reject(NotJSON, 3), reject(NotJSON, 3), reject(NotJSON, 3), reject(NotJSON, 3), reject(NotJSON, 3),
				reject(NotJSON, 3), reject(NotJSON, 3), reject(NotJSON, 3), reject(NotJSON, 3)}},
		{name: "nested too deep", options: typed("n"), input: "id,n\n1," + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "\n", want: []found{nothing, reject(NotJSON, 3)}},
		{name: "bad UTF-8", options: typed("n"), input: "id,n\n1,\"\"\"\xff\"\"\"\n", want: []found{nothing, reject(NotUTF8, 4)}},
		{name: "no such name", options: typed("n,"), input: "id,n\n1,2\n", want: []found{failed(`there is no column ""`)}},
		{name: "no such number", options: typed("3"), input: "id,n\n1,2\n", want: []found{failed(`there is no column "3"`)}},
		{name: "no such name, with a space", options: typed("id, n"), input: "id,n\n1,2\n", want: []found{failed(`there is no column " n"`)}},
		{name: "two of the same name", options: typed("n"), input: "id,n,n\n1,2,3\n", want: []found{failed(`the header has two columns "n"`)}},
		{name: "too long", options: Options{Header: true, Key: "id", Value: "json", JSONColumns: "n", ValueMax: 21}, input: "id,n\n1,123456\n1,1234567\n1," + strings.Repeat("1", 99) + "\n",
			want: []found{nothing, item("1", `{"id":"1","n":123456}`), large("1"), large("1")}},
	})
	run(t, MySQL, []parserTest{
		// In a column of JSON the text NULL cannot be anything else.
		{name: "mysql", options: typed("n,j"), input: "id\tn\tj\tt\n1\tNULL\t{\"a\":\"\\\\n\"}\tNULL\n2\t1\tnull\t1\n",
			want: []found{nothing, item("1", `{"id":"1","n":null,"j":{"a":"\n"},"t":"NULL"}`), item("2", `{"id":"2","n":1,"j":null,"t":"1"}`)}},
		{name: "bad escape", options: typed("n"), input: "id\tn\n1\t\\x\n", want: []found{nothing, reject(BadEscape, 3)}},
	})
	run(t, PSQL, []parserTest{
		{name: "psql", options: typed("n"), input: "id\tn\n1\t\\N\n2\t{\"a\": \"\\\\t\"}\n3\t\n", want: []found{nothing, null, item("2", `{"id":"2","n":{"a": "\t"}}`), reject(NotJSON, 3)}},
		{name: "psql literal", options: with(NullLiteral), input: "id\tn\n1\t\\N\n", want: []found{nothing, null}},
	})
	run(t, TSV, []parserTest{{name: "tsv", options: typed("n"), input: "id\tn\n1\t\n1\t2\n", want: []found{nothing, null, item("1", `{"id":"1","n":2}`)}}})
}

// A row that is cut has its key, whatever its columns are.
func TestJSONColumnsCut(t *testing.T) {
	t.Parallel()
	o := typed("n")
	o.Format = CSV
	input := "id,n\n1," + strings.Repeat("1", 99) + "\n2,3\n"
	check(t, input, parse(t, o, 40, input), []found{nothing, large("1"), item("2", `{"id":"2","n":3}`)})
}

// A JSON column is in the object what encoding/json reads from its text, or the row is rejected.
func FuzzJSONColumns(f *testing.F) {
	for _, text := range []string{"", "null", "1e5", "-0.10", "true", `"a\u00e9\ud800"`, `{"a":[1,{"b":null}]}`, "[1,]", "01", " 7\n", "\xff", `"` + "\xff" + `"`, "NULL", `\N`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > inputMax {
			return
		}
		for format, encode := range map[Format]encoder{
			MySQL: joined(encodeMySQL, "\t", "\n"), PSQL: joined(encodePSQL, "\t", "\n"), CSV: joined(encodeCSV, ",", "\r\n"),
		} {
			o := typed("n")
			o.Format = format
			if format == CSV {
				o.Escape = none // else a backslash before each line feed is one of INTO OUTFILE, or refused
			}
			input := encode("id", "n", "s") + encode("1", text, text)
			rows := parse(t, o, 0, input)
			if len(rows) != 2 {
				t.Fatalf("%q: %+v", input, rows)
			}
			row := rows[1]
			want := text
			if format == MySQL && text == "NULL" {
				want = "null"
			}
			if !utf8.ValidString(text) || !json.Valid([]byte(want)) {
				if row.kind != Reject || row.reason != NotUTF8 && row.reason != NotJSON {
					t.Fatalf("%q: %+v", input, row)
				}
				continue
			}
			var object struct {
				N json.RawMessage
				S string
			}
			if err := json.Unmarshal([]byte(row.value), &object); row.kind != Item || err != nil {
				t.Fatalf("%q: %+v, %v", input, row, err)
			}
			if !bytes.Equal(object.N, bytes.TrimSpace([]byte(want))) || object.S != text {
				t.Fatalf("%q: %q, with %q and %q", input, row.value, object.N, object.S)
			}
		}
	})
}

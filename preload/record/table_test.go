package record

import (
	"encoding/json"
	"memcached-backdoor/preload/option"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	named := Options{Header: true, Key: "id", Value: "bio"}
	run(t, CSV, []parserTest{
		{name: "two columns", options: Options{Header: true}, input: "id,bio\n1,x\n", want: []found{nothing, item("1", "x")}},
		{name: "names", options: named, input: "bio,age,id\nx,30,1\n", want: []found{nothing, item("1", "x")}},
		{name: "line ends of Windows", options: named, input: "id,bio\r\n1,x\r\n", want: []found{nothing, item("1", "x")}},
		{name: "quotes and a mark", options: named, input: "\xef\xbb\xbf\"id\",\"bio\"\n1,x\n", want: []found{nothing, item("1", "x")}},
		{name: "empty lines before it", options: named, input: "\n\nid,bio\n1,x\n", want: []found{nothing, nothing, nothing, item("1", "x")}},
		{name: "numbers", options: Options{Header: true, Key: "2", Value: "1"}, input: "id,bio\nx,1\n", want: []found{nothing, item("1", "x")}},
		{name: "numbers that are names", options: Options{Header: true, Key: "2", Value: "1"}, input: "2,1\nk,v\n", want: []found{nothing, item("k", "v")}},
		{name: "two of the same name", options: named, input: "id,bio,id\n1,x,2\n", want: []found{failed(`the header has two columns "id"`)}},
		{name: "two of the same name, in an object", options: Options{Header: true, Key: "1", Value: "json"}, input: "k,id,id\n",
			want: []found{failed(`the header has two columns "id"`)}},
		{name: "two of a name that is not used", options: named, input: "id,bio,a,a\n1,x,2,3\n", want: []found{nothing, item("1", "x")}},
		{name: "name with a quote", options: Options{Header: true, Key: `i"d`, Value: "{b,io}"}, input: "\"i\"\"d\",\"b,io\"\n1,x\n", want: []found{nothing, item("1", "x")}},
		{name: "template", options: Options{Header: true, Key: "u:{id}", Value: "{bio} {1}"}, input: "id,bio\n1,x\n", want: []found{nothing, item("u:1", "x 1")}},
		{name: "ttl and flags", options: Options{Header: true, Key: "id", Value: "bio", TTLColumn: "ttl", FlagsColumn: "f"}, input: "f,id,ttl,bio\n7,1,60,x\n",
			want: []found{nothing, {kind: Item, key: "1", value: "x", ttl: 60, flags: 7}}},
		{name: "key and value by default", options: Options{Header: true, ExpiresColumn: "until"}, input: "id,bio,until\n1,x,946684860\n",
			want: []found{nothing, {kind: Item, key: "1", value: "x", ttl: 60}}},
		{name: "too few columns", options: named, input: "id,bio,age\n1,x\n", want: []found{nothing, reject(NoColumn, 4)}},
		{name: "too many columns", options: named, input: "id,bio\n1,x,2\n", want: []found{nothing, reject(MoreColumn, 5)}},
		{name: "three columns", options: Options{Header: true}, input: "id,bio,age\n",
			want: []found{failed(`the header has 3 columns, not just a key and a value: "id", "bio", "age"`)}},
		{name: "one column", options: Options{Header: true}, input: "id\n", want: []found{failed(`the header has 1 columns, not just a key and a value: "id"`)}},
		{name: "the value's column before it", options: Options{Header: true, TTLColumn: "ttl"}, input: "id,ttl,bio\n",
			want: []found{failed(`the header has 3 columns, not just a key and a value: "id", "ttl", "bio"`)}},
		{name: "no such name", options: named, input: "id,age\n1,x\n", want: []found{failed(`there is no column "bio"`)}},
		{name: "no such number", options: Options{Header: true, Key: "1", Value: "3"}, input: "id,age\n", want: []found{failed(`there is no column "3"`)}},
		{name: "no such ttl", options: Options{Header: true, TTLColumn: "ttl"}, input: "id,bio\n", want: []found{failed(`there is no column "ttl"`)}},
		{name: "it is malformed", options: Options{Header: true, Key: "1", Value: "2"}, input: "id,b\"io\n1,x\n2,y\n",
			want: []found{failed("the header is malformed at byte 5: " + string(BareQuote))}},
		{name: "nothing", options: named, input: ""},
	})
	run(t, MySQL, []parserTest{
		{name: "mysql", options: named, input: "id\tbio\n1\tx\\n\n", want: []found{nothing, item("1", "x\n")}},
		// MariaDB does not escape names (client/mysql.cc: print_tab_data).
		{name: "backslash in a name", options: Options{Header: true, Key: `i\td`, Value: "2"}, input: "i\\td\tb\\io\n1\tx\n", want: []found{nothing, item("1", "x")}},
		{name: "a name like NULL", options: Options{Header: true, Key: "NULL", Value: "2", Null: NullSkip}, input: "NULL\tbio\n1\tx\n", want: []found{nothing, item("1", "x")}},
	})
	run(t, PSQL, []parserTest{
		{name: "psql", options: named, input: "id\tbio\n1\t\\N\n\\.\n\n", want: []found{nothing, skip(NullValue), nothing, nothing}},
		{name: "psql, another table", options: named, input: "id\tbio\n1\tv\n\\.\nbio\tid\nv\t1\n", want: []found{nothing, item("1", "v"), nothing, failed(`behind \. is another table, whose columns the header does not name`)}},
	})
}

// TestHeaderHint: the hint to a missing column is what the header has.
func TestHeaderHint(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Format: CSV, Header: true, Key: "id"})
	if err != nil {
		t.Fatal(err)
	}
	var row Row
	header := "a" + strings.Repeat(",b", 20) + ",last\n"
	kind := p.Next([]byte(header), true, &row)
	failure, ok := row.Err.(*option.Error)
	if kind != Failed || !ok || failure.Message != `there is no column "id"` {
		t.Fatalf("kind %d, %v", kind, row.Err)
	}
	if want := `the header has "a"` + strings.Repeat(`, "b"`, 19) + ", …"; failure.Hint != want {
		t.Errorf("hint %q, want %q", failure.Hint, want)
	}
}

// TestHeaderRow: a load can tell the header from other input that is not a row.
func TestHeaderRow(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Format: CSV, Header: true})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("\nid,bio\n\n")
	for _, header := range []bool{false, true, false} {
		var row Row
		if kind := p.Next(data, true, &row); kind != Nothing || row.Header != header {
			t.Errorf("%q: kind %d, header %t", data, kind, row.Header)
		}
		data = data[row.Size:]
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	whole := Options{Header: true, Key: "id", Value: "json"}
	literal := Options{Header: true, Key: "id", Value: "json", Null: NullLiteral}
	run(t, CSV, []parserTest{
		{name: "plain", options: whole, input: "id,bio\n1,x\n", want: []found{nothing, item("1", `{"id":"1","bio":"x"}`)}},
		{name: "NULL", options: whole, input: "id,a,b\n1,,\"\"\n", want: []found{nothing, item("1", `{"id":"1","a":null,"b":""}`)}},
		{name: "NULL is text", options: literal, input: "id,a\n1,\n", want: []found{nothing, item("1", `{"id":"1","a":""}`)}},
		{name: "escapes", options: whole, input: "id,\"a\"\"b\"\n1,\"\"\"\\\n\r\t\x00\x1f\x7fé\"\n",
			want: []found{nothing, item("1", `{"id":"1","a\"b":"\"\\\n\r\t\u0000\u001f`+"\x7f"+`é"}`)}},
		{name: "key from a template", options: Options{Header: true, Key: "u\"{id}", Value: "json"}, input: "id\n1\n", want: []found{nothing, item(`u"1`, `{"id":"1"}`)}},
		{name: "default key", options: Options{Header: true, Value: "json"}, input: "id,bio\n1,x\n", want: []found{nothing, item("1", `{"id":"1","bio":"x"}`)}},
		{name: "ttl and flags", options: Options{Header: true, Value: "json", TTLColumn: "ttl"}, input: "id,ttl\n1,60\n1,-1\n",
			want: []found{nothing, {kind: Item, key: "1", value: `{"id":"1","ttl":"60"}`, ttl: 60}, skip(Expired)}},
		{name: "bad UTF-8", options: whole, input: "id,bio\n1,a\xff\n2,\"b\"\n", want: []found{nothing, reject(NotUTF8, 3), item("2", `{"id":"2","bio":"b"}`)}},
		{name: "bad UTF-8 in a name", options: whole, input: "id,b\xffo\n1,x\n", want: []found{failed("the header is malformed at byte 4: " + string(NotUTF8))}},
		{name: "bad UTF-8 is allowed otherwise", options: Options{Header: true}, input: "id,b\xffo\n1,\xff\n", want: []found{nothing, item("1", "\xff")}},
		{name: "a column of this name", options: Options{Header: true, Value: "{json}"}, input: "id,json\n1,x\n", want: []found{nothing, item("1", "x")}},
	})
	run(t, PSQL, []parserTest{
		{name: "psql", options: whole, input: "id\ta\tb\n1\t\\N\t\\x41\\t\n", want: []found{nothing, item("1", `{"id":"1","a":null,"b":"A\t"}`)}},
		{name: "psql literal", options: literal, input: "id\ta\n1\t\\N\n", want: []found{nothing, item("1", `{"id":"1","a":"\\N"}`)}},
	})
	run(t, MySQL, []parserTest{
		{name: "mysql", options: whole, input: "id\ta\n1\tNULL\n1\t\\x\n", want: []found{nothing, item("1", `{"id":"1","a":"NULL"}`), reject(BadEscape, 3)}},
	})
	run(t, JSONL, []parserTest{
		{name: "jsonl", options: Options{Value: "json"}, input: " {\"key\" : \"k\", \"a\":[1]} ,\r\n", want: []found{item("k", `{"key" : "k", "a":[1]}`)}},
		{name: "jsonl with a number as the key", options: Options{Key: "id", Value: "json"}, input: `{"id":1,"ttl":5}`,
			want: []found{{kind: Item, key: "1", value: `{"id":1,"ttl":5}`, ttl: 5}}},
		{name: "jsonl without the key", options: Options{Key: "id", Value: "json"}, input: `{"key":1}`, want: []found{reject(NoMember, 1)}},
		{name: "jsonl with a bad escape", options: Options{Value: "json"}, input: `{"key":"k","a":"\q"}` + "\n" + `{"key":"\q","key":"k"}` + "\n" + `{"key":"k","a":"\u12"}`,
			want: []found{reject(BadJSON, 16), reject(BadJSON, 8), reject(BadJSON, 16)}},
	})
}

// checkObject compares an object with the columns that it is made of.
func checkObject(t testing.TB, object string, names []string, values []any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(object), &got); err != nil {
		t.Fatalf("%q: %v", object, err)
	}
	want := map[string]any{}
	for i, name := range names {
		want[name] = values[i]
	}
	if len(got) != len(want) {
		t.Fatalf("%q has %d members, want %d", object, len(got), len(want))
	}
	for name, value := range want {
		if other, ok := got[name]; !ok || other != value {
			t.Fatalf("%q has %#v as %q, want %#v", object, other, name, value)
		}
	}
}

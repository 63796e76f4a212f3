package record

import (
	"slices"
	"strings"
	"testing"
)

// Objects are rows wherever their lines end, and what is malformed costs no row behind it.
func TestObjects(t *testing.T) {
	t.Parallel()
	const (
		a = `{"key":"a","value":"1"}`
		b = `{"key":"b","value":"2"}`
	)
	both := []found{item("a", "1"), item("b", "2")}
	pretty := "{\n  \"key\": \"a\",\n  \"value\": \"1\"\n}"
	for _, test := range []struct {
		name, input string
		want        []found // without what is not a row
		open        bool    // an array is not closed
	}{
		{name: "array on one line", input: "[" + a + "," + b + "]\n", want: both},
		{name: "without a line end", input: "[" + a + " , " + b + " ] ", want: both},
		{name: "two arrays", input: "[" + a + "]\n[" + b + "]\n", want: both},
		{name: "two arrays on one line", input: "[" + a + "][" + b + "]", want: both},
		{name: "two objects on one line", input: a + b + "\n", want: both},
		{name: "with a space between", input: a + "\t " + b, want: both},
		{name: "comma at the end", input: "[" + a + "," + b + ",]", want: both},
		{name: "commas in front", input: "[ " + a + "\n, " + b + "\n]", want: both},
		{name: "json_agg of PostgreSQL", input: "[" + a + ", \n " + b + "]\n", want: both},
		{name: "jq without -c", input: pretty + "\n" + b + "\n", want: both},
		{name: "line ends of Windows", input: strings.ReplaceAll(pretty+"\n"+b+"\n", "\n", "\r\n"), want: both},
		{name: "json.dump with indent", input: "[\n  {\n    \"key\": \"a\",\n    \"value\": \"1\"\n  },\n  " + b + "\n]\n", want: both},
		{name: "Jackson", input: "[ {\n  \"key\" : \"a\",\n  \"value\" : \"1\"\n}, {\n  \"key\" : \"b\",\n  \"value\" : \"2\"\n} ]", want: both},
		{name: "nested", input: "{\n  \"key\": \"a\",\n  \"value\": {\n    \"b\": [\n      {}\n    ]\n  }\n}\n" + b,
			want: []found{item("a", "{\n    \"b\": [\n      {}\n    ]\n  }"), item("b", "2")}},
		{name: "braces in strings", input: "{\n  \"key\": \"a\",\n  \"}\\\"}\": \"{\",\n  \"value\": \"1\"\n}\n" + b, want: both},

		{name: "array not closed", input: "[" + a + ",\n" + b, want: both, open: true},
		{name: "second array not closed", input: "[" + a + "][" + b, want: both, open: true},
		{name: "cut in an object", input: "[" + a + "," + b[:15], want: []found{item("a", "1"), reject(OpenObject, 16)}, open: true},
		{name: "bracket that closes nothing", input: a + "]\n" + b, want: both},

		{name: "bad object in an array on one line", input: "[" + a + `,{"key":tru},` + b + "]", want: []found{item("a", "1"), reject(BadJSON, 8), item("b", "2")}},
		{name: "bad object over lines", input: "{\n  \"key\": tru\n}\n" + a, want: []found{reject(BadJSON, 12), item("a", "1")}},
		{name: "cut in a string", input: `{"key":"x` + "\n" + a, want: []found{reject(OpenObject, 10), item("a", "1")}},
		{name: "cut behind a value", input: `{"key":"x"` + "\n" + a, want: []found{reject(OpenObject, 11), item("a", "1")}},
		{name: "cut before a value", input: `{"key":"x","value":` + "\n" + a + "\n" + b, want: []found{reject(OpenObject, 20), item("a", "1"), item("b", "2")}},
		{name: "cut in an array", input: `{"key":"x","value":[` + "\n" + a + ",\n" + b, want: []found{reject(OpenObject, 21), item("a", "1"), item("b", "2")}},
		{name: "cut in an object of an indented array", input: "[\n  {\n    \"key\": \"x\",\n  " + a + "\n]", want: []found{reject(OpenObject, 23), item("a", "1")}},
		{name: "brace missing in an array on one line", input: `[{"key":"x","value":{"v":1},` + a + ", " + b + "]", want: []found{reject(OpenObject, 28), item("a", "1"), item("b", "2")}},
		{name: "brace missing as Jackson writes", input: "[ {\n  \"key\" : \"x\",\n  \"v\" : {\n    \"v\" : [ 1, {} ]\n}, " + a + "]", want: []found{reject(OpenObject, 52), item("a", "1")}},
		{name: "nested deeper than is looked at", input: `{"key":"a","value":"1","x":` + strings.Repeat(`[{"x":`, 70) + "[{},{}]" + strings.Repeat("}]", 70) + "}" + b, want: both},
		{name: "brackets that close braces, deep inside", input: strings.Repeat(`{"x":`, 70) + strings.Repeat("]", 99) + strings.Repeat("}", 69) + `,"x":{}}` + "\n" + a,
			want: []found{reject(BadJSON, 6), item("a", "1")}},
		{name: "brace too many", input: `{"key":"x","value":1}}` + "\n" + a, want: []found{reject(BadJSON, 22), item("a", "1")}},
		{name: "something behind it", input: a + " x\n" + b, want: []found{reject(BadJSON, 25), item("b", "2")}},
		{name: "no objects in an array", input: "[1," + a + "]\n" + b, want: []found{reject(BadJSON, 1), item("b", "2")}},
		{name: "arrays in an array", input: "[[1,\"a\"],\n[2,\"b\"]]\n" + b, want: []found{reject(BadJSON, 1), reject(BadJSON, 1), item("b", "2")}},
		{name: "rows in an object", input: `{"users":[` + a + "," + b + "]}", want: []found{reject(NoMember, 1)}},
		{name: "rows in an object over lines", input: "{\"rows\":[\n" + a + ",\n" + b + "\n]}\n",
			want: []found{reject(OpenObject, 10), item("a", "1"), item("b", "2"), reject(BadJSON, 1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rows := slices.DeleteFunc(parse(t, Options{Format: JSONL}, 0, test.input), func(row found) bool { return row.kind == Nothing })
			check(t, test.input, rows, test.want)
			if open := incomplete(t, test.input, false); open != test.open {
				t.Errorf("incomplete: %t", open)
			}
		})
	}
	// A load that is resumed may begin in an array.
	for input, open := range map[string]bool{a: false, a + "," + b: true, a + "," + b + "]": false, "]" + a: false} {
		if got := incomplete(t, input, true); got != open {
			t.Errorf("%q: incomplete: %t", input, got)
		}
	}
}

// incomplete parses an input and reports whether its end is missing.
func incomplete(t *testing.T, input string, resumed bool) bool {
	t.Helper()
	p, err := New(Options{Format: JSONL, ValueMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if resumed {
		p.Resume(State{})
	}
	for data := []byte(input); len(data) > 0; {
		var row Row
		p.Next(data, true, &row)
		data = data[row.Size:]
	}
	return p.Incomplete()
}

// Rows say how many lines they have, so that the next one has the right number.
func TestObjectLines(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Format: JSONL, ValueMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for data := []byte("[{\n\"key\":1,\n\"value\":2}, {\"key\":3,\"value\":4}\n]\n{\"x\n{\n \n{}"); len(data) > 0; {
		var row Row
		p.Next(data, true, &row)
		data = data[row.Size:]
		got = append(got, row.Lines)
	}
	if want := []int{0, 2, 1, 0, 1, 1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d", got, want)
	}
}

// What is said of a row lets a person mend it.
func TestObjectDetails(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`{"users":[{"key":"a"}]}`:                                 `the object has no such member: "key"; the rows seem to be in "users": jq -c '.users[]' writes one on each line`,
		`{"n":1,"my rows":[ {"key":"a"}`:                          `the object is not closed: the rows seem to be in "my rows": jq -c '.["my rows"][]' writes one on each line`,
		`{"it's":[{}]}`:                                           `the object has no such member: "key"; the rows seem to be in "it's": jq -c '.[][]' writes one on each line`,
		`{"id":1,"na\u006de":"x"}`:                                `the object has no such member: "key"; its members are "id", "name"`,
		`{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1}`: `the object has no such member: "key"; its members are "1", "2", "3", "4", "5", "6", "7", "8", …`,
		`{}`:                         `the object has no such member: "key"; it has none`,
		`{"key":"k","v":1}`:          `the object has no such member: "value"; its members are "key", "v"`,
		`"a"`:                        `not a JSON object: a string`,
		`-1`:                         `not a JSON object: a number`,
		`key`:                        `not a JSON object: "key"`,
		`{"key":tru,"value":"x"}`:    `not a JSON object: "tru,\"value\":\"x\"}"`,
		`{"key":"a","value":"b",}`:   `not a JSON object: "}"`,
		`{"key":1,"value":2} x`:      `not a JSON object: "x"`,
		"{\"key\":\"a\n":             `the object is not closed: its line ends in a string`,
		`{"key":"a"`:                 `the object is not closed: a line with another one follows, or the end of the input`,
		"{\"key\":\"a\",\"\xff\":1}": `not UTF-8, which JSON must be: byte 0xff`,
	} {
		p, err := New(Options{Format: JSONL, ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		p.Next([]byte(input), true, &row)
		if got := row.Reason.With(row.Detail); got != want {
			t.Errorf("%q: %s\nwant %s", input, got, want)
		}
	}

	// Of a row that is too long the beginning tells.
	p, err := New(Options{Format: JSONL, ValueMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	p.Resume(State{}) // as behind other rows
	var row Row
	data := []byte("{\n  \"n\": 1,\n  \"users\": [\n    {\n      \"key\": \"a\",")
	if kind := p.Next(data, false, &row); kind != More {
		t.Fatalf("kind %d", kind)
	}
	const want = `the rows seem to be in "users": jq -c '.users[]' writes one on each line`
	if kind := p.Cut(data, &row); kind != Reject || row.Reason != TooLong || row.Detail != want {
		t.Errorf("kind %d, %s, want %s", kind, row.Reason.With(row.Detail), want)
	}
}

package record

import "testing"

func TestCSV(t *testing.T) {
	t.Parallel()
	run(t, CSV, []parserTest{
		{name: "plain", input: "a,1\nb,2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "line ends of Windows", input: "a,1\r\nb,\"2\"\r\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "last line end missing", input: "a,1\nb,2", want: []found{item("a", "1"), item("b", "2")}},
		{name: "half a last line end", input: "a,1\r", want: []found{item("a", "1")}},
		{name: "one carriage return only", input: "a,1\r\r\n", want: []found{item("a", "1\r")}},
		{name: "quotes", input: `"a","1"` + "\n", want: []found{item("a", "1")}},
		{name: "quotes at the end", input: `"a","1"`, want: []found{item("a", "1")}},
		{name: "comma in quotes", input: `"a,b","1,2"` + "\n", want: []found{item("a,b", "1,2")}},
		{name: "doubled quotes", input: `"a""b","""1""2"""` + "\n", want: []found{item(`a"b`, `"1"2"`)}},
		{name: "only quotes", input: `k,""""` + "\n", want: []found{item("k", `"`)}},
		{name: "line ends in quotes", input: "k,\"a\nb\r\nc\rd\n\"\nl,2\n", want: []found{item("k", "a\nb\r\nc\rd\n"), item("l", "2")}},
		{name: "line end before a quoted key", input: "a,1\n\"b\",2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "white space is data", input: "k, v \t\n", want: []found{item("k", " v \t")}},
		{name: "backslashes are data", input: `k,\n\"` + "\n", want: []found{reject(BareQuote, 6)}},
		{name: "any byte", input: "\xff,\x00\xff\x7f\n", want: []found{item("\xff", "\x00\xff\x7f")}},
		{name: "empty lines", input: "\n\r\nk,v\n\n", want: []found{nothing, nothing, item("k", "v"), nothing}},
		{name: "byte order mark", input: "\xef\xbb\xbf\"k\",v\n", want: []found{item("k", "v")}},
		{name: "mark in a later row", input: "k,v\n\xef\xbb\xbf\"k\",v\n", want: []found{item("k", "v"), reject(BareQuote, 4)}},
		{name: "mark and an empty line", input: "\xef\xbb\xbf\nk,v\n", want: []found{nothing, item("k", "v")}},
		{name: "column behind the mark", input: "\xef\xbb\xbfa b,v\n", want: []found{reject(KeyByte, 5)}},
		{name: "empty is NULL", input: "k,\n", want: []found{item("k", "")}},
		{name: "quoted empty is none", options: Options{Null: NullSkip}, input: "k,\nk,\"\"\n", want: []found{skip(NullValue), item("k", "")}},
		{name: "empty key", input: ",v\n\"\",v\n", want: []found{reject(EmptyKey, 1), reject(EmptyKey, 2)}},
		{name: "key with a line feed", input: "\"a\nb\",v\n", want: []found{reject(KeyByte, 3)}},
		{name: "quote in a field", input: "k,a\"b\nl,1\n", want: []found{reject(BareQuote, 4), item("l", "1")}},
		{name: "quote behind a space", input: "k, \"v\"\nl,1\n", want: []found{reject(BareQuote, 4), item("l", "1")}},
		{name: "text behind quotes", input: "k,\"a\"b\nl,1\n", want: []found{reject(AfterQuote, 6), item("l", "1")}},
		{name: "space behind quotes", input: "\"k\" ,v\n", want: []found{reject(AfterQuote, 4)}},
		{name: "carriage return behind quotes", input: "\"k\"\r,v\nl,1\n", want: []found{reject(AfterQuote, 4), item("l", "1")}},
		{name: "quotes behind a fault", input: "k,\"a\"b,\"c\nd\"\nl,1\n", want: []found{reject(AfterQuote, 6), item("l", "1")}},
		{name: "open quotes", input: "k,\"a\nl,1\n", want: []found{reject(OpenQuote, 3)}},
		{name: "open quotes at the end", input: "k,\"", want: []found{reject(OpenQuote, 3)}},
		{name: "open doubled quotes", input: "k,\"\"\"", want: []found{reject(OpenQuote, 3)}},
		{name: "one column", input: "k\n", want: []found{reject(NoColumn, 2)}},
		{name: "empty quotes are a row", input: "\"\"\n", want: []found{reject(NoColumn, 3)}},
		{name: "three columns", input: "k,v,w\nk,v,\n", want: []found{reject(MoreColumn, 5), reject(MoreColumn, 5)}},
	})
}

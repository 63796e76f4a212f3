package record

import (
	"errors"
	"memcached-backdoor/preload/option"
	"testing"
)

func TestDelimiter(t *testing.T) {
	t.Parallel()
	refused := func(word, row string) found {
		return failed("columns may be separated by " + word + " or by commas; the first row is " + row)
	}
	named := Options{Header: true, Key: "id", Value: "price"}
	header := Options{Header: true}
	numbers := Options{Header: true, Key: "1", Value: "2"}
	swapped := Options{Key: "2", Value: "1"}
	run(t, CSV, []parserTest{
		// No header.
		{name: "decimal commas", input: "1001;3,50\n1002;12,99\n", want: []found{refused("';'", `"1001;3,50"`)}},
		{name: "decimal commas behind tabs", input: "1001\t3,50\n", want: []found{refused("tab", `"1001\t3,50"`)}},
		{name: "semicolons", input: "1001;a\r\n1002;3,50\n1003;\"x;y\"\n", want: []found{item("1001", "a"), item("1002", "3,50"), item("1003", "x;y")}},
		{name: "tabs", input: "\n1001\ta\n1002\tb,c\n", want: []found{nothing, item("1001", "a"), item("1002", "b,c")}},
		{name: "comma in quotes", input: "1001;\"3,50\"\n1002;4,50\n", want: []found{item("1001", "3,50"), item("1002", "4,50")}},
		{name: "values with semicolons", input: "k,a;b;c\nl;m,v\n", want: []found{item("k", "a;b;c"), item("l;m", "v")}},
		{name: "values with tabs", input: "k,a\tb\n", want: []found{item("k", "a\tb")}},
		{name: "a key with a semicolon", input: "k;l,v\n", want: []found{refused("';'", `"k;l,v"`)}},
		{name: "a key with a semicolon in quotes", input: "\"k;l\",v\n", want: []found{item("k;l", "v")}},
		{name: "said", options: Options{Delimiter: ","}, input: "1001;3,50\nk\tl,v\n", want: []found{item("1001;3", "50"), reject(KeyByte, 2)}},
		{name: "three columns", input: "1001;3;4\n", want: []found{refused("';'", `"1001;3;4"`)}},
		{name: "three columns with commas", input: "k,a;b,c\nl,v\n", want: []found{reject(MoreColumn, 7), item("l", "v")}},
		{name: "one column", input: "k\nl,v\n", want: []found{reject(NoColumn, 2), item("l", "v")}},
		{name: "columns", options: swapped, input: "3,50;1001\n", want: []found{refused("';'", `"3,50;1001"`)}},
		{name: "columns with commas", options: swapped, input: "a;b,1001\n", want: []found{item("1001", "a;b")}},
		{name: "template", options: Options{Key: "{1}:{2}", Value: "3"}, input: "1;2;3\n", want: []found{item("1:2", "3")}},
		{name: "open quotes", input: "1001;\"a\nb\"\n", want: []found{refused("';'", `"1001;\"a"`)}},
		{name: "mark", input: "\xef\xbb\xbf1001;a\n", want: []found{item("1001", "a")}},
		{name: "escapes", options: Options{Escape: `\`}, input: "1001;a\n1002;\"3,5\\\n0\"\n", want: []found{item("1001", "a"), item("1002", "3,5\n0")}},
		{name: "escapes and commas", options: Options{Escape: `\`}, input: "1001;3,50\n", want: []found{refused("';'", `"1001;3,50"`)}},
		{name: "no quotes", options: Options{Quote: "none"}, input: "1001;\"a\n", want: []found{item("1001", `"a`)}},

		// A header.
		{name: "names", options: named, input: "id;\"price\";a,b\r\n1001;3,50;x\r\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "names behind tabs", options: named, input: "id\tprice\n1001\t3,50\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "names with commas", options: named, input: "id,price,a;b\n1001,3;50,x\n", want: []found{nothing, item("1001", "3;50")}},
		{name: "other names", options: named, input: "ID;PRICE\n1001;3\n", want: []found{refused("';'", `"ID;PRICE"`)}},
		{name: "other names with commas", options: named, input: "ID,PRICE\n1001;3\n", want: []found{failed(`there is no column "id"`)}},
		{name: "two columns", options: header, input: "id;price\n1001;3,50\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "two columns either way", options: header, input: "id;price,eur\n", want: []found{refused("';'", `"id;price,eur"`)}},
		{name: "numbers", options: numbers, input: "id;price;x\n1001;3,50;4\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "numbers with commas", options: numbers, input: "id,price;x\n1001,3;50\n", want: []found{nothing, item("1001", "3;50")}},
		{name: "object", options: Options{Header: true, Key: "1", Value: "json"}, input: "id;price\n", want: []found{refused("';'", `"id;price"`)}},
		{name: "object by name", options: Options{Header: true, Key: "id", Value: "json"}, input: "id;price\n1;2,5\n", want: []found{nothing, item("1", `{"id":"1","price":"2,5"}`)}},

		// sep=
		{name: "sep", input: "sep=;\r\n1001;3,50\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "sep in quotes", input: "\"SEP=|\"\n1001|3,50\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "sep and names", options: named, input: "\xef\xbb\xbfsep=\t\nid\tprice\n1001\t3,50\n", want: []found{nothing, nothing, item("1001", "3,50")}},
		{name: "sep of commas", input: "sep=,\nk;l,v\n", want: []found{nothing, item("k;l", "v")}},
		{name: "sep twice", input: "sep=,\nsep=,\n", want: []found{nothing, item("sep=", "")}},
		{name: "sep of more", input: "sep=,,\n", want: []found{reject(MoreColumn, 7)}},
		{name: "sep of a quote", input: "sep='\n", options: Options{Quote: "'"}, want: []found{failed(`the first line says that columns are separated by "'"`)}},
		{name: "sep of a letter", input: "sep=x\n", want: []found{failed(`the first line says that columns are separated by "x"`)}},
		{name: "sep that is said", options: Options{Delimiter: ";"}, input: "sep=;\n1001;3,50\n", want: []found{nothing, item("1001", "3,50")}},
		{name: "sep that is not said", options: Options{Delimiter: ","}, input: "sep=;\n", want: []found{failed("the first line says that columns are separated by ';', --delimiter says ','")}},
	})
	run(t, TSV, []parserTest{
		{name: "tsv", input: "sep=;\tv\n1001;3\t,50\n", want: []found{item("sep=;", "v"), item("1001;3", ",50")}},
		{name: "tsv with quotes", options: Options{Quote: `"`}, input: "a;b\t\"v\"\n", want: []found{item("a;b", "v")}},
	})
}

// TestDelimiterHint: a refusal says the options that are the way out.
func TestDelimiterHint(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"1001;3,50\n":  "--delimiter ';' or --delimiter , says which it is",
		"1001\t3,50\n": "--delimiter tab or --delimiter , says which it is",
		"1,\\N\n":      `--from outfile --delimiter , --quote '"' reads it; with --escape none a backslash is data`,
	} {
		p, err := New(Options{Format: CSV, ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		p.Next([]byte(input), true, &row)
		if failure, ok := errors.AsType[*option.Error](row.Err); !ok || failure.Hint != want {
			t.Errorf("%q: %+v, want the hint %q", input, failure, want)
		}
	}
}

// TestLeading: a load that resumes has to read what the input begins with.
func TestLeading(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options Options
		rows    []string
		leading []bool // before each row, and at the end
	}{
		{Options{Format: CSV}, []string{"\n", "k,v\n", "k,v\n"}, []bool{true, true, false, false}},
		{Options{Format: CSV}, []string{"sep=;\n", "k;v\n"}, []bool{true, false, false}},
		{Options{Format: CSV, Header: true}, []string{"sep=;\n", "k;v\n", "1;2\n"}, []bool{true, true, false, false}},
		{Options{Format: CSV, Delimiter: ","}, []string{"k,v\n"}, []bool{false, false}},
		{Options{Format: PSQL, Header: true}, []string{"k\tv\n"}, []bool{true, false}},
		{Options{Format: Outfile}, []string{"k\tv\n"}, []bool{false, false}},
		{Options{Format: JSONL}, []string{`{"key":1,"value":2}`}, []bool{false, false}},
	} {
		test.options.ValueMax = 100
		p, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		for i, input := range append(test.rows, "") {
			if got := p.Leading(); got != test.leading[i] {
				t.Errorf("%+v: leading %t before row %d", test.options, got, i)
			}
			if input != "" {
				var row Row
				p.Next([]byte(input), true, &row)
			}
		}
	}
}

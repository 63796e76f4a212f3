package record

import "testing"

// TestBackslashes: what is CSV stays CSV, and what INTO OUTFILE writes is not taken for it.
func TestBackslashes(t *testing.T) {
	t.Parallel()
	fails := func(row string) found {
		return failed(`this is what SELECT … INTO OUTFILE writes, not RFC 4180: \N without quotes in the row ` + row)
	}
	data := Options{Escape: "none"}
	run(t, CSV, []parserTest{
		{name: "export", input: "1,\"a\tb\"\n2,\"l1\\\nl2\"\n3,\\N\n4,\"c:\\\\dir\"\n5,\"a,b\"\n",
			want: []found{item("1", "a\tb"), reject(OutfileLine, 7), fails(`"3,\\N"`)}},
		{name: "NULL first", input: "1,\\N\n2,\"a\"\n", want: []found{fails(`"1,\\N"`)}},
		{name: "NULL with other characters", options: Options{Delimiter: ";", Quote: "'"}, input: "1;\\N\n", want: []found{fails(`"1;\\N"`)}},
		{name: "NULL behind proof", input: "1,\"a\"\"b\"\n2,\\N\n3,\"c:\\dir\"\n", want: []found{item("1", `a"b`), item("2", `\N`), item("3", `c:\dir`)}},
		{name: "NULL behind proof in its row", options: Options{Key: "1", Value: "2"}, input: "1,\\N,c:\\dir\n", want: []found{item("1", `\N`)}},
		{name: "text like NULL", input: "1,\"\\N\"\n2,\\Nx\n3,x\\N\n4,\\n\n", want: []found{item("1", `\N`), item("2", `\Nx`), item("3", `x\N`), item("4", `\n`)}},
		{name: "NULL is data", options: data, input: "1,\\N\n", want: []found{item("1", `\N`)}},
		{name: "NULL and a line feed", options: Options{Key: "1", Value: "2"}, input: "1,\"a\\\nb\",\\N\n", want: []found{fails(`"1,\"a\\\nb\",\\N"`)}},
		{name: "column that is not used", options: Options{Key: "1", Value: "2"}, input: "1,a,\\N\n", want: []found{fails(`"1,a,\\N"`)}},

		{name: "paths", input: `1,c:\dir` + "\n" + `2,"c:\dir"` + "\n" + `3,"\\host\dir\"` + "\n", want: []found{item("1", `c:\dir`), item("2", `c:\dir`), item("3", `\\host\dir\`)}},
		{name: "JSON in it", input: `1,"{""a"":""b\n\""c""}"` + "\n", want: []found{item("1", `{"a":"b\n\"c"}`)}},
		{name: "numbers of backslashes", input: `1,"\\"` + "\n" + `2,"\\\\\"` + "\n" + `3,\` + "\n", want: []found{item("1", `\\`), item("2", `\\\\\`), item("3", `\`)}},

		{name: "line feed behind a backslash", input: "1,\"a\\\nb\"\n2,\"a\\\\\\\nb\"\n", want: []found{reject(OutfileLine, 6), reject(OutfileLine, 8)}},
		{name: "line end of Windows behind a backslash", input: "1,\"a\\\r\nb\"\r\n2,\"a\r\nb\\\r\n\"\r\n", want: []found{reject(OutfileLine, 7), item("2", "a\r\nb\\\r\n")}},
		{name: "behind two", input: "1,\"a\\\\\nb\"\n2,\"a\\\nb\"\n", want: []found{item("1", "a\\\\\nb"), item("2", "a\\\nb")}},
		{name: "behind a plain one in the row", input: "1,\"a\nb\\\nc\"\n", want: []found{item("1", "a\nb\\\nc")}},
		{name: "before a plain one in the row", options: Options{Key: "1", Value: "2"}, input: "1,\"a\\\nb\",\"c\\\nd\ne\"\n", want: []found{item("1", "a\\\nb")}},
		{name: "behind a plain one before the row", input: "1,\"a\nb\"\n2,\"a\\\nb\"\n", want: []found{item("1", "a\nb"), item("2", "a\\\nb")}},
		{name: "behind a doubled quote", input: "1,\"a\"\"b\"\n2,\"a\\\nb\"\n", want: []found{item("1", `a"b`), item("2", "a\\\nb")}},
		{name: "behind a path", input: "1,c:\\dir\n2,\"a\\\nb\"\n", want: []found{item("1", `c:\dir`), item("2", "a\\\nb")}},
		{name: "is data", options: data, input: "1,\"a\\\nb\"\n", want: []found{item("1", "a\\\nb")}},

		{name: "escaped quote", input: `1,"say \"x\""` + "\n2,b\n", want: []found{reject(OutfileQuote, 10), item("2", "b")}},
		{name: "escaped quote at the end", input: `1,"a\""` + "\n" + `2,"b"` + "\n3,c\n", want: []found{reject(OutfileQuote, 12), item("3", "c")}},
		{name: "escaped quote that closes nothing", input: `1,"a\""` + "\n2,b\n", want: []found{reject(OutfileQuote, 3)}},
		{name: "quotes that are just wrong", options: data, input: `1,"a\"b"` + "\n", want: []found{reject(AfterQuote, 7)}},
		{name: "wrong quotes behind proof", input: "1,c:\\dir\n" + `2,"a\"b"` + "\n", want: []found{item("1", `c:\dir`), reject(AfterQuote, 7)}},
	})
}

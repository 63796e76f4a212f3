package record

import "testing"

func TestMySQL(t *testing.T) {
	t.Parallel()
	run(t, MySQL, []parserTest{
		{name: "plain", input: "a\t1\nb\t2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "last line end missing", input: "a\t1", want: []found{item("a", "1")}},
		{name: "every escape", input: `k\\` + "\t" + `\0\t\n\\` + "\n", want: []found{item(`k\`, "\x00\t\n\\")}},
		{name: "between text", input: "k\t" + `a\0b\tc\nd\\e` + "\n", want: []found{item("k", "a\x00b\tc\nd\\e")}},
		{name: "backslashes in a row", input: "k\t" + `\\\\\\n` + "\n", want: []found{item("k", `\\\n`)}},
		{name: "carriage return is data", input: "k\tv\r\n", want: []found{item("k", "v\r")}},
		{name: "any other byte", input: "k\t\x01\x7f\xff\"'\n", want: []found{item("k", "\x01\x7f\xff\"'")}},
		{name: "byte order mark", input: "\xef\xbb\xbfk\tv\n\xef\xbb\xbfl\tv\n", want: []found{item("k", "v"), item("\xef\xbb\xbfl", "v")}},
		{name: "bad escape", input: "k\t" + `ab\rc` + "\nk\tv\n", want: []found{reject(BadEscape, 5), item("k", "v")}},
		{name: "hexadecimal escape", input: "k\t" + `\x41` + "\n", want: []found{reject(BadEscape, 3)}},
		{name: "end mark is none", input: `\.` + "\t1\n", want: []found{reject(BadEscape, 1)}},
		{name: "lone backslash", input: "k\t" + `ab\` + "\n", want: []found{reject(LoneEscape, 5)}},
		{name: "lone backslash in the key", input: `k\` + "\tv\n", want: []found{reject(LoneEscape, 2)}},
		{name: "escape in the key", input: `a\tb` + "\tv\n", want: []found{reject(KeyByte, 1)}},
		{name: "NULL is text", input: "k\tNULL\n", want: []found{item("k", "NULL")}},
		{name: "NULL is a key", input: "NULL\tv\n", want: []found{item("NULL", "v")}},
		{name: "empty value", input: "k\t\n", want: []found{item("k", "")}},
		{name: "empty key", input: "\tv\n", want: []found{reject(EmptyKey, 1)}},
		{name: "one column", input: "k\n", want: []found{reject(NoColumn, 2)}},
		{name: "empty line", input: "\nk\tv\n", want: []found{reject(NoColumn, 1), item("k", "v")}},
		{name: "three columns", input: "k\tv\tw\n", want: []found{reject(MoreColumn, 5)}},
	})
}

func TestPSQL(t *testing.T) {
	t.Parallel()
	value := func(text string) string { return "k\t" + text + "\n" }
	run(t, PSQL, []parserTest{
		{name: "plain", input: "a\t1\nb\t2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "last line end missing", input: "a\t1\nb\t2", want: []found{item("a", "1"), item("b", "2")}},
		{name: "every letter", input: value(`\b\f\n\r\t\v\\`), want: []found{item("k", "\b\f\n\r\t\v\\")}},
		{name: "octal", input: value(`\1\12\101\1011\0`), want: []found{item("k", "\x01\nAA1\x00")}},
		{name: "octal ends with the digits", input: value(`\18\7a\778`), want: []found{item("k", "\x018\aa?8")}},
		{name: "octal keeps its low byte", input: value(`\777`), want: []found{item("k", "\xff")}},
		{name: "hexadecimal", input: value(`\x1\x41\x4a1\xfF`), want: []found{item("k", "\x01AJ1\xff")}},
		{name: "no hexadecimal digit", input: value(`\xg\x`), want: []found{item("k", "xgx")}},
		{name: "any other byte", input: value(`\a\"\9\.\N` + "\\\xff"), want: []found{item("k", "a\"9.N\xff")}},
		{name: "escaped tab", input: "k\ta\\\tb\nl\t\\\t\\\t\n", want: []found{item("k", "a\tb"), item("l", "\t\t")}},
		{name: "backslash before a tab", input: "k\ta\\\\\tb\n", want: []found{reject(MoreColumn, 7)}},
		{name: "escaped line feed", input: value("a\\\nb"), want: []found{item("k", "a\nb")}},
		{name: "backslash before a line feed", input: "k\ta\\\\\nl\tb\n", want: []found{item("k", `a\`), item("l", "b")}},
		{name: "escaped line feed at the end", input: "k\ta\\\n", want: []found{item("k", "a\n")}},
		{name: "lone backslash at the end", input: "k\ta\\", want: []found{reject(LoneEscape, 4)}},
		{name: "escaped tab behind the key", input: "k\\\tv\n", want: []found{reject(NoColumn, 5)}},
		{name: "line ends of Windows", input: "a\t1\r\nb\t\r\n", want: []found{item("a", "1"), item("b", "")}},
		{name: "one carriage return only", input: "k\tv\r\r\n", want: []found{item("k", "v\r")}},
		{name: "end mark", input: "k\tv\n\\.\nl\tw\n", want: []found{item("k", "v"), nothing, item("l", "w")}},
		{name: "end mark of Windows", input: "k\tv\r\n\\.\r\n", want: []found{item("k", "v"), nothing}},
		{name: "end mark without a line end", input: `\.`, want: []found{nothing}},
		{name: "empty lines behind the end mark", input: "\\.\n\n\n\\.\n\nk\tv\n\n", want: []found{nothing, nothing, nothing, nothing, nothing, item("k", "v"), reject(NoColumn, 1)}},
		{name: "script", input: "--\n-- PostgreSQL database dump\n", want: []found{failed("this is an SQL script, as pg_dump writes, not the rows of COPY: \"--\"")}},
		{name: "script behind the end mark", input: "k\tv\n\\.\n\nCOPY public.t (id, v) FROM stdin;\n1\tv\n", want: []found{item("k", "v"), nothing, nothing, failed("this is an SQL script, as pg_dump writes, not the rows of COPY: \"COPY public.t (id, v) FROM stdin;\"")}},
		{name: "keys like a script", input: "--k\tv\nCOPY x FROM stdin;\tv\n", want: []found{item("--k", "v"), reject(KeyByte, 5)}},
		{name: "no end mark", input: "\\.\tv\n\\..\n", want: []found{item(".", "v"), reject(NoColumn, 4)}},
		{name: "NULL", input: value(`\N`), want: []found{skip(NullValue)}},
		{name: "NULL in the key", input: "\\N\tv\n", want: []found{reject(NullKey, 1)}},
		{name: "text of NULL", input: value("NULL") + value(`\\N`) + value(`\Nx`), want: []found{item("k", "NULL"), item("k", `\N`), item("k", "Nx")}},
		{name: "byte order mark", input: "\xef\xbb\xbfk\tv\n\xef\xbb\xbfl\tv\n", want: []found{item("k", "v"), item("\xef\xbb\xbfl", "v")}},
		{name: "one column", input: "k\n", want: []found{reject(NoColumn, 2)}},
		{name: "three columns", input: "k\tv\t\n", want: []found{reject(MoreColumn, 5)}},
	})
}

func TestTSV(t *testing.T) {
	t.Parallel()
	run(t, TSV, []parserTest{
		{name: "plain", input: "a\t1\nb\t2\n", want: []found{item("a", "1"), item("b", "2")}},
		{name: "last line end missing", input: "a\t1", want: []found{item("a", "1")}},
		{name: "no escapes", input: "k\t" + `\t\\\N"` + "\n", want: []found{item("k", `\t\\\N"`)}},
		{name: "any byte", input: "\xff\t\x00\xff\x7f \n", want: []found{item("\xff", "\x00\xff\x7f ")}},
		{name: "carriage return is kept", input: "k\tv\r\n", want: []found{item("k", "v\r")}},
		{name: "byte order mark", input: "\xef\xbb\xbfk\tv\n", want: []found{item("k", "v")}},
		{name: "half a mark", input: "\xef\xbbk\tv\n", want: []found{item("\xef\xbbk", "v")}},
		{name: "mark in a later row", input: "k\tv\n\xef\xbb\xbfk\tv\n", want: []found{item("k", "v"), item("\xef\xbb\xbfk", "v")}},
		{name: "mark alone", input: "\xef\xbb\xbf", want: []found{nothing}},
		{name: "half a mark alone", input: "\xef\xbb", want: []found{reject(NoColumn, 3)}},
		{name: "column behind the mark", input: "\xef\xbb\xbfa b\tv\n", want: []found{reject(KeyByte, 5)}},
		{name: "empty is NULL", input: "k\t\n", want: []found{item("k", "")}},
		{name: "empty key", input: "\tv\n", want: []found{reject(EmptyKey, 1)}},
		{name: "one column", input: "k\n", want: []found{reject(NoColumn, 2)}},
		{name: "empty line", input: "\n", want: []found{reject(NoColumn, 1)}},
		{name: "three columns", input: "k\tv\tw\n", want: []found{reject(MoreColumn, 5)}},
	})
}

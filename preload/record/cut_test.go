package record

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCut cuts rows of more than 40 bytes.
func TestCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10)
	tooLong := reject(TooLong, 1)
	quotedOutfile := Options{Format: Outfile, Delimiter: ",", Quote: `"`}
	for _, test := range []parserTest{
		{"raw", Options{}, "a\t1\nb\t" + long + "\nc\t3\n", []found{item("a", "1"), large("b"), item("c", "3")}},
		{"no tab so far", Options{}, long + "\tv\nc\t3\n", []found{reject(NoTab, 1), item("c", "3")}},
		{"bad key", Options{}, "a b\t" + long + "\nc\t3\n", []found{reject(KeyByte, 2), item("c", "3")}},
		{"at the end", Options{}, "b\t" + long, []found{large("b")}},
		{"options", Options{TTL: 9, Flags: 8, Mode: ModeAdd}, "b\t" + long, []found{{kind: Item, key: "b", oversize: true, ttl: 9, flags: 8, command: Add}}},
		{"of just that size", Options{}, "b\t" + long[:37] + "\nc\t3\n", []found{item("b", long[:37]), item("c", "3")}},
		{"with its line end behind", Options{}, "b\t" + long[:38] + "\nc\t" + long[:39] + "\nd\t4\n", []found{item("b", long[:38]), large("c"), item("d", "4")}},

		{"mysql", Options{Format: MySQL}, "b\\\\\t" + long + "\\\\\nc\t3\n", []found{large(`b\`), item("c", "3")}},
		{"mysql, options", Options{Format: MySQL, TTL: 9, Flags: 8, Mode: ModeAdd}, "b\t" + long, []found{{kind: Item, key: "b", oversize: true, ttl: 9, flags: 8, command: Add}}},
		{"key behind it", Options{Format: MySQL, Key: "2", Value: "1"}, long + "\tb\na\tc\n", []found{tooLong, item("c", "a")}},
		{"key not complete", Options{Format: MySQL, Key: "2", Value: "1"}, "a\t" + long + "\na\tc\n", []found{tooLong, item("c", "a")}},
		{"bad escape in the key", Options{Format: MySQL}, "a\\q\t" + long + "\nc\t3\n", []found{tooLong, item("c", "3")}},
		{"header", Options{Format: MySQL, Header: true, Key: "id", Value: "bio"}, "bio\tid\ttext\nb\ta\t" + long + "\n3\tc\t\n", []found{nothing, large("a"), item("c", "3")}},
		{"header too long", Options{Format: MySQL, Header: true, Key: "1", Value: "2"}, long + "\na\t1\nb\t2\n", []found{tooLong, failed("the header is too long")}},

		{"psql", Options{Format: PSQL}, "b\t" + long + "\r\nc\t3\n\\.\n", []found{large("b"), item("c", "3"), nothing}},
		{"psql, line feed", Options{Format: PSQL}, "b\t" + long + "\\\n" + long + "\nc\t3\n", []found{large("b"), item("c", "3")}},
		{"psql, backslashes", Options{Format: PSQL}, "b\t" + long + strings.Repeat(`\`, 20) + "\nc\t3\n", []found{large("b"), item("c", "3")}},
		{"psql, backslashes and a line feed", Options{Format: PSQL}, "b\t" + long + strings.Repeat(`\`, 21) + "\nc\t3\nd\t4\n", []found{large("b"), item("d", "4")}},
		{"psql, NULL", Options{Format: PSQL}, "\\N\t" + long + "\nc\t3\n", []found{tooLong, item("c", "3")}},

		{"tsv", Options{Format: TSV}, "\xef\xbb\xbfb\t" + long + "\nc\t3\n", []found{large("b"), item("c", "3")}},
		{"tsv, template", Options{Format: TSV, Key: "{1}-{2}", Value: "3"}, "b\t7\t" + long + "\nc\t3\tv\n", []found{large("b-7"), item("c-3", "v")}},

		{"csv", Options{Format: CSV}, "b," + long + "\nc,3\n", []found{large("b"), item("c", "3")}},
		{"csv, mark", Options{Format: CSV}, "\xef\xbb\xbf\"b\"," + long + "\nc,3\n", []found{large("b"), item("c", "3")}},
		{"csv, quotes", Options{Format: CSV}, "\"b\"\"\",\"" + long + "\n\"\",\n" + long + "\n\"\nc,3\n", []found{large(`b"`), item("c", "3")}},
		{"csv, quotes before the key", Options{Format: CSV, Key: "2", Value: "1"}, "\"" + long + "\n" + long + "\",b\n3,c\n", []found{tooLong, item("c", "3")}},
		{"csv, doubled quotes", Options{Format: CSV}, "b,\"" + strings.Repeat("\"\"\n", 40) + "\"\nc,3\n", []found{large("b"), item("c", "3")}},
		{"csv, open quotes", Options{Format: CSV}, "b,\"" + long + "\nc,3\n", []found{large("b")}},
		{"csv, fault", Options{Format: CSV}, "\"b\"x,\"" + long + "\nc,3\n\"\nd,4\n", []found{tooLong, item("d", "4")}},
		{"csv, fault behind the key", Options{Format: CSV}, "b,a\"" + long + "\nc,3\n", []found{tooLong, item("c", "3")}},

		{"csv, first row", Options{Format: CSV}, "b;c;" + long + "\n1001;3\n1002;4\n", []found{tooLong, item("1001", "3"), item("1002", "4")}},

		{"outfile", Options{Format: Outfile}, "b\t" + long + "\\\n" + long + "\nc\t3\n", []found{large("b"), item("c", "3")}},
		{"outfile, backslashes", Options{Format: Outfile}, "b\t" + long + strings.Repeat(`\`, 20) + "\nc\t3\n", []found{large("b"), item("c", "3")}},
		{"outfile, backslashes and a line feed", Options{Format: Outfile}, "b\t" + long + strings.Repeat(`\`, 21) + "\nc\t3\nd\t4\n", []found{large("b"), item("d", "4")}},
		{"outfile, quotes", quotedOutfile, "\"b\\\"\",\"" + long + "\\\"\n\"x\n\"\"\"\nc,3\n", []found{large(`b"`), item("c", "3")}},
		{"outfile, quotes behind the key", quotedOutfile, "b," + long + "\"\nc,3\n", []found{large("b"), item("c", "3")}},
		{"outfile, open quotes", quotedOutfile, "\"" + long + "\"x\nc,3\n\",d\ne,5\n", []found{tooLong, item("e", "5")}},
		{"outfile, NULL", quotedOutfile, "NULL," + long + "\nc,3\n", []found{tooLong, item("c", "3")}},

		{"jsonl", Options{Format: JSONL}, `{"key":"b","value":"` + long + "\"}\n" + `{"key":"c","value":"3"}`, []found{large("b"), item("c", "3")}},
		{"jsonl, options", Options{Format: JSONL, TTL: 9, Flags: 8, Mode: ModeAdd}, `[{"key":"b","value":"` + long + "\"}\n", []found{nothing, {kind: Item, key: "b", oversize: true, ttl: 9, flags: 8, command: Add}}},
		{"jsonl, mark and escape", Options{Format: JSONL}, "\xef\xbb\xbf" + `{"key":"\u0062","value":"` + long + "\"}\n" + `{"key":"c","value":3}`, []found{large("b"), item("c", "3")}},
		{"jsonl, key behind the value", Options{Format: JSONL}, `{"value":"` + long + "\",\"key\":\"b\"}\n" + `{"key":"c","value":3}`, []found{tooLong, item("c", "3")}},
		{"jsonl, number not complete", Options{Format: JSONL}, `{"x":"` + long[:25] + `","key":` + long + "}\n", []found{tooLong}},
		{"jsonl, bad UTF-8", Options{Format: JSONL}, "{\"key\":\"\xff\",\"value\":\"" + long + "\"}\n" + `{"key":"c","value":3}`, []found{tooLong, item("c", "3")}},
		{"jsonl, array on one line", Options{Format: JSONL}, `{"key":"b","value":"` + long + `"}, {"key":"c","value":"3"}]`, []found{large("b"), item("c", "3"), nothing}},
		{"jsonl, object over lines", Options{Format: JSONL}, "{\n \"key\":\"b\",\n \"value\":[\n  {\"}\":\"" + long + "\"}\n ]\n}\n" + `{"key":"c","value":"3"}`, []found{large("b"), item("c", "3")}},
		{"jsonl, not closed", Options{Format: JSONL}, `{"key":"b","value":{"a":"` + long + "\"}\n    \n" + `{"key":"c","value":"3"}`, []found{large("b"), item("c", "3")}},
		{"jsonl, not closed in a string", Options{Format: JSONL}, `{"key":"b","value":"` + long + "\n" + `{"key":"c","value":"3"}`, []found{large("b"), item("c", "3")}},
		{"jsonl, no object", Options{Format: JSONL}, `"` + long + "\"\n" + `{"key":"c","value":"3"}`, []found{reject(BadJSON, 1), item("c", "3")}},
		{"jsonl, json", Options{Format: JSONL, Value: "json"}, `{"key":"b","x":[` + long + "]}\n" + `{"key":"c"}`, []found{large("b"), item("c", `{"key":"c"}`)}},

		{"memcached", Options{Format: Memcached}, "set b 7 60 100\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n", []found{{kind: Item, key: "b", oversize: true, flags: 7, ttl: 60}, item("c", "3")}},
		{"memcached, meta", Options{Format: Memcached}, "ms Yg== 100 b ME\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n", []found{{kind: Item, key: "b", oversize: true, command: Add}, item("c", "3")}},
		{"memcached, commands in the data", Options{Format: Memcached}, "set b 0 0 100\r\n" + strings.Repeat("set d 0 0 1\r\n4\r\n", 7)[:100] + "\r\nset c 0 0 1\r\n3\r\n", []found{large("b"), item("c", "3")}},
		{"memcached, line feeds", Options{Format: Memcached}, "set b 0 0 100\n" + long + "\nset c 0 0 1\n3\n", []found{large("b"), item("c", "3")}},
		{"memcached, at the end", Options{Format: Memcached}, "set b 0 0 101\r\n" + long, []found{large("b")}},
		{"memcached, data too long", Options{Format: Memcached}, "set b 0 0 9\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n", []found{large("b"), item("c", "3")}},
		{"memcached, no row", Options{Format: Memcached}, "append b 0 0 100\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n", []found{tooLong, item("c", "3")}},
		{"memcached, expired", Options{Format: Memcached}, "set b 0 -1 100\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n", []found{tooLong, item("c", "3")}},
		{"memcached, long line", Options{Format: Memcached}, "get " + long + " set c 0 0 1\r\nset d 0 0 1\r\n4\r\n", []found{tooLong, item("d", "4")}},
		{"memcached, command in the line", Options{Format: Memcached}, "get" + strings.Repeat(" ", 38) + "set c 0 0 9\r\nset d 0 0 1\r\n4\r\n", []found{tooLong, item("d", "4")}},

		// Without its checksum nothing is believed, not even the key.
		{"dump", Options{Format: Dump}, "ms b 100 O2c875e96 q\r\n" + long + "\r\nms c 1 O944ef0c5 q\r\n3\r\nmn\r\n", []found{tooLong, item("c", "3"), nothing}},
		{"dump, at the end", Options{Format: Dump}, "ms b 101 O2c875e96 q\r\n" + long, []found{tooLong}},
		{"dump, in what marks it", Options{Format: Dump}, "ms k 1 O2c6adbc8XZ q\r\nv\r\nmd k I q\r\nmg k u\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{tooLong, item("c", "3")}},
		{"dump, of just that size", Options{Format: Dump}, "ms Yg== 1 b O0f516786 q\r\nm\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{item("b", "m"), item("c", "3")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, test.input, parse(t, test.options, 40, test.input), test.want)
		})
	}
}

// TestCutAnywhere: wherever a row is cut, it has the same end.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	quotedOutfile := Options{Format: Outfile, Delimiter: ",", Quote: `"`}
	for _, test := range []struct {
		options Options
		input   string
	}{
		{Options{Format: PSQL}, "k\ta\\\nb\\\\\\\n\\\\\\\\\nl\t2\r\nm\t\\\\\n"},
		{Options{Format: CSV}, "k,\"a\"\"\r\n\"\"\"\"b\n\"\r\nl,\"\"\"\"\n\"m\",a\"b\"\n\"n\"x,\"\n\"\n"},
		{Options{Format: Outfile}, "k\ta\\\nb\\\\\\\n\\\\\nl\t2\nm\t\\\\\n"},
		{quotedOutfile, "k,\"a\\\"\n\"\"\\\\\"\nl,\"\"\"\\\n\"\n\"m\",a\"b\\\nc\n\"n\"x,\"\n\"o\",\"\"\r\np,\"q\"\r\"\n"},
		{Options{Format: JSONL}, `{"key":"k","value":["\"}{",{}]}` + "\n[\n" + `{"key":"k"},` + "\r\n"},
		{Options{Format: JSONL}, `[{"key":"k","value":[{}]}` + "  ,  \r\n  {\n  \"key\":\n   {}\n  }    {\"a\\\"}\":1\n   {}{} {\"a\n{}x\n{{}\n  \n{}]"},
		{Options{Format: Dump}, "ms b 1 F7 Oa04a6e77 q\r\n2\r\nms c 9 O944ef0c5 q\r\n3\r\nms c 1 O944ef0c5 q\r\n3\r\nset k 0 0 2\r\nmn\r\nmn\r\n12\rx\nms Yg== 1 b O0f516786 q\r\nm\r\nms k 1 O8eb49ab5X q\r\nv\r\nmd k I q\r\nms k 1 O8eb49ab5XZ q\r\nv\r\nmd k I q\r\nmn\r\n"},
		{Options{Format: Memcached}, "set k 0 0 9\r\n\r\nset k 0\r\nset l 0 0 1\r\n1234\r\nget k\nappend k 0 0 2\r\n\r\n\r\nset m 0 0 2\r\n12\rx\n"},
	} {
		rowMax := 20
		if test.options.Format == Dump {
			rowMax = 30
		}
		// Half of its line is not enough to know a command.
		for ; rowMax < len(test.input); rowMax++ {
			checkCut(t, test.options, rowMax, test.input)
		}
	}
}

// checkCut parses the input without and with cut rows, and returns the former.
func checkCut(t testing.TB, o Options, rowMax int, input string) []found {
	t.Helper()
	for {
		began := time.Now().Unix()
		rows := parse(t, o, 0, input)
		if isForeign(rows) {
			return rows
		}
		cut := parse(t, o, rowMax, input)
		if tooMany(rows) {
			return rows
		}
		difference := cutDifference(lastItems(rows), lastItems(cut), rowMax, o)
		switch {
		case difference == "":
			return rows
		case time.Now().Unix() == began: // else what expires may have had another time to live
			t.Fatalf("%q: %s", input, difference)
		}
	}
}

// cutDifference is what differs, and should not, if rows that are longer than rowMax are cut; "": nothing.
func cutDifference(rows, cut []found, rowMax int, o Options) string {
	if len(cut) != len(rows) {
		return fmt.Sprintf("rows are\n    %+v\ncut %+v", rows, cut)
	}
	for i, row := range rows {
		switch {
		case row.size != cut[i].size:
			return fmt.Sprintf("row %d has %d bytes, cut %d", i, row.size, cut[i].size)
		case row.size <= rowMax && row != cut[i]:
			return fmt.Sprintf("row %d is %+v, behind a cut %+v", i, row, cut[i])
		case row.kind == Item && cut[i].kind == Item && row.key != cut[i].key && o.Format != JSONL: // the last of two counts there
			return fmt.Sprintf("row %d has the key %q, cut %q", i, row.key, cut[i].key)
		}
	}
	return ""
}

// isForeign reports whether the input was refused at its beginning.
func isForeign(rows []found) bool {
	return len(rows) == 1 && rows[0].kind == Failed && strings.HasPrefix(rows[0].err, "the input is ")
}

// lastItems drops all items of a row except the last one.
func lastItems(rows []found) []found {
	return slices.DeleteFunc(slices.Clone(rows), func(row found) bool { return row.left > 0 })
}

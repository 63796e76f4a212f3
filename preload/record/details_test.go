package record

import (
	"strings"
	"testing"
)

// A reason says what is wrong in this row, where its text does not.
func TestDetailsOfReasons(t *testing.T) {
	t.Parallel()
	columns := func(format Format) Options {
		return Options{Format: format, Key: "1", Value: "2", FlagsColumn: "3"}
	}
	named := Options{Format: CSV, Header: true, Key: "id", Value: "json", FlagsColumn: "flags"}
	for _, test := range []struct {
		options Options
		input   string
		reason  Reason
		detail  string
	}{
		{columns(TSV), "k\tv\t-1", BadFlags, `"-1" in column 3`},
		{named, "id,flags\nk,seven", BadFlags, `"seven" in "flags"`},
		{Options{Format: JSONL}, `{"key":"k","value":"v","flags":[1]}`, BadFlags, `"[1]" in "flags"`},
		{columns(TSV), "k\tv", NoColumn, "2 instead of 3"},
		{Options{Format: TSV}, "k\tv\tw\t", MoreColumn, "4 instead of 2"},
		{Options{Format: PSQL, Key: "2", Value: "1"}, "v\t\\N", NullKey, "column 2"},
		{Options{Format: JSONL, Key: "id"}, `{"id":null,"value":1}`, NullKey, `"id"`},
		{Options{Format: MySQL}, "k\ta\\rb", BadEscape, `"\\rb"`},
		{Options{Format: MySQL}, "k\ta\\", LoneEscape, `"\\"`},
		{Options{Format: MySQL, Header: true, Key: "id", Value: "json"}, "id\tbio\nk\ta\\rb", BadEscape, `"\\rb"`},
		{Options{Format: JSONL}, `{"key":"k","value":"a\ud800b"}`, BadString, `"\\ud800b"`},
		{Options{Format: JSONL}, `{"key":"k","value_base64":"a*"}`, BadBase64, `"a*"`},
		{Options{Format: JSONL}, `{"key_base64":true,"value":"a*"}`, BadBase64, `"true"`},
		{Options{Format: CSV}, `k,a"b"`, BareQuote, `"\"b\""`},
		{Options{Format: CSV}, `"k"x,v`, AfterQuote, `"x,v"`},
		{Options{Format: CSV}, "k,\"v\nl,w\nm,x\n", OpenQuote, "line feeds in it: 3"},
		{named, "id,flags\nk,1\xff", BadFlags, `"1\xff" in "flags"`},
		{Options{Format: CSV, Header: true, Key: "id", Value: "json"}, "id,bio\nk,é\xff", NotUTF8, `byte 0xff in "bio"`},
		{Options{Format: JSONL}, `{"key":"k","size":-1}`, BadSize, `"-1"`},
		{Options{Format: JSONL}, `{"key":"k","value":1,"cas":"x"}`, BadCAS, `"x"`},
		{Options{Format: JSONL}, `{"key":"k","value":1,"cas":1,"cas":2}`, TwiceMember, `"cas"`},
		{Options{Format: JSONL}, `{"key":"k","value":1,"size":2}`, SizedValue, ""},
		{Options{Format: Memcached}, "get k\r\n", NoCommand, `"get k"`},
		{Options{Format: Memcached}, "set k 0 0\r\n", BadCommand, "it does not say how long its data is"},
		{Options{Format: Memcached}, "set k 0 0 1 x\r\nv\r\n", BadCommand, `"x"`},
		{Options{Format: Memcached}, "set k x 0 1\r\nv\r\n", BadFlags, `"x"`},
		{Options{Format: Memcached}, "set k 0 24h 1\r\nv\r\n", BadExptime, `"24h"`},
		{Options{Format: Memcached}, "ms k 1 T24h\r\nv\r\n", BadExptime, `"24h"`},
		{Options{Format: Memcached}, "ms k 1 Fx I T1\r\nv\r\n", BadFlags, `"x"`},
		{Options{Format: Memcached}, "ms k 1 I\r\nv\r\n", BadFlag, `'I'`},
		{Options{Format: Memcached}, "ms k 1 MA\r\nv\r\n", BadFlag, `the mode "A"`},
		{Options{Format: Memcached}, "ms * 1 b\r\nv\r\n", BadBase64, `"*"`},
		{Options{Format: Memcached}, "set k 0 0 1\r\nvw\r\n", BadChunk, "no line end is behind 1 B"},
		{Options{Format: Memcached}, "set k 0 0 9\r\nvw", BadChunk, "no line end is behind 9 B"},
	} {
		test.options.ValueMax = 100
		p, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(test.input)
		var row Row
		if p.Next(data, true, &row); row.Header {
			p.Next(data[row.Size:], true, &row)
		}
		if row.Reason != test.reason || row.Detail != test.detail {
			t.Errorf("%q: %s, want %s", test.input, row.Reason.With(row.Detail), test.reason.With(test.detail))
		}
	}
}

// What is quoted of a row is clipped, however long it is, and says so.
func TestDetailsAreClipped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\xff", 5000)
	for _, input := range []string{`{"key":"k","value":"v","flags":"` + long + `"}`, `{"` + long + `":1}`, `"` + long, `{"key":` + long + `}`, `{"key":"k","value_base64":"` + long + `"}`} {
		p, err := New(Options{Format: JSONL, ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		for _, text := range []string{input, strings.ReplaceAll(input, "\xff", "é")} {
			if p.Next([]byte(text), true, &row); row.Reason == "" || len(row.Detail) > 500 || strings.Contains(row.Detail, `"é`) && !strings.Contains(row.Detail, "…") {
				t.Errorf("%.40q: %s: %d bytes: %s", text, row.Reason, len(row.Detail), row.Detail)
			}
		}
	}
}

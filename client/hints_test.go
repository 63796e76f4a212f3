package main

import (
	"strconv"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// TestHintRejects: when most rows fail alike, one hint says which option is missing.
func TestHintRejects(t *testing.T) {
	for _, test := range []struct {
		options door.Rows
		input   string
		hint    string
	}{
		{door.Rows{}, "1,Ann\n2,Bob\n", "the rows look like csv: --from csv reads them"},
		{door.Rows{}, "k=v\n", hintFormat},
		{door.Rows{}, strings.Repeat("a b\t1\n", door.MaxRejects) + strings.Repeat("1,Ann\n", 2*door.MaxRejects), hintFormat},
		{door.Rows{}, "a b\t1\n", ""},
		{door.Rows{Format: record.JSONL}, "k\tv\n", hintFormat},
		{door.Rows{Format: record.TSV}, "k v\nl w\n", hintFormat + ", and with it what separates columns"},
		{door.Rows{Format: record.TSV}, "1\tAnn\tx\n2\tBob\ty\n", hintColumns},
		{door.Rows{Format: record.TSV, Key: "1", Value: "2", FlagsColumn: "4"}, "1\tAnn\tx\n", ""},
		{door.Rows{Format: record.TSV}, "a b\t1\n", hintTemplate},
		{door.Rows{Format: record.JSONL}, `{"key":"a b","value":1}`, ""},
		{door.Rows{Format: record.JSONL, Key: "name"}, `{"name":"a b","value":1}`, hintTemplate},
		{door.Rows{Format: record.JSONL}, `{"id":1,"name":"Ann"}`, "--key and --value choose members, and --value json takes the whole row"},
		{door.Rows{Format: record.JSONL}, `{"users":[{"key":1}]}`, ""},
		{door.Rows{Format: record.JSONL}, `{"key":"k","value":"v","exptime":60}`, "--allow-extra leaves such members out"},
		{door.Rows{Format: record.CSV}, `k,a"b` + "\n", hintQuotes},
		{door.Rows{Format: record.Outfile, Quote: `"`}, `k	"v` + "\n", ""},
		{door.Rows{Format: record.PSQL}, `k	v\`, ""},
		{door.Rows{Format: record.Dump}, "set k 0 0 1\r\nv\r\n", "load --from memcached reads commands that are not those of a dump"},
		{door.Rows{}, strings.Repeat("k", 251) + "\tv\n", "--hash-long-keys stores such rows under a hash of the key"},
		{door.Rows{Format: record.MySQL}, "k\ta\\r\nl\t1\nm\t2\n", ""},
		{door.Rows{Format: record.MySQL}, "k\ta\\r\nl\tb\\r\nm\t2\n", rejectHints[record.BadEscape]},
	} {
		var o outcome
		if err := o.add("rows", parsed(t, test.options, test.input)); err != nil {
			t.Fatal(err)
		}
		o.files[0].rows = test.options
		var got strings.Builder
		o.hintRejects(&got)
		want := ""
		if test.hint != "" {
			want = "hint: " + test.hint + "\n"
		}
		if got.String() != want {
			t.Errorf("%+v: %q: %q, want %q", test.options, test.input, got.String(), want)
		}
	}
}

// parsed counts what becomes of the rows of an input, as the library does.
func parsed(t *testing.T, o door.Rows, input string) *door.Load {
	t.Helper()
	o.ValueMax = 1000
	parser, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	load := &door.Load{Reasons: map[string]uint64{}}
	for data := []byte(input); len(data) > 0; {
		var row record.Row
		switch kind := parser.Next(data, true, &row); kind {
		case record.Failed:
			t.Fatalf("%q: %v", input, row.Err)
		case record.Item:
			load.Rows, load.Stored = load.Rows+1, load.Stored+1
		case record.Reject:
			load.Rows, load.Rejected = load.Rows+1, load.Rejected+1
			load.Reasons[string(row.Reason)]++
			key := row.Key.Of(data)
			if len(load.Rejects) == door.MaxRejects {
				break
			}
			load.Rejects = append(load.Rejects, door.Reject{Reason: string(row.Reason), Detail: row.Detail, Key: strconv.Quote(string(key[:min(len(key), 64)]))})
		}
		data = data[row.Size:]
	}
	return load
}

package record

import (
	"errors"
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
)

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	const (
		formats = "the formats are raw, mysql, psql, csv, tsv, outfile, jsonl, memcached, dump"
		columns = "the formats mysql, psql, csv, tsv, outfile and jsonl have columns: --from says which it is"
		names   = "--header says that the first row has the names; without it columns have numbers, from 1"
		dialect = "it is for the formats csv, tsv and outfile: --from says which it is"
		byte1   = "it is one ASCII character such as , ; | or tab"
		byte2   = "it is one ASCII character, or none"
		percent = "it is the part by which a time to live is shortened at most, such as 10%, up to 100%"
		braces  = "a column is {name} or {number}; {{ and }} are braces"
	)
	for _, test := range []struct {
		options       Options
		message, hint string
	}{
		{Options{Format: "xml"}, `there is no format "xml"`, formats},
		{Options{Format: "CSV"}, `there is no format "CSV"`, formats},
		{Options{Format: CSV, Null: "drop"}, `there is no "drop" for NULL`, "NULL can be skip, empty or literal"},
		{Options{Null: NullSkip}, "the format raw has no columns, so that --null means nothing", columns},
		{Options{Header: true}, "the format raw has no columns, so that --header means nothing", columns},
		{Options{Key: "1"}, "the format raw has no columns, so that --key means nothing", columns},
		{Options{Format: Memcached, Value: "2"}, "the format memcached has no columns, so that --value means nothing", columns},
		{Options{Format: Memcached, TTLColumn: "3"}, "the format memcached has no columns, so that --ttl-column means nothing", columns},
		{Options{Format: Memcached, ExpiresColumn: "3"}, "the format memcached has no columns, so that --expires-column means nothing", columns},
		{Options{Format: Memcached, FlagsColumn: "3"}, "the format memcached has no columns, so that --flags-column means nothing", columns},
		{Options{Format: CSV, AllowExtra: true}, "only the rows of jsonl have members: --allow-extra means nothing for the format csv", ""},
		{Options{Format: JSONL, Header: true}, "the format jsonl has no header: its rows name their columns themselves", ""},
		{Options{Format: CSV, TTLColumn: "3", ExpiresColumn: "4"}, "a row cannot have both a time to live and a date: --ttl-column or --expires-column", ""},
		{Options{TTL: 9, TTLJitter: "10"}, `"10" is not a percentage for --ttl-jitter`, percent},
		{Options{TTL: 9, TTLJitter: "%"}, `"%" is not a percentage for --ttl-jitter`, percent},
		{Options{TTL: 9, TTLJitter: "0%"}, `"0%" is not a percentage for --ttl-jitter`, percent},
		{Options{TTL: 9, TTLJitter: "100.1%"}, `"100.1%" is not a percentage for --ttl-jitter`, percent},
		{Options{TTL: 9, TTLJitter: "NaN%"}, `"NaN%" is not a percentage for --ttl-jitter`, percent},
		{Options{TTLJitter: "10%"}, "--ttl-jitter shortens times to live, and the rows have none", "--ttl or --ttl-column says one"},
		{Options{Format: CSV, TTLJitter: "10%", ExpiresColumn: "3"}, "--ttl-jitter is for times to live: a date of --expires-column is kept as it is", ""},
		{Options{Format: Dump, TTL: 9, TTLJitter: "10%"}, "the rows of the format dump have their own times to live, so that --ttl-jitter means nothing", ""},
		{Options{Format: Memcached, TTL: 9, TTLJitter: "10%"}, "the rows of the format memcached have their own times to live, so that --ttl-jitter means nothing", ""},
		{Options{KeyPrefix: "a b"}, `the key prefix "a b" has a space or a control byte`, "no key can have one"},
		{Options{KeyPrefix: strings.Repeat("p", 250)}, "the key prefix of 250 bytes leaves no room for keys: 249 at most", ""},
		{Options{KeyPrefix: strings.Repeat("p", 187), HashLongKeys: HashSHA256}, "the key prefix of 187 bytes leaves no room for keys: 186 at most", ""},
		{Options{HashLongKeys: "md5"}, `there is no hash "md5" for long keys`, "the hash is sha256"},
		{Options{Format: CSV, Value: "json"}, "a row without names cannot be a JSON object", "--header says that the first row has the names of the columns"},
		{Options{Format: CSV, Header: true, Value: "bio", JSONColumns: "id"}, "--json-columns are columns of a row as JSON", "--value json makes the whole row a JSON object"},
		{Options{Format: CSV, Value: "json", JSONColumns: "2"}, "a row without names cannot be a JSON object", "--header says that the first row has the names of the columns"},
		{Options{Format: JSONL, Value: "json", JSONColumns: "id"}, "the members of jsonl are JSON already, so that --json-columns means nothing", ""},
		{Options{JSONColumns: "1"}, "the format raw has no columns, so that --json-columns means nothing", columns},
		{Options{Decode: "Hex"}, `there is no encoding "Hex"`, "the encodings are hex, base64 and bytea"},
		{Options{Format: Memcached, Decode: Hex}, "the values of the format memcached are bytes, so that --decode means nothing", ""},
		{Options{Format: Dump, Decode: Base64}, "the values of the format dump are bytes, so that --decode means nothing", ""},
		{Options{Format: JSONL, Value: "json", Decode: Hex}, "a row as JSON is no text that --decode could decode", "--value names the column to decode"},
		{Options{Format: CSV, Value: "{1}{2}", Decode: Hex}, `--decode decodes a single column, and not the value "{1}{2}"`, "--value names the column to decode"},
		{Options{Format: CSV, Value: "00", Decode: Hex}, `there is no column "00" without a header`, names},
		{Options{Format: CSV, Value: "{{", Decode: Hex}, `--decode decodes a single column, and not the value "{{"`, "--value names the column to decode"},
		{Options{Format: CSV, Key: "id"}, `there is no column "id" without a header`, names},
		{Options{Format: CSV, Key: "json"}, `there is no column "json" without a header`, names},
		{Options{Format: CSV, Value: "0"}, `there is no column "0" without a header`, names},
		{Options{Format: CSV, Value: "65536"}, `there is no column "65536" without a header`, names},
		{Options{Format: CSV, Value: "{1}{bio}"}, `there is no column "bio" without a header`, names},
		{Options{Format: CSV, TTLColumn: "ttl"}, `there is no column "ttl" without a header`, names},
		{Options{Format: CSV, ExpiresColumn: "-1"}, `there is no column "-1" without a header`, names},
		{Options{Format: CSV, FlagsColumn: "{3}"}, `there is no column "{3}" without a header`, names},
		{Options{Format: CSV, Key: "u:{}"}, `the key "u:{}" has a brace that names no column`, braces},
		{Options{Format: CSV, Key: "u:{1"}, `the key "u:{1" has a brace that names no column`, braces},
		{Options{Format: CSV, Value: "{"}, `the value "{" has a brace that names no column`, braces},
		{Options{Format: CSV, Value: "1}"}, `the value "1}" has a brace that closes nothing`, braces},
		{Options{Format: CSV, Value: "{{1}"}, `the value "{{1}" has a brace that closes nothing`, braces},
		{Options{Delimiter: ","}, "the format raw is not written with other characters, so that --delimiter means nothing", dialect},
		{Options{Format: PSQL, Quote: "none"}, "the format psql is not written with other characters, so that --quote means nothing", dialect},
		{Options{Format: JSONL, Escape: "|"}, "the format jsonl is not written with other characters, so that --escape means nothing", dialect},
		{Options{Format: Outfile, Delimiter: "||"}, `--delimiter cannot be "||": that is not one ASCII character`, byte1},
		{Options{Format: CSV, Delimiter: "none"}, `--delimiter cannot be "none": that is not one ASCII character`, byte1},
		{Options{Format: CSV, Delimiter: "§"}, `--delimiter cannot be "§": that is not one ASCII character`, byte1},
		{Options{Format: CSV, Delimiter: "\xff"}, `--delimiter cannot be "\xff": that is not one ASCII character`, byte1},
		{Options{Format: TSV, Delimiter: "\n"}, `--delimiter cannot be "\n": rows have it for other things`, byte1},
		{Options{Format: CSV, Quote: "\r"}, `--quote cannot be "\r": rows have it for other things`, byte2},
		{Options{Format: CSV, Quote: "\x00"}, `--quote cannot be "\x00": rows have it for other things`, byte2},
		{Options{Format: Outfile, Escape: "N"}, `--escape cannot be "N": that is a letter or a digit`, byte2},
		{Options{Format: Outfile, Delimiter: "0"}, `--delimiter cannot be "0": that is a letter or a digit`, byte1},
		{Options{Format: CSV, Delimiter: `"`}, `--delimiter and --quote are both '"'`, ""},
		{Options{Format: Outfile, Delimiter: `\`}, `--delimiter and --escape are both '\\'`, ""},
		{Options{Format: CSV, Escape: `"`}, `--quote and --escape are both '"'`,
			`LOAD DATA cannot read that NULL and line feeds either; export with ESCAPED BY '\\', or load quotes that are doubled by --from csv`},
		{Options{Format: JSONL, Key: "{{key}}"}, `the key "{{key}}" is the same for all rows`, "a column is {name} or {number}"},
	} {
		p, err := New(test.options)
		var option *option.Error
		if p != nil || !errors.As(err, &option) {
			t.Errorf("%+v: parser %v, error %v", test.options, p, err)
			continue
		}
		if option.Message != test.message || option.Hint != test.hint || err.Error() != test.message {
			t.Errorf("%+v:\n got %q, %q\nwant %q, %q", test.options, option.Message, option.Hint, test.message, test.hint)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, options := range []Options{
		{},
		{Format: Memcached, Mode: ModeSet},
		{Format: CSV, Key: "65535"},
		{Format: CSV, TTLColumn: "3", TTLJitter: "0.5%"},
		{Format: JSONL, TTLJitter: "100%"},
		{KeyPrefix: strings.Repeat("p", 249)},
		{Format: Dump, KeyPrefix: strings.Repeat("p", 186), HashLongKeys: HashSHA256},
		{Format: CSV, Header: true, Key: "any name", Value: "json", FlagsColumn: "f"},
		{Format: JSONL, Key: "{a}:{b}", Value: "json", ExpiresColumn: "until"},
	} {
		if _, err := New(options); err != nil {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

// TestRowMax: a row with a value that fits is never cut, in any format.
func TestRowMax(t *testing.T) {
	t.Parallel()
	const most = 40000
	key := strings.Repeat("k", meta.KeyMax)
	for _, test := range []struct {
		format    Format
		row, code string // code is the longest for a byte of the value
	}{
		{Raw, key + "\t@\n", "v"},
		{MySQL, key + "\t@\n", `\\`},
		{PSQL, key + "\t@\n", `\x5c`},
		{CSV, key + ",\"@\"\r\n", `""`},
		{TSV, key + "\t@\n", "v"},
		{Outfile, key + "\t@\n", `\\`},
		{JSONL, `{"key":"` + key + `","value":"@"}` + "\n", `\u005c`},
		{Memcached, "set " + key + " 4294967295 2147483647 40000 noreply\r\n@\r\n", "v"},
	} {
		input := strings.Replace(test.row, "@", strings.Repeat(test.code, most), 1)
		rows := parse(t, Options{Format: test.format, ValueMax: most}, 0, input)
		if len(rows) != 1 || rows[0].key != key || len(rows[0].value) != most || rows[0].oversize {
			t.Errorf("%s: %d rows, %q with %d bytes", test.format, len(rows), rows[0].key, len(rows[0].value))
		}
	}
	for _, format := range Formats {
		p, err := New(Options{Format: format, ValueMax: 1<<63 - 1})
		if err != nil || p.RowMax() <= 0 || p.RowMax() > 1<<30+headMax {
			t.Errorf("%s: %v, rows of %d bytes", format, err, p.RowMax())
		}
	}
}

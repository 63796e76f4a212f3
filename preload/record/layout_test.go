package record

import (
	"fmt"
	"strings"
	"testing"
)

// TestNull: each format has its own NULL, and its own default.
func TestNull(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format          Format
		value, template string // rows with NULL
		key             string
		literal         string
		null            Null // the default
	}{
		{MySQL, "k\tNULL\n", "NULL\tk\n", "NULL\tv\n", "NULL", NullLiteral},
		{PSQL, "k\t\\N\n", "\\N\tk\n", "\\N\tv\n", `\N`, NullSkip},
		{CSV, "k,\n", ",k\n", ",v\n", "", NullEmpty},
		{TSV, "k\t\n", "\tk\n", "\tv\n", "", NullEmpty},
		{JSONL, `{"1":"k","2":null}`, `{"1":null,"2":"k"}`, `{"1":null,"2":"v"}`, "null", NullSkip},
	} {
		for _, null := range []Null{"", NullSkip, NullEmpty, NullLiteral} {
			wants := map[Null][3]found{
				NullSkip:    {skip(NullValue), skip(NullValue), {kind: Reject, reason: NullKey}},
				NullEmpty:   {item("k", ""), item("k", "[]"), {kind: Reject, reason: EmptyKey}},
				NullLiteral: {item("k", test.literal), item("k", "["+test.literal+"]"), item(test.literal, "v")},
			}
			if test.literal == "" {
				wants[NullLiteral] = wants[NullEmpty]
			}
			want := wants[null]
			if null == "" {
				want = wants[test.null]
			}
			options := Options{Format: test.format, Null: null, Key: "1", Value: "2"}
			for i, input := range []string{test.value, test.template, test.key} {
				if options.Key, options.Value = "1", "2"; i == 1 {
					options.Key, options.Value = "2", "[{1}]"
				}
				if want[i].kind == Reject {
					want[i].column = 1
					if test.format == JSONL {
						want[i].column = len(`{"1":`) + 1
					}
				}
				run(t, "", []parserTest{{fmt.Sprintf("%s %q %d", test.format, null, i), options, input, []found{want[i]}}})
			}
		}
	}
}

// TestNullInKey: a template with a NULL in it makes no key.
func TestNullInKey(t *testing.T) {
	t.Parallel()
	run(t, PSQL, []parserTest{
		{name: "skip", options: Options{Key: "a{1}{2}", Value: "3"}, input: "x\t\\N\tv\n", want: []found{reject(NullKey, 1)}},
		{name: "empty", options: Options{Key: "a{1}{2}", Value: "3", Null: NullEmpty}, input: "x\t\\N\tv\n", want: []found{item("ax", "v")}},
		{name: "literal", options: Options{Key: "a{1}{2}", Value: "3", Null: NullLiteral}, input: "x\t\\N\tv\n", want: []found{item(`ax\N`, "v")}},
	})
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	row := "1,k,\"a\"\"b\",\n"
	run(t, CSV, []parserTest{
		{name: "numbers", options: Options{Key: "2", Value: "3"}, input: row, want: []found{item("k", `a"b`)}},
		{name: "the same column", options: Options{Key: "2", Value: "2"}, input: row, want: []found{item("k", "k")}},
		{name: "key alone", options: Options{Key: "2"}, input: row, want: []found{item("k", "k")}},
		{name: "value alone", options: Options{Value: "2"}, input: row, want: []found{item("1", "k")}},
		{name: "text and columns", options: Options{Key: "user:{1}:{2}", Value: "{3}/{1}/{3}."}, input: row, want: []found{item("user:1:k", `a"b/1/a"b.`)}},
		{name: "braces", options: Options{Key: "{{{2}}}", Value: "{{}}"}, input: row, want: []found{item("{k}", "{}")}},
		{name: "column alone", options: Options{Key: "{2}", Value: "{3}"}, input: row, want: []found{item("k", `a"b`)}},
		{name: "text alone", options: Options{Key: "2", Value: "{{"}, input: row, want: []found{item("k", "{")}},
		{name: "NULL in it", options: Options{Key: "2", Value: "<{4}>"}, input: row, want: []found{item("k", "<>")}},
		{name: "space in the key", options: Options{Key: "a {1}"}, input: row, want: []found{reject(KeyByte, 1)}},
		{name: "coded key", options: Options{Key: "3", Value: "1"}, input: row, want: []found{item(`a"b`, "1")}},
		{name: "long key", options: Options{Key: "{1}{1}", Value: "2"}, input: strings.Repeat("k", 125) + ",v\n" + strings.Repeat("k", 126) + ",v\n",
			want: []found{item(strings.Repeat("k", 250), "v"), reject(KeyTooLong, 1)}},
		{name: "column missing", options: Options{Key: "1", Value: "5"}, input: row, want: []found{reject(NoColumn, 12)}},
		{name: "more columns than named", options: Options{Key: "1", Value: "2"}, input: row, want: []found{item("1", "k")}},
	})
}

func TestValueMax(t *testing.T) {
	t.Parallel()
	const most = 300
	long, longer := strings.Repeat("v", most), strings.Repeat("v", most+1)
	options := Options{ValueMax: most}
	run(t, "", []parserTest{
		{name: "raw", options: Options{Format: Raw, ValueMax: most}, input: "k\t" + long + "\nk\t" + longer + "\n", want: []found{item("k", long), large("k")}},
		{name: "memcached", options: Options{Format: Memcached, ValueMax: most}, input: "set k 0 0 300\r\n" + long + "\r\nset k 0 0 301\r\n" + longer + "\r\n", want: []found{item("k", long), large("k")}},
	})
	run(t, MySQL, []parserTest{
		{name: "as it is", options: options, input: "k\t" + long + "\nk\t" + longer + "\n", want: []found{item("k", long), large("k")}},
		{name: "coded", options: options, input: "k\t" + long[1:] + "\\n\nk\t" + long + "\\n\n", want: []found{item("k", long[1:]+"\n"), large("k")}},
		{name: "template", options: Options{ValueMax: most, Key: "1", Value: "{2}{2}"},
			input: "k\t" + long[:150] + "\nk\t" + long[:151] + "\n", want: []found{item("k", long), large("k")}},
	})
	run(t, JSONL, []parserTest{
		{name: "base64", options: options, input: `{"key":"k","value_base64":"` + strings.Repeat("dnZ2", 100) + "\"}\n" + `{"key":"k","value_base64":"` + strings.Repeat("dnZ2", 101) + "\"}\n",
			want: []found{item("k", long), large("k")}},
		{name: "json", options: Options{ValueMax: most, Value: "json"}, input: `{"key":"k","a":"` + long[:282] + "\"}\n" + `{"key":"k","a":"` + long[:283] + "\"}\n",
			want: []found{item("k", `{"key":"k","a":"`+long[:282]+`"}`), large("k")}},
	})
	// {"a":"k","b":"…"}
	run(t, CSV, []parserTest{
		{name: "object", options: Options{ValueMax: most, Header: true, Key: "a", Value: "json"}, input: "a,b\nk," + long[:284] + "\nk," + long[:285] + "\nk," + long + "\n",
			want: []found{nothing, item("k", `{"a":"k","b":"`+long[:284]+`"}`), large("k"), large("k")}},
		{name: "object that ends in NULL", options: Options{ValueMax: most, Header: true, Key: "a", Value: "json"}, input: "a,b,c\nk," + long[:275] + ",\nk," + long[:276] + ",\n",
			want: []found{nothing, item("k", `{"a":"k","b":"`+long[:275]+`","c":null}`), large("k")}},
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	timed := func(ttl int64) found { return found{kind: Item, key: "k", value: "v", ttl: ttl} }
	flagged := func(flags uint32) found { return found{kind: Item, key: "k", value: "v", flags: flags} }
	for _, test := range []struct {
		text                string
		ttl, expires, flags found
	}{
		{"", timed(50), timed(50), flagged(5)},
		{`\N`, timed(50), timed(50), flagged(5)},
		{"0", timed(0), timed(0), flagged(0)},
		{"7", timed(7), reject(BadDate, 5), flagged(7)},
		{" 7 ", timed(7), reject(BadDate, 5), flagged(7)},
		{`\x37`, timed(7), reject(BadDate, 5), flagged(7)},
		{"-1", skip(Expired), skip(Expired), reject(BadFlags, 5)},
		{"2592001", timed(2592001), reject(BadDate, 5), flagged(2592001)},
		{fmt.Sprint(now), timed(now), skip(Expired), flagged(now)},
		{fmt.Sprint(now + 1), timed(now + 1), timed(1), flagged(now + 1)},
		{"2147483647", timed(TTLMax), timed(TTLMax - now), flagged(TTLMax)},
		{"2147483648", reject(BadTTL, 5), timed(TTLMax + 1 - now), flagged(1 << 31)},
		{fmt.Sprint(now + TTLMax), reject(BadTTL, 5), timed(TTLMax), flagged(now + TTLMax)},
		{fmt.Sprint(now + TTLMax + 1), reject(BadTTL, 5), reject(FarDate, 5), flagged(now + TTLMax + 1)},
		{"4294967295", reject(BadTTL, 5), reject(FarDate, 5), flagged(1<<32 - 1)},
		{"4294967296", reject(BadTTL, 5), reject(FarDate, 5), reject(BadFlags, 5)},
		{"-9223372036854775808", skip(Expired), skip(Expired), reject(BadFlags, 5)},
		{"9223372036854775808", reject(BadTTL, 5), reject(BadDate, 5), reject(BadFlags, 5)},
		{strings.Repeat("0", wordMax-1) + "7", timed(7), reject(BadDate, 5), flagged(7)},
		{strings.Repeat("0", wordMax) + "7", reject(BadTTL, 5), reject(BadDate, 5), reject(BadFlags, 5)},
		{"soon", reject(BadTTL, 5), reject(BadDate, 5), reject(BadFlags, 5)},
		{"1.0", reject(BadTTL, 5), reject(BadDate, 5), reject(BadFlags, 5)},
		{" ", reject(BadTTL, 5), reject(BadDate, 5), reject(BadFlags, 5)},
	} {
		input := "k\tv\t" + test.text + "\n"
		run(t, PSQL, []parserTest{
			{"ttl " + test.text, Options{Key: "1", Value: "2", TTLColumn: "3", TTL: 50}, input, []found{test.ttl}},
			{"expires " + test.text, Options{Key: "1", Value: "2", ExpiresColumn: "3", TTL: 50}, input, []found{test.expires}},
			{"flags " + test.text, Options{Key: "1", Value: "2", FlagsColumn: "3", Flags: 5}, input, []found{test.flags}},
		})
	}
	run(t, MySQL, []parserTest{
		{name: "both", options: Options{Key: "1", Value: "2", TTLColumn: "3", FlagsColumn: "4", Mode: ModeReplace}, input: "k\tv\t9\t8\n",
			want: []found{{kind: Item, key: "k", value: "v", ttl: 9, flags: 8, command: Replace}}},
		{name: "column missing", options: Options{Key: "1", Value: "2", TTLColumn: "3"}, input: "k\tv\n", want: []found{reject(NoColumn, 4)}},
		{name: "bad escape", options: Options{Key: "1", Value: "2", TTLColumn: "3"}, input: "k\tv\t1\\x\n", want: []found{reject(BadTTL, 6)}},
		{name: "key and value by default", options: Options{TTLColumn: "3", FlagsColumn: "4"}, input: "k\tv\t9\t8\nk\tv\t9\t8\t7\n",
			want: []found{{kind: Item, key: "k", value: "v", ttl: 9, flags: 8}, reject(MoreColumn, 9)}},
		{name: "NULL is no number", options: Options{Key: "1", Value: "2", TTLColumn: "3", TTL: 50}, input: "k\tv\tNULL\n", want: []found{timed(50)}},
	})
}

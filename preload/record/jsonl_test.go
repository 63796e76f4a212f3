package record

import "testing"

func TestJSONL(t *testing.T) {
	t.Parallel()
	value := func(json string) string { return `{"key":"k","value":` + json + "}\n" }
	run(t, JSONL, []parserTest{
		{name: "plain", input: value(`"v"`), want: []found{item("k", "v")}},
		{name: "last line end missing", input: `{"key":"k","value":"v"}`, want: []found{item("k", "v")}},
		{name: "line ends of Windows", input: "{\"key\":\"a\",\"value\":\"1\"}\r\n\r\n" + value(`"v"`), want: []found{item("a", "1"), nothing, item("k", "v")}},
		{name: "white space", input: " \t{ \"value\" :\t\"v\" , \"key\" : \"k\" } \t\n", want: []found{item("k", "v")}},
		{name: "empty lines", input: "\n \t\n" + value(`"v"`), want: []found{nothing, nothing, item("k", "v")}},
		{name: "array of sqlite3 -json", input: "[{\"key\":\"a\",\"value\":\"1\"},\n{\"key\":\"b\",\"value\":\"2\"}]\n", want: []found{nothing, item("a", "1"), item("b", "2"), nothing, nothing}},
		{name: "array on lines of its own", input: "[\n{\"key\":\"a\",\"value\":\"1\"} ,\n{\"key\":\"b\",\"value\":\"2\"}\n]\n", want: []found{nothing, nothing, item("a", "1"), item("b", "2"), nothing, nothing}},
		{name: "empty array", input: "[]\n[ ]\n", want: []found{nothing, nothing, nothing, nothing, nothing, nothing}},
		{name: "byte order mark", input: "\xef\xbb\xbf" + value(`"v"`), want: []found{item("k", "v")}},
		{name: "every escape", input: value(`"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00\u0000"`), want: []found{item("k", "\"\\/\b\f\n\r\tAé€😀\x00")}},
		{name: "escapes in names", input: `{"\u006bey":"k","valu\u0065":"v"}` + "\n", want: []found{item("k", "v")}},
		{name: "escapes in the key", input: `{"key":"\u006b","value":"v"}` + "\n", want: []found{item("k", "v")}},
		{name: "text as it is", input: value(`"é😀` + "\x7f" + `"`), want: []found{item("k", "é😀\x7f")}},
		{name: "empty value", input: value(`""`), want: []found{item("k", "")}},
		{name: "number", input: value(`-1.50e+3`), want: []found{item("k", "-1.50e+3")}},
		{name: "number as the key", input: `{"key":12,"value":1}` + "\n", want: []found{item("12", "1")}},
		{name: "true and false", input: value(`true`) + value(`false`), want: []found{item("k", "true"), item("k", "false")}},
		{name: "object and array", input: value(`{ "a": [1,"}"] }`) + value(`[[],{},"]"]`), want: []found{item("k", `{ "a": [1,"}"] }`), item("k", `[[],{},"]"]`)}},
		{name: "null", input: value(`null`), want: []found{skip(NullValue)}},
		{name: "null in the key", input: `{"key":null,"value":"v"}` + "\n", want: []found{reject(NullKey, 8)}},
		{name: "the last of the same name", input: `{"key":"a","value":"1","key":"b","value":"2"}` + "\n", want: []found{item("b", "2")}},
		{name: "other members", input: `{"x":1,"key":"k","y":{"key":"no"},"value":"v","z":"\u00e9"}` + "\n", want: []found{item("k", "v")}},
		{name: "no key", input: `{"value":"v"}` + "\n", want: []found{reject(NoMember, 1)}},
		{name: "no value", input: `{"key":"k"}` + "\n{}\n", want: []found{reject(NoMember, 1), reject(NoMember, 1)}},
		{name: "empty key", input: `{"key":"","value":"v"}` + "\n", want: []found{reject(EmptyKey, 9)}},
		{name: "space in the key", input: `{"key":"a b","value":"v"}` + "\n", want: []found{reject(KeyByte, 10)}},
		{name: "line feed in the key", input: `{"key":"a\nb","value":"v"}` + "\n", want: []found{reject(KeyByte, 9)}},
		{name: "no object", input: "1\n\"a\"\nnull\nkey\n", want: []found{reject(BadJSON, 1), reject(BadJSON, 1), reject(BadJSON, 1), reject(BadJSON, 1)}},
		{name: "comma at the end", input: `{"key":"k","value":"v",}` + "\n", want: []found{reject(BadJSON, 24)}},
		{name: "comma missing", input: `{"key":"k" "value":"v"}` + "\n", want: []found{reject(BadJSON, 12)}},
		{name: "colon missing", input: `{"key" "k"}` + "\n", want: []found{reject(BadJSON, 8)}},
		{name: "value missing", input: `{"key":,"value":"v"}` + "\n", want: []found{reject(BadJSON, 8)}},
		{name: "not closed", input: `{"key":"k","value":"v"` + "\n" + `{"key":"k","value":"v` + "\n{\n", want: []found{reject(OpenObject, 23), reject(OpenObject, 22), reject(OpenObject, 3)}},
		{name: "bad number", input: value(`01`) + value(`+1`) + value(`1.`), want: []found{reject(BadJSON, 20), reject(BadJSON, 20), reject(BadJSON, 20)}},
		{name: "bad word", input: value(`nul`) + value(`True`), want: []found{reject(BadJSON, 20), reject(BadJSON, 20)}},
		{name: "bad array", input: value(`[1,]`) + value(`[1}`) + value(`[`), want: []found{reject(BadJSON, 20), reject(BadJSON, 23), reject(BadJSON, 20)}},
		{name: "control byte in text", input: value("\"a\tb\""), want: []found{reject(BadJSON, 20)}},
		{name: "control byte in a name", input: "{\"a\tb\":1}\n", want: []found{reject(BadJSON, 2)}},
		{name: "name without quotes", input: `{key:"k"}` + "\n", want: []found{reject(BadJSON, 2)}},
		{name: "bad escape", input: value(`"ab\q"`) + value(`"ab\u12g4"`) + value(`"\u12"`), want: []found{reject(BadJSON, 20), reject(BadJSON, 20), reject(BadJSON, 20)}},
		{name: "bad escape in a name", input: `{"a\q":1,"key":"k","value":"v"}` + "\n", want: []found{reject(BadJSON, 2)}},
		{name: "bad escape in a member that is no column", input: `{"x":"a\q","key":"k","value":"v"}` + "\n", want: []found{reject(BadJSON, 6)}},
		{name: "half a pair", input: value(`"a\ud83d"`) + value(`"\ude00"`) + value(`"\ud83d\u0041"`), want: []found{reject(BadString, 22), reject(BadString, 21), reject(BadString, 21)}},
		{name: "bad UTF-8", input: value("\"\xff\"") + "{\"x\":\"\xff\",\"key\":\"k\",\"value\":\"v\"}\n", want: []found{reject(NotUTF8, 21), reject(NotUTF8, 7)}},
	})
}

func TestJSONLMembers(t *testing.T) {
	t.Parallel()
	with := func(members string) string { return `{"key":"k","value":"v",` + members + "}\n" }
	run(t, JSONL, []parserTest{
		{name: "ttl", input: with(`"ttl":60`) + with(`"ttl":"60"`) + with(`"ttl":0`), want: []found{
			{kind: Item, key: "k", value: "v", ttl: 60}, {kind: Item, key: "k", value: "v", ttl: 60}, item("k", "v"),
		}},
		{name: "expires", input: with(`"expires":946684860`), want: []found{{kind: Item, key: "k", value: "v", ttl: 60}}},
		{name: "both", input: with(`"ttl":60,"expires":946684860`) + with(`"ttl":60,"expires":null`), want: []found{
			reject(TwoTTLs, 43), {kind: Item, key: "k", value: "v", ttl: 60},
		}},
		{name: "no ttl", input: with(`"ttl":"soon"`) + with(`"ttl":1.5`) + with(`"ttl":true`) + with(`"ttl":[]`), want: []found{
			reject(BadTTL, 31), reject(BadTTL, 30), reject(BadTTL, 30), reject(BadTTL, 30),
		}},
		{name: "flags", input: with(`"flags":7`) + with(`"flags":null`) + with(`"flags":-1`), options: Options{Flags: 3}, want: []found{
			{kind: Item, key: "k", value: "v", flags: 7}, {kind: Item, key: "k", value: "v", flags: 3}, reject(BadFlags, 32),
		}},
		{name: "other names", options: Options{Key: "id", Value: "{a}-{b}", TTLColumn: "t", FlagsColumn: "f"},
			input: `{"id":1,"a":"x","b":"y","t":5,"f":6,"ttl":"no","flags":"no","expires":"no"}`,
			want:  []found{{kind: Item, key: "1", value: "x-y", ttl: 5, flags: 6}}},
		{name: "columns need not be there", options: Options{TTLColumn: "t", FlagsColumn: "f", TTL: 9}, input: `{"key":"k","value":"v"}`,
			want: []found{{kind: Item, key: "k", value: "v", ttl: 9}}},
		{name: "numbers are names", options: Options{Key: "1", Value: "2"}, input: `{"2":"v","1":"k"}`, want: []found{item("k", "v")}},
		{name: "value_base64", input: `{"key":"k","value_base64":"AP8="}` + "\n" + `{"key":"k","value_base64":""}` + "\n",
			want: []found{item("k", "\x00\xff"), item("k", "")}},
		{name: "value_base64 with escapes", input: `{"key":"\u006b","value_base64":"\u0041P8\u003d","ttl":5,"flags":6}`,
			want: []found{{kind: Item, key: "k", value: "\x00\xff", ttl: 5, flags: 6}}},
		{name: "bad base64", input: `{"key":"k","value_base64":"A"}` + "\n" + `{"key":"k","value_base64":"AP-_"}`,
			want: []found{reject(BadBase64, 28), reject(BadBase64, 28)}},
		{name: "base64 with bits left over", input: `{"key":"k","value_base64":"AB=="}` + "\n" + `{"key_base64":"AAB=","value":"v"}`,
			want: []found{reject(BadBase64, 28), reject(BadBase64, 16)}},
		{name: "base64 is text", input: `{"key":"k","value_base64":1234}` + "\n" + `{"key":"k","value_base64":true}`,
			want: []found{reject(BadBase64, 27), reject(BadBase64, 27)}},
		{name: "bad text of base64", input: `{"key":"k","value_base64":"\ud800"}`, want: []found{reject(BadString, 28)}},
		{name: "value and value_base64", input: with(`"value_base64":"AP8="`), want: []found{reject(TwoValues, 40)}},
		{name: "value and null", input: `{"key":"k","value":"v","value_base64":null}`, want: []found{item("k", "v")}},
		{name: "value_base64 and null", input: `{"key":"k","value":null,"value_base64":"AP8="}`, want: []found{item("k", "\x00\xff")}},
		{name: "null and null", input: `{"key":"k","value":null,"value_base64":null}`, want: []found{skip(NullValue)}},
		{name: "value_base64 null", input: `{"key":"k","value_base64":null}`, want: []found{skip(NullValue)}},
		{name: "value_base64 null is empty", options: Options{Null: NullEmpty}, input: `{"key":"k","value_base64":null,"ttl":7}`,
			want: []found{{kind: Item, key: "k", ttl: 7}}},
		{name: "value_base64 null is text", options: Options{Null: NullLiteral}, input: `{"key":"k","value_base64":null}`,
			want: []found{item("k", "null")}},
		{name: "bad key with base64", input: `{"key":"","value_base64":"AP8="}`, want: []found{reject(EmptyKey, 9)}},
		{name: "value_base64 is a member where a value is named", options: Options{Value: "v"}, input: `{"key":"k","v":"1","value_base64":"?"}`,
			want: []found{item("k", "1")}},
	})
}

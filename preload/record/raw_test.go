package record

import (
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
)

func TestRaw(t *testing.T) {
	t.Parallel()
	rejected := func(key string, reason Reason, column int) found {
		return found{kind: Reject, key: key, reason: reason, column: column}
	}
	longest := strings.Repeat("k", meta.KeyMax)
	run(t, Raw, []parserTest{
		{name: "plain", input: "user_1\tTrond\n", want: []found{item("user_1", "Trond")}},
		{name: "it is the default", options: Options{Format: ""}, input: "k\tv", want: []found{item("k", "v")}},
		{name: "several", input: "a\t1\nb\t2\nc\t3\n", want: []found{item("a", "1"), item("b", "2"), item("c", "3")}},
		{name: "last line end missing", input: "a\t1\nb\t2", want: []found{item("a", "1"), item("b", "2")}},
		{name: "empty value", input: "k\t\n", want: []found{item("k", "")}},
		{name: "further tabs", input: "k\ta\tb\t\n", want: []found{item("k", "a\tb\t")}},
		{name: "carriage return is kept", input: "k\tv\r\n", want: []found{item("k", "v\r")}},
		{name: "no escapes", input: "k\t\\t\\\\\\N\n", want: []found{item("k", `\t\\\N`)}},
		{name: "any byte in the value", input: "k\t\x00\xff\x7f \n", want: []found{item("k", "\x00\xff\x7f ")}},
		{name: "bytes above ASCII in the key", input: "sm\xc3\xb6r\xff\tv\n", want: []found{item("sm\xc3\xb6r\xff", "v")}},
		{name: "byte order mark", input: "\xef\xbb\xbfk\tv\n\xef\xbb\xbfl\tw\n", want: []found{item("k", "v"), item("\xef\xbb\xbfl", "w")}},
		{name: "longest key", input: longest + "\tv\n", want: []found{item(longest, "v")}},
		{name: "key too long", input: longest + "k\tv\n", want: []found{rejected(longest+"k", KeyTooLong, 251)}},
		{name: "no tab", input: "user_1 Trond\nk\tv\n", want: []found{rejected("user_1 Trond", NoTab, 1), item("k", "v")}},
		{name: "empty line", input: "\nk\tv\n", want: []found{reject(NoTab, 1), item("k", "v")}},
		{name: "empty key", input: "\tv\n", want: []found{reject(EmptyKey, 1)}},
		{name: "space in the key", input: "user 1\tv\n", want: []found{rejected("user 1", KeyByte, 5)}},
		{name: "NUL in the key", input: "k\tv\nuser\x001\tv\n", want: []found{item("k", "v"), rejected("user\x001", KeyByte, 5)}},
		{name: "DEL in the key", input: "k\tv\nuser\x7f\tv\n", want: []found{item("k", "v"), rejected("user\x7f", KeyByte, 5)}},
		{name: "carriage return in the key", input: "k\r\tv\n", want: []found{rejected("k\r", KeyByte, 2)}},
		{name: "nothing", input: ""},
		{
			name: "options", options: Options{TTL: 60, Flags: 7, Mode: ModeAdd}, input: "k\tv\n",
			want: []found{{kind: Item, key: "k", value: "v", ttl: 60, flags: 7, command: Add}},
		},
	})
}

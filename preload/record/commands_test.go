package record

import (
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("k", meta.KeyMax)
	options := Options{TTL: 50, Flags: 5}
	run(t, Memcached, []parserTest{
		{name: "set", input: "set k 7 60 1\r\nv\r\n", want: []found{{kind: Item, key: "k", value: "v", flags: 7, ttl: 60}}},
		{name: "add", input: "add k 0 0 1\r\nv\r\n", want: []found{{kind: Item, key: "k", value: "v", command: Add}}},
		{name: "replace", input: "replace k 0 0 1\r\nv\r\n", want: []found{{kind: Item, key: "k", value: "v", command: Replace}}},
		{name: "several", input: "set a 0 0 1\r\n1\r\nset b 0 0 2\r\n22\r\n", want: []found{item("a", "1"), item("b", "22")}},
		{name: "noreply", input: "set k 0 0 1 noreply\r\nv\r\n", want: []found{item("k", "v")}},
		{name: "spaces", input: "  set  k  0  0  1  \r\nv\r\n", want: []found{item("k", "v")}},
		{name: "line feeds alone", input: "set a 0 0 1\n1\nset b 0 0 0\n\nset c 0 0 1\n3\n", want: []found{item("a", "1"), item("b", ""), item("c", "3")}},
		{name: "line ends in the data", input: "set a 0 0 9\r\n1\r\nset b\n\r\nset c 0 0 1\r\n3\r\n", want: []found{item("a", "1\r\nset b\n"), item("c", "3")}},
		{name: "any byte", input: "set \xff 0 0 4\r\n\x00\xff\r\n\r\n", want: []found{item("\xff", "\x00\xff\r\n")}},
		{name: "last line end missing", input: "set k 0 0 1\r\nv", want: []found{item("k", "v")}},
		{name: "empty value at the end", input: "set k 0 0 0\r\n", want: []found{item("k", "")}},
		{name: "half a last line end", input: "set k 0 0 1\r\nv\r", want: []found{reject(BadChunk, 14)}},
		{name: "line feeds alone", input: "set k 0 0 2\nv\r\nset l 0 0 1\n1\n", want: []found{item("k", "v\r"), item("l", "1")}},
		{name: "a line feed alone behind the data only", input: "set k 0 0 2\r\nv\r\nset l 0 0 1\r\n1\n", want: []found{reject(BadChunk, 14), reject(BadChunk, 14)}},
		{name: "cut off", input: "set k 0 0 3\r\nvv", want: []found{reject(BadChunk, 14)}},
		{name: "cut off behind the line", input: "set k 0 0 3", want: []found{reject(BadChunk, 12)}},
		{name: "data too long", input: "set k 0 0 1\r\nvv\r\nset l 0 0 1\r\n1\r\n", want: []found{reject(BadChunk, 14), item("l", "1")}},
		{name: "data too short", input: "set k 0 0 3\r\nv\r\nset l 0 0 1\r\n1\r\nset m 0 0 1\r\n2\r\n", want: []found{reject(BadChunk, 14), reject(NoCommand, 1), item("m", "2")}},
		{name: "carriage return behind the data", input: "set k 0 0 1\r\nv\rx\r\nset l 0 0 1\r\n1\r\n", want: []found{reject(BadChunk, 14), item("l", "1")}},
		{name: "options are for what commands do not say", options: options, input: "set k 7 60 1\r\nv\r\nreplace k 7 0 1\r\nv\r\n", want: []found{
			{kind: Item, key: "k", value: "v", flags: 7, ttl: 60}, {kind: Item, key: "k", value: "v", flags: 7, command: Replace},
		}},
		{name: "override", options: Options{Mode: ModeAdd}, input: "set k 0 0 1\r\nv\r\nms k 1 MR\r\nv\r\n", want: []found{
			{kind: Item, key: "k", value: "v", command: Add}, {kind: Item, key: "k", value: "v", command: Add},
		}},
		{name: "nothing", input: "\r\n \nmn\r\nquit\r\nset k 0 0 1\r\nv\r\n", want: []found{nothing, nothing, nothing, nothing, item("k", "v")}},
		{name: "no command", input: "get k\r\ndelete k\r\nmn 1\r\nSET k 0 0 1\r\n", want: []found{reject(NoCommand, 1), reject(NoCommand, 1), reject(NoCommand, 1), reject(NoCommand, 1)}},
		{name: "data of what is no row", input: "append k 0 0 3\r\nset\r\nprepend k 0 0 1\r\nv\r\ncas k 0 0 1 99\r\nv\r\nset k 0 0 1\r\nv\r\n", want: []found{
			reject(NoCommand, 1), reject(NoCommand, 1), reject(NoCommand, 1), item("k", "v"),
		}},
		{name: "length missing", input: "set k 0 0\r\nset\r\n", want: []found{reject(BadCommand, 1), reject(BadCommand, 1)}},
		{name: "bad length", input: "set k 0 0 -1\r\nset k 0 0 1x\r\nset k 0 0 2147483646\r\n", want: []found{reject(BadCommand, 1), reject(BadCommand, 1), reject(BadCommand, 1)}},
		{name: "longest length", input: "set k 0 0 2147483645\r\nv\r\n", want: []found{reject(BadChunk, 23)}},
		{name: "too many words", input: "set k 0 0 1 reply\r\nv\r\nset k 0 0 1 noreply 2\r\nv\r\n", want: []found{reject(BadCommand, 13), reject(BadCommand, 13)}},
		{name: "bad flags", input: "set k -1 0 1\r\nv\r\nset k 4294967296 0 1\r\nv\r\nset k x 0 1\r\nv\r\n", want: []found{reject(BadFlags, 7), reject(BadFlags, 7), reject(BadFlags, 7)}},
		{name: "most flags", input: "set k 4294967295 0 1\r\nv\r\n", want: []found{{kind: Item, key: "k", value: "v", flags: 1<<32 - 1}}},
		{name: "longest key", input: "set " + longest + " 0 0 1\r\nv\r\n", want: []found{item(longest, "v")}},
		{name: "key too long", input: "set " + longest + "k 0 0 1\r\nv\r\n", want: []found{reject(KeyTooLong, 5+meta.KeyMax)}},
		{name: "control byte in the key", input: "set a\tb 0 0 1\r\nv\r\n", want: []found{reject(KeyByte, 6)}},
	})
}

func TestMeta(t *testing.T) {
	t.Parallel()
	ms := func(flags string) string { return "ms k 1" + flags + "\r\nv\r\n" }
	options := Options{TTL: 50, Flags: 5}
	mode := Options{Mode: ModeReplace}
	run(t, Memcached, []parserTest{
		{name: "plain", input: ms(""), want: []found{item("k", "v")}},
		{name: "what options say", options: options, input: ms(""), want: []found{{kind: Item, key: "k", value: "v", ttl: 50, flags: 5}}},
		{name: "which mode the options say", options: mode, input: ms("") + ms(" MS"), want: []found{
			{kind: Item, key: "k", value: "v", command: Replace}, {kind: Item, key: "k", value: "v", command: Replace},
		}},
		{name: "what it says itself", options: options, input: ms(" F7 T60 MS"), want: []found{{kind: Item, key: "k", value: "v", ttl: 60, flags: 7}}},
		{name: "flags without a meaning here", input: ms("  q k O123 c  s "), want: []found{item("k", "v")}},
		{name: "modes", input: ms(" MS") + ms(" Mset") + ms(" ME") + ms(" Me") + ms(" Madd") + ms(" MR") + ms(" Mr"), want: []found{
			item("k", "v"), item("k", "v"),
			{kind: Item, key: "k", value: "v", command: Add}, {kind: Item, key: "k", value: "v", command: Add}, {kind: Item, key: "k", value: "v", command: Add},
			{kind: Item, key: "k", value: "v", command: Replace}, {kind: Item, key: "k", value: "v", command: Replace},
		}},
		{name: "other modes", input: ms(" q MA") + ms(" Mp") + ms(" M"), want: []found{reject(BadFlag, 10), reject(BadFlag, 8), reject(BadFlag, 8)}},
		{name: "other flags", input: ms(" q C99") + ms(" I") + ms(" noreply"), want: []found{reject(BadFlag, 10), reject(BadFlag, 8), reject(BadFlag, 8)}},
		{name: "bad numbers", input: ms(" F") + ms(" F-1") + ms(" T") + ms(" Tx"), want: []found{reject(BadFlags, 8), reject(BadFlags, 8), reject(BadExptime, 8), reject(BadExptime, 8)}},
		{name: "base64", input: "ms //8= 1 b\r\nv\r\nms a2V5 1 q b T9\r\nv\r\n", want: []found{item("\xff\xff", "v"), {kind: Item, key: "key", value: "v", ttl: 9}}},
		{name: "bad base64", input: "ms a2V 1 b\r\nv\r\nms a_-= 1 b\r\nv\r\n", want: []found{reject(BadBase64, 4), reject(BadBase64, 4)}},
		{name: "binary keys", input: "ms YSBi 1 b\r\nv\r\nms AA== 1 b\r\nv\r\nms " + strings.Repeat("AAAA", 84) + " 1 b\r\nv\r\n",
			want: []found{item("a b", "v"), item("\x00", "v"), reject(KeyTooLong, 4+meta.KeyMax)}},
		{name: "keys that no command can have", input: "ms - 1 KAAAA F7\r\nv\r\nms - 1 KAAA\r\nv\r\nms - 1 K\r\nv\r\n",
			want: []found{{kind: Item, key: "\x00\x00\x00", value: "v", flags: 7}, reject(BadBase64, 8), reject(EmptyKey, 4)}},
		{name: "the longest binary key", options: Options{BinaryKeyMax: 2}, input: "ms AAA= 1 b\r\nv\r\nms YWFh 1 b\r\nv\r\nms - 1 KAAAA\r\nv\r\n",
			want: []found{item("\x00\x00", "v"), item("aaa", "v"), reject(BinaryKey, 4)}},
		{name: "without base64", input: "ms a2V5 1\r\nv\r\n", want: []found{item("a2V5", "v")}},
		{name: "expired, with flags behind that", input: "ms a2V5 1 T-1 b F7\r\nv\r\nms ICA= 1 T-1 b\r\nv\r\nms k 1 T-1 x\r\nv\r\nms k 1 T-1\r\nvv\r\n",
			want: []found{skip(Expired), skip(Expired), reject(BadFlag, 12), reject(BadChunk, 13)}},
		{name: "length", input: "ms k\r\nms k S1\r\nms k 0\r\nv\r\n\r\n", want: []found{reject(BadCommand, 1), reject(BadCommand, 1), reject(BadChunk, 9), nothing}},
	})
}

// TestExptime: up to 30 days it is a time, above it is a date (protocol.txt).
func TestExptime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		exptime string
		want    found
	}{
		{"0", item("k", "v")},
		{"-0", item("k", "v")},
		{"1", found{kind: Item, key: "k", value: "v", ttl: 1}},
		{"2592000", found{kind: Item, key: "k", value: "v", ttl: meta.RelativeMax}},
		{"2592001", skip(Expired)},
		{"-1", skip(Expired)},
		{fmt.Sprint(now - 1), skip(Expired)},
		{fmt.Sprint(now), skip(Expired)},
		{fmt.Sprint(now + 1), found{kind: Item, key: "k", value: "v", ttl: 1}},
		{fmt.Sprint(now + 2*meta.RelativeMax), found{kind: Item, key: "k", value: "v", ttl: 2 * meta.RelativeMax}},
		{fmt.Sprint(now + TTLMax), found{kind: Item, key: "k", value: "v", ttl: TTLMax}},
		{fmt.Sprint(now + TTLMax + 1), reject(FarDate, 9)},
		{"9223372036854775807", reject(FarDate, 9)},
		{"-9223372036854775808", skip(Expired)},
		{"9223372036854775808", reject(BadExptime, 9)},
		{"1.5", reject(BadExptime, 9)},
		{"soon", reject(BadExptime, 9)},
	} {
		meta := test.want
		if meta.column > 0 {
			meta.column = 8
		}
		run(t, Memcached, []parserTest{
			{name: "set " + test.exptime, input: "set k 0 " + test.exptime + " 1\r\nv\r\n", want: []found{test.want}},
			{name: "ms " + test.exptime, input: "ms k 1 T" + test.exptime + "\r\nv\r\n", want: []found{meta}},
		})
	}
}

// TestCommandContent: the end of a line is not a row's content, of whatever kind it is.
func TestCommandContent(t *testing.T) {
	t.Parallel()
	for _, input := range []string{"set k 0 0 1\r\nv\r\n", "get k\r\n", "set k\r\n", "\r\n", "quit\r\n"} {
		rows := parse(t, Options{Format: Memcached}, 0, input)
		if len(rows) != 1 || rows[0].content != len(input)-2 {
			t.Errorf("%q: content of %d bytes in %d rows", input, rows[0].content, len(rows))
		}
	}
}

package record

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
)

// inputMax is the length of the longest input that is fed byte by byte.
const inputMax = 1 << 10

// mark is a byte order mark.
const mark = "\xef\xbb\xbf"

// seedInputs adds inputs with the size at which a row is cut.
func seedInputs(f *testing.F, inputs ...string) {
	for i, input := range inputs {
		f.Add(input, uint8(i*7))
	}
}

// seedTexts adds inputs with texts to be encoded.
func seedTexts(f *testing.F, inputs ...string) {
	texts := []string{"", "v", "\x00\t\n\\\r\b\f\v", `\N`, `\.`, "NULL", `\\n`, "é\"\"\r\n,", "\xff\\", "a\\"}
	for i, input := range inputs {
		f.Add(input, texts[i%len(texts)], texts[(i*3+1)%len(texts)], uint8(i*7))
	}
}

func FuzzRaw(f *testing.F) {
	seedInputs(f, "", "\t", "k\tv\n", "k\ta\tb", "k v\tx\n\n", "k\t\r\nl\t"+strings.Repeat("v", 99)+"\nm\tw", strings.Repeat("k", 251)+"\t", mark+"k\tv\n")
	f.Fuzz(func(t *testing.T, input string, size uint8) {
		checkLines(t, Raw, input, size, func(line string) (key, value string, ok bool) {
			return strings.Cut(line, "\t")
		})
	})
}

func FuzzTSV(f *testing.F) {
	seedInputs(f, "", "\t", "k\tv\n", "k\ta\tb", "k v\tx\n\n", "k\t\r\nl\t"+strings.Repeat("v", 99)+"\nm\tw", strings.Repeat("k", 251)+"\t", mark+"k\tv\n", "\xef\xbb")
	f.Fuzz(func(t *testing.T, input string, size uint8) {
		checkLines(t, TSV, input, size, func(line string) (key, value string, ok bool) {
			columns := strings.Split(line, "\t")
			if len(columns) != 2 {
				return "", "", false
			}
			return columns[0], columns[1], true
		})
	})
}

// checkLines checks a format whose rows are lines that cut parses.
func checkLines(t *testing.T, format Format, input string, size uint8, cut func(string) (key, value string, ok bool)) {
	t.Helper()
	if len(input) > inputMax {
		return
	}
	rows := checkCut(t, Options{Format: format}, 4+int(size), input)
	if strings.HasPrefix(input, mark) {
		return
	}
	lines := strings.SplitAfter(input, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if isForeign(rows) {
		if key, _, ok := cut(strings.TrimSuffix(lines[0], "\n")); ok && validKey(key) && certain([]byte(input)) == nil {
			t.Fatalf("%q: %+v", input, rows[0])
		}
		return
	}
	if len(rows) != len(lines) {
		t.Fatalf("%q: %d rows in %d lines", input, len(rows), len(lines))
	}
	for i, line := range lines {
		key, value, ok := cut(strings.TrimSuffix(line, "\n"))
		row := rows[i]
		if ok = ok && validKey(key); ok != (row.kind == Item) || !ok && row.kind != Reject {
			t.Fatalf("%q: %+v", line, row)
		}
		if ok && (row.key != key || row.value != value) {
			t.Fatalf("%q: %+v", line, row)
		}
	}
}

func FuzzMySQL(f *testing.F) {
	seedTexts(f, "", "k\tv\n", "a\\tb\tv\n", "k\t\\0\\t\\n\\\\\n", "k\t\\r\nk\t\\\nk\tv", "k\tNULL\nNULL\tv\n", "k\n\nk\tv\tw\n", "k\t"+strings.Repeat(`v\\`, 50)+"\nl\tw\n")
	f.Fuzz(func(t *testing.T, input, a, b string, size uint8) {
		if len(input) > inputMax || len(a)+len(b) > inputMax {
			return
		}
		checkCut(t, Options{Format: MySQL}, 4+int(size), input)
		parse(t, Options{Format: MySQL, Header: true, Value: "json"}, 4+int(size), input)
		parse(t, Options{Format: MySQL, Key: "{2}:{1}", Value: "{2}{3}{2}", TTLColumn: "1", FlagsColumn: "3"}, 0, input)
		checkRoundTrip(t, Options{Format: MySQL}, joined(encodeMySQL, "\t", "\n"), a, b)
	})
}

func FuzzPSQL(f *testing.F) {
	seedTexts(f, "", "k\tv\n", "k\t\\b\\f\\n\\r\\t\\v\\\\\\101\\x4a\\q\n", "k\ta\\\nb\nl\t1\n", "k\tv\r\n\\.\r\nrest", "k\t\\N\n\\N\tv\n", "k\t\\\n\\\\\n\\\\\\\n", "\\.\tv\n\\.", "k\t"+strings.Repeat(`v\\`, 50)+"\nl\tw\n", "k\t"+strings.Repeat("\\\\\\\n", 50)+"\nl\tw\n")
	f.Fuzz(func(t *testing.T, input, a, b string, size uint8) {
		if len(input) > inputMax || len(a)+len(b) > inputMax {
			return
		}
		checkCut(t, Options{Format: PSQL}, 4+int(size), input)
		parse(t, Options{Format: PSQL, Header: true, Value: "json"}, 4+int(size), input)
		parse(t, Options{Format: PSQL, Key: "{2}:{1}", Value: "{2}{3}{2}", ExpiresColumn: "1", FlagsColumn: "3", Null: NullLiteral}, 0, input)
		checkRoundTrip(t, Options{Format: PSQL}, joined(encodePSQL, "\t", "\n"), a, b)
		checkRoundTrip(t, Options{Format: PSQL}, joined(encodePSQL, "\t", "\r\n"), b, a)
		checkRoundTrip(t, Options{Format: PSQL}, joined(encodeBytes(`\x%02x`), "\t", "\n"), a, b)
		checkRoundTrip(t, Options{Format: PSQL}, joined(encodeBytes(`\%03o`), "\t", "\n"), a, b)
	})
}

func FuzzCommands(f *testing.F) {
	for i, input := range []string{
		"", "\r\n", "set k 0 0 1\r\nv\r\n", "set k 1 2 3 noreply\r\nabc\r\nadd l 0 0 0\n\nreplace m 0 99999999999 1\r\nx", "ms k 1 q F1 T2 ME b\r\nv\r\nmn\r\n",
		"set k 0 0 1\r\nvv\r\nset k 0 0 9\r\nv\r\n", "append k 0 0 1\r\nv\r\nget k\r\ncas k 0 0 1 2\r\nv\r\n", "set k 0 0 99\r\n" + strings.Repeat("v", 99) + "\r\nquit\r\n",
		"set k 0 0 1\r\n" + strings.Repeat("v", 150) + "\r\n", "set k 0 -1 1\r\n\r\r\n",
	} {
		f.Add(input, "k", "v\r\n", uint32(i), uint32(i*i*1000), uint8(i*7))
	}
	f.Fuzz(func(t *testing.T, input, key, value string, flags, ttl uint32, size uint8) {
		if len(input) > inputMax || len(key)+len(value) > inputMax {
			return
		}
		options := Options{Format: Memcached}
		rowMax := 64 + int(size)
		// Of a longer line the command is not known.
		long := func(line string) bool { return len(line) > rowMax }
		if lines := strings.SplitAfter(input, "\n"); strings.Contains(input, "\n") && !anyOf(lines, long) {
			checkCut(t, options, rowMax, input)
		} else {
			parse(t, options, 0, input)
			parse(t, options, rowMax, input)
		}
		if !validKey(key) {
			return
		}
		ttl %= meta.RelativeMax + 1
		want := func(command Command) found {
			return found{kind: Item, key: key, value: value, flags: flags, ttl: int64(ttl), command: command}
		}
		data := fmt.Sprintf("%d\r\n%s\r\n", len(value), value)
		meta := fmt.Sprintf("%d b F%d q T%d ME\r\n%s\r\n", len(value), flags, ttl, value)
		input = fmt.Sprintf("set %s %d %d %sadd %s %d %d %s", key, flags, ttl, data, key, flags, ttl, data) +
			"ms " + base64.StdEncoding.EncodeToString([]byte(key)) + " " + meta
		check(t, input, parse(t, options, 0, input), []found{want(Set), want(Add), want(Add)})
	})
}

func anyOf(lines []string, is func(string) bool) bool {
	for _, line := range lines {
		if is(line) {
			return true
		}
	}
	return false
}

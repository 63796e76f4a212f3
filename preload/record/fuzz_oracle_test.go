package record

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzCSV(f *testing.F) {
	seedTexts(f, "", "k,v\n", "\"k\",\"a\"\"b\"\r\n", "k,\"a\r\n\"\"\nb\"\nl,1", "\n\r\n\r", "a\"b,c\n\"a\"b,c\n\"a", "\xef\xbb\xbf\"k\",v\n", "k,\"\"\nk,\n,\n", "k,\""+strings.Repeat("v\"\"\n", 50)+"\"\nl,1\n",
		"sep=;\nk;v\n", "k;v\nl;1,5\n", "1001;3,50\n", "k;\"a,b\"\n", "1,\"a\\\nb\"\n2,\\N\n", "1,\"c:\\dir\"\n2,\"a\\\nb\"\n3,\\N\n", "id\tbio\n1\tx\n")
	f.Fuzz(func(t *testing.T, input, a, b string, size uint8) {
		if len(input) > inputMax || len(a)+len(b) > inputMax {
			return
		}
		// What a row shows of the delimiter and of backslashes is not known of one that is cut.
		said := Options{Format: CSV, Delimiter: ",", Escape: none}
		checkCut(t, said, 4+int(size), input)
		parse(t, Options{Format: CSV}, 4+int(size), input)
		parse(t, Options{Format: CSV, Header: true, Value: "json"}, 4+int(size), input)
		parse(t, Options{Format: CSV, Key: "{2}:{1}", Value: "{2}{3}{2}", TTLColumn: "1", FlagsColumn: "3"}, 0, input)
		checkRoundTrip(t, said, joined(encodeCSV, ",", "\n"), a, b)
		checkRoundTrip(t, said, joined(encodeCSV, ",", "\r\n"), a, b)
		checkCSV(t, input)
	})
}

// checkCSV compares the fields of the rows with those that encoding/csv finds.
func checkCSV(t *testing.T, input string) {
	t.Helper()
	reader := csv.NewReader(strings.NewReader(input))
	reader.FieldsPerRecord = -1
	for data, q := []byte(input), (&quoted{dialect: dialects[CSV]}); len(data) > 0; { // a mark is the parser's matter
		content, size := q.next(data, true)
		row := data[:content]
		if data = data[size:]; len(row) == 0 {
			continue // encoding/csv says nothing of it
		}
		fields, reason, _ := q.split(nil, row)
		want, err := reader.Read()
		if (reason != "") != (err != nil) {
			t.Fatalf("%q: %q, encoding/csv: %v", row, reason, err)
		}
		if err != nil {
			return // where the next row begins is a matter of taste
		}
		var got []string
		for _, f := range fields {
			text := row[f.at:f.end]
			if f.coded {
				text, _, _ = q.unescape(nil, text)
			}
			if f.null != (f.at == f.end && (f.at == 0 || row[f.at-1] != '"')) {
				t.Fatalf("%q: %+v", row, f)
			}
			got = append(got, strings.ReplaceAll(string(text), "\r\n", "\n")) // as encoding/csv does
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, encoding/csv: %q", row, got, want)
		}
	}
	if want, err := reader.Read(); err == nil {
		t.Fatalf("encoding/csv finds another row: %q", want)
	}
}

func FuzzJSONL(f *testing.F) {
	seedInputs(f, "", "{}", `{"key":"k","value":"v"}`+"\n", "[{\"key\":\"k\",\"value\":\"v\"},\r\n{\"key\":1,\"value\":null}]", `{"key":"\u006b","value":"\"\\\/\b\f\n\r\t\ud83d\ude00"}`,
		`{"key":"k","value":"\ud83d"}`+"\n"+`{"key":"k","value":"\q"}`, `{"key":"k","value_base64":"AP8=","ttl":1,"flags":"2"}`, `{"value":[1,{"a":"]}"}],"key":"k","x":-1.5e+3,"y":true}`,
		`{"key":"k","value":"`+strings.Repeat(`\"v`, 50)+`"}`+"\n"+`{"key":"k","value":"v","expires":99999999999}`, "{\"key\":\"\xff\"}", `{"key":"a","key":"b","value":1,}`, `{"":0,"key":"k","value":{}}`,
		`{"key":"k{n}","count":3,"value":"{n}{n}"}`+"\n"+`{"key":"k","value":1,"expired":true,"cas":18446744073709551615,"stale":true,"won":false}`, `[{"count":12,"key":"{n}","size":[2,9],"seed":5},`+"\n"+`{"key":"k","size":1000000}]`,
		`{"key":"k","value":"","count":1,"count":2}`+"\n"+`{"key":"{n}","value":{"n":"{n}"},"count":99999999999,"ttl":"1.5s"}`, `{"key":"k{n}","value_base64":"e259","count":"2"}`,
		`[{"key":"k","value":"v","TTL":1},{"key_base64":"AGs=","value":{"a":[{}]}}][{"Key":1,"val":2},[`, "{\n  \"key\": \"k\",\n  \"value\": [\n    {}\n  ]\n}, {\n{\"key\":\"k\n{}")
	f.Fuzz(func(t *testing.T, input string, size uint8) {
		if len(input) > inputMax {
			return
		}
		for _, o := range []Options{{Format: JSONL}, {Format: JSONL, Value: "json"}, {Format: JSONL, Null: NullLiteral, Key: "{key}{x}", Value: "{key}:{value}"}} {
			rest := input
			begins := map[int]string{} // what is in the rows, by their offsets
			var texts []string
			rows := checkCut(t, o, 4+int(size), input)
			for _, row := range rows {
				if row.kind == Failed {
					break // a foreign file
				}
				line := rest[:row.content]
				if len(rest) == len(input) {
					line = strings.TrimPrefix(line, mark)
				}
				text := strings.TrimRight(strings.TrimRight(strings.TrimSuffix(strings.Trim(line, blanks), ","), blanks), blanks)
				begins[len(input)-len(rest)] = text
				if row.size > 0 && row.kind != Nothing {
					texts = append(texts, text)
				}
				if rest = rest[row.size:]; o.Key == "" {
					checkJSON(t, text, row, o.Value == "json")
				}
			}
			if !tooMany(rows) && !isForeign(rows) {
				checkStream(t, input, texts)
				checkOwnLines(t, input, begins)
			}
		}
	})
}

const blanks = " \t\r\n"

// checkStream compares the rows with the objects that encoding/json finds, if the input is nothing but objects and
// arrays of objects.
func checkStream(t *testing.T, input string, rows []string) {
	t.Helper()
	input = strings.TrimPrefix(input, mark)
	decoder := json.NewDecoder(strings.NewReader(input))
	var objects []string
	for inArray := false; ; {
		for inArray && !decoder.More() {
			if _, err := decoder.Token(); err != nil {
				return
			}
			inArray = false
		}
		at := int(decoder.InputOffset())
		if next := strings.TrimLeft(input[at:], blanks+","); !inArray && strings.HasPrefix(next, "[") {
			if _, err := decoder.Token(); err != nil {
				return
			}
			inArray = true
			continue
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err == io.EOF {
			break
		} else if err != nil || raw[0] != '{' {
			return
		}
		objects = append(objects, string(raw))
		// Without indentation a nested object is taken for the next one.
		begin := int(decoder.InputOffset()) - len(raw)
		indent := begin - 1 - strings.LastIndex(input[:begin], "\n")
		for line := range strings.Lines(string(raw)[1:]) {
			if inside := strings.TrimLeft(line, " \t\r"); strings.HasPrefix(inside, "{") && len(line)-len(inside) <= indent {
				return
			}
		}
	}
	if !slices.Equal(rows, objects) {
		t.Fatalf("%q: %q, encoding/json: %q", input, rows, objects)
	}
}

// checkOwnLines checks that an object that has a line of its own is a row, whatever is before it.
func checkOwnLines(t *testing.T, input string, rows map[int]string) {
	t.Helper()
	at := 0
	for line := range strings.Lines(input) {
		text := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(line, blanks), ","), blanks)
		if strings.HasPrefix(text, "{") && json.Valid([]byte(text)) && rows[at] != text {
			t.Fatalf("%q: there is no row %q at %d, but %q", input, text, at, rows[at])
		}
		at += len(line)
	}
}

// checkJSON compares a row with what encoding/json makes of its text.
func checkJSON(t *testing.T, text string, row found, whole bool) {
	t.Helper()
	var object map[string]json.RawMessage
	err := json.Unmarshal([]byte(text), &object)
	if err != nil || object == nil {
		if text != "" && text != "[" && text != "]" && row.kind != Reject {
			t.Fatalf("%q: %+v, encoding/json: %v", text, row, err)
		}
		return
	}
	key, sound := memberText(object, "key")
	value := text
	if !whole {
		var ok bool
		value, ok = memberText(object, "value")
		sound = sound && ok
	}
	if !whole && row.kind == Item {
		if _, sized := memberText(object, "size"); sized {
			_, sound = memberText(object, "key")
		}
		key, value = checkMock(t, text, object, row, key, value)
	}
	if row.kind == Item && object["value_base64"] == nil && object["key_base64"] == nil && (!sound || row.key != key || row.value != value) {
		t.Fatalf("%q: %+v, encoding/json: %q %q", text, row, key, value)
	}
	for name := range object {
		switch name {
		case "key_base64", "value_base64", "ttl", "expires", "flags", "expired", "cas", "size", "seed", "count", "stale", "won":
			return // there is more that can be wrong
		}
		plain := string(plainName(nil, []byte(name)))
		if !whole && (lookalikes[plain] != "" && name != "key" && name != "value" || slices.Contains(mockMembers, plain)) {
			if row.kind == Item {
				t.Fatalf("%q: %+v, in spite of %q", text, row, name)
			}
			return
		}
		if strings.ContainsRune(name, utf8.RuneError) {
			return
		}
	}
	if sound && utf8.ValidString(text) && validKey(key) != (row.kind == Item) {
		t.Fatalf("%q: %+v, encoding/json: %q %q", text, row, key, value)
	}
}

// checkMock compares an item with what the members of a mock say, and returns the key and the value that it should
// have.
func checkMock(t *testing.T, line string, object map[string]json.RawMessage, row found, key, value string) (string, string) {
	t.Helper()
	number := func(name string) (n uint64, there bool) {
		text, there := memberText(object, name)
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		if there && err != nil {
			t.Fatalf("%q: %+v, but %s is %q", line, row, name, text)
		}
		return n, there
	}
	if cas, _ := number("cas"); cas != row.cas {
		t.Fatalf("%q: %+v", line, row)
	}
	if expired := string(object["expired"]) == "true"; expired != (row.ttl == Past) {
		t.Fatalf("%q: %+v", line, row)
	}
	if marks := [2]bool{string(object["stale"]) == "true", string(object["won"]) == "true"}; marks != row.marks {
		t.Fatalf("%q: %+v", line, row)
	}
	count, counted := number("count")
	if counted {
		n := fmt.Sprint(count - row.left)
		key = strings.ReplaceAll(key, "{n}", n)
		if raw := object["value"]; len(raw) > 0 && raw[0] == '"' {
			value = strings.ReplaceAll(value, "{n}", n)
		}
	} else if row.left > 0 {
		t.Fatalf("%q: %+v", line, row)
	}
	size, sized := memberText(object, "size")
	if !sized {
		return key, value
	}
	var least, most int64
	if n, _ := fmt.Sscanf(strings.Join(strings.Fields(size), ""), "[%d,%d]", &least, &most); n < 2 {
		least, _ = strconv.ParseInt(size, 10, 64)
		most = least
	}
	filler := func(r rune) bool { return r <= ' ' || r > '~' }
	if n := int64(len(row.value)); !row.oversize && (n < least || n > most) || row.oversize && most <= 1<<20 || strings.ContainsFunc(row.value, filler) {
		t.Fatalf("%q: %+v", line, row)
	}
	return key, row.value
}

// memberText is the text of a member, unless it is null or encoding/json has replaced
// something in it that is not UTF-8.
func memberText(object map[string]json.RawMessage, name string) (string, bool) {
	raw := string(object[name])
	if raw == "" || raw == "null" {
		return "", false
	}
	if raw[0] != '"' {
		return raw, true
	}
	var text string
	if err := json.Unmarshal([]byte(raw), &text); err != nil {
		panic(fmt.Sprintf("%q is JSON no more: %v", raw, err))
	}
	const replaced = string(utf8.RuneError)
	there := strings.Count(raw, replaced) + strings.Count(strings.ToLower(raw), `\ufffd`)
	return text, strings.Count(text, replaced) <= there
}

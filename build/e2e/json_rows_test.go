package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// JSON as its programs write it: arrays on one line or on many, objects over lines; and what is wrong in it costs
// one row, or is told with its way out.
func TestJSONRows(t *testing.T) {
	s := start(t, stock(t))
	const n = 3000
	var line, pretty strings.Builder
	want := map[string]string{}
	for i := range n {
		key, value := fmt.Sprintf("json:%d", i), fmt.Sprintf("{\"%d\\", i)
		want[key] = value
		comma := ","
		if i == n-1 {
			comma = ""
		}
		fmt.Fprintf(&line, `{"key":%q,"value":%q}%s`, key, value, comma)
		fmt.Fprintf(&pretty, "    {\n        \"key\": %q,\n        \"value\": %q\n    }%s\n", key, value, comma)
	}
	all := account{rows: n, stored: n}
	for name, rows := range map[string]string{
		"line.json": "[" + line.String() + "]", "pretty.json": "[\n" + pretty.String() + "]\n", "objects.json": strings.ReplaceAll(pretty.String(), "},", "}"),
	} {
		s.outcome(nil, all, written(t, name, []byte(rows)))
		s.holds(want)
		s.cache().FlushAll()
	}

	for _, test := range []struct {
		rows   string
		status int
		says   string
	}{
		{`[{"key":"a","value":"1"},{"key":"b c","value":"2"},{"key":"d","value":"3"}]`, 3, `line 1, byte 35: space or control byte in the key (key "b c")`},
		{`[{"key":"a","value":"1"},` + "\n" + `{"key":"d","value":"3"}` + "\n", 1, "the JSON array is not closed"},
		{`{"users":[{"key":"a","value":"1"}]}`, 3, `jq -c '.users[]'`},
		{`{"key":"a","value":"1","exptime":60}` + "\n" + `{"key":"d","value":"3","ttl":60}`, 3, `"exptime": "ttl" is seconds from now, "expires" a date`},
		{`{"id":1,"name":"Ann"}` + "\n" + `{"id":2,"name":"Bob"}`, 3, "its members are \"id\", \"name\"\nhint: --key and --value choose members"},
		{`{"key":"a","value":"1"}` + "\n" + `{"key":"b",` + "\n" + `{"key":"d","value":"3"}`, 3, "line 2, byte 12: the object is not closed"},
	} {
		_, stderr, status := s.client([]byte(test.rows), "--from", "jsonl")
		if status != test.status || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: status %d, %s", test.rows, status, stderr)
		}
		if strings.Contains(test.rows, `"d"`) && s.get("d") != "3" {
			t.Errorf("%s: d is not stored", test.rows)
		}
		s.cache().FlushAll()
	}
}

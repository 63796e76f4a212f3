package e2e

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// TestReported: inputs of a kind that users of memcached have reported to go wrong elsewhere. What is stored is what
// their source had, byte for byte; all of it, or what is missing is said, with a status that is not 0.
func TestReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, input string
		args        []string
		want        map[string]string // what the source had
		says        string            // a part of the message, if not all of it is stored
	}{
		"the second table of a COPY": {
			file: "tables", input: "1\tAnn\n2\tBob\n\\.\n7\tXu\n8\tYo\n", args: []string{"--from", "psql"},
			want: map[string]string{"1": "Ann", "2": "Bob", "7": "Xu", "8": "Yo"},
		},
		"a backslash before a tab, as COPY takes it": {
			file: "tabs", input: "1\ta\\\tb\n2\tx\n", args: []string{"--from", "psql"},
			want: map[string]string{"1": "a\tb", "2": "x"},
		},
		"a byte order mark before COPY's rows": {
			file: "mark", input: "\xef\xbb\xbfk1\tAnn\nk2\tBob\n", args: []string{"--from", "psql"},
			want: map[string]string{"k1": "Ann", "k2": "Bob"},
		},
		"INTO OUTFILE taken for CSV": {
			file: "outfile.csv", input: "1,\"a\tb\"\n2,\"l1\\\nl2\"\n3,\\N\n4,\"c:\\\\dir\"\n5,\"a,b\"\n",
			want: map[string]string{"1": "a\tb", "2": "l1\nl2", "4": `c:\dir`, "5": "a,b"},
			says: "--from outfile",
		},
		"semicolons of a spreadsheet": {
			file: "prices.csv", input: "1001;3,50\n1002;12,99\n",
			want: map[string]string{"1001": "3,50", "1002": "12,99"},
			says: "--delimiter",
		},
		"members that are almost options": {
			file: "sessions.jsonl", input: `{"key":"s1","value":"x","exptime":60}` + "\n" + `{"key":"s2","value":"x","TTL":60}` + "\n" + `{"key":"s3","value":"x","ttl":60}` + "\n",
			want: map[string]string{"s1": "x", "s2": "x", "s3": "x"},
			says: `"exptime"`,
		},
		"a JSON array on one line": {
			file: "array.json", input: `[{"key":"k1","value":"A"},{"key":"k2","value":"B"}]` + "\n",
			want: map[string]string{"k1": "A", "k2": "B"},
		},
		"an object on several lines": {
			file: "pretty.json", input: "[\n  {\n    \"key\": \"k1\",\n    \"value\": \"A\"\n  },\n  {\n    \"key\": \"k2\",\n    \"value\": \"B\"\n  }\n]\n",
			want: map[string]string{"k1": "A", "k2": "B"},
		},
		"days in a column": {
			file: "days.csv", input: "k1,v,30d\nk2,v,720h\n", args: []string{"--key", "1", "--value", "2", "--ttl-column", "3"},
			want: map[string]string{"k1": "v", "k2": "v"},
		},
		"a date in a column": {
			file: "dates.csv", input: "k1,A,2037-12-01T00:00:00Z\n", args: []string{"--key", "1", "--value", "2", "--expires-column", "3"},
			want: map[string]string{"k1": "A"},
		},
		"UTF-16 of PowerShell": {
			file: "utf16.csv", input: utf16Text("id,bio\r\n1,Ann\r\n2,Bob\r\n"), args: []string{"--header", "--key", "u:{id}", "--value", "bio"},
			want: map[string]string{"u:1": "Ann", "u:2": "Bob"},
			says: "UTF-16",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t), "-m", "8")
			stdout, stderr, status := s.client(nil, append(append([]string{"load"}, test.args...), written(t, test.file, []byte(test.input)))...)
			missing := 0
			for key, value := range test.want {
				if item, err := s.cache().Get(key); err != nil {
					missing++
				} else if string(item.Value) != value {
					t.Errorf("%s is %q, and was %q", key, item.Value, value)
				}
			}
			if n := s.stat("", "curr_items"); n != len(test.want)-missing {
				t.Errorf("%d items, of which %d are from the source", n, len(test.want)-missing)
			}
			if loud := status != 0; loud != (missing > 0) || loud && !strings.Contains(stderr, test.says) || loud && test.says == "" {
				t.Errorf("%d of %d items are missing; status %d: %s%s", missing, len(test.want), status, stdout, stderr)
			}
		})
	}
}

// utf16Text is a text as PowerShell's redirection writes it.
func utf16Text(text string) string {
	var s strings.Builder
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		s.WriteByte(byte(unit))
		s.WriteByte(byte(unit >> 8))
	}
	return s.String()
}

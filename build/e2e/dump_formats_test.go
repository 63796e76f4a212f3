package e2e

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A dump of every format comes back by a load without options: keys and values of any bytes, flags, times, and, where
// the format has them, marks.
func TestDumpFormatsComeBack(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		var rows strings.Builder
		n := 0
		add := func(key, value, flags string) {
			n++
			fmt.Fprintf(&rows, "ms %s %d b %s\r\n%s\r\n", base64.StdEncoding.EncodeToString([]byte(key)), len(value), flags, value)
		}
		for name, value := range hostile() {
			add("text:"+name, value, "")
			if len(value) > 0 && len(value) <= 186 {
				add(value, name, "F7")
			}
		}
		add("\x00\xff", "\xff\x00\xfe", "F4294967295 T1000")
		add("é\"\\,{}[]", "{\"key\":\"x\"}", "T100000")
		for i := range 256 {
			add(string([]byte{'b', byte(i)}), string([]byte{byte(i)}), "")
		}
		s.outcome(strings.NewReader(rows.String()), account{rows: uint64(n), stored: uint64(n)}, "--from", "memcached")

		for _, format := range []string{"csv", "jsonl", "ms"} {
			if format == "jsonl" && h.native() { // CSV has no marks
				s.ask("md text:plain I T500", regexp.MustCompile("^HD"))
			}
			original, file := filepath.Join(s.dir, "original."+format), filepath.Join(s.dir, "copy."+strings.Replace(format, "ms", "dump", 1))
			for path, format := range map[string]string{original: "ms", file: format} {
				if stdout, stderr, status := s.client(nil, "dump", "--format", format, path); status != 0 {
					t.Fatalf("%s: %d, %s%s", format, status, stdout, stderr)
				}
			}
			s.ask("flush_all", regexp.MustCompile("^OK"))
			stdout, stderr, status := s.client(nil, file)
			if status != 0 || !strings.HasPrefix(stdout, fmt.Sprintf("%d rows read: %d stored", n, n)) {
				t.Errorf("%s: %d, %s%s", format, status, stdout, stderr)
			}
			if said := strings.Contains(stderr, "note: the first line is that of a dump"); said != (format == "csv") {
				t.Errorf("%s: %s", format, stderr)
			}
			if stdout, stderr, status := s.client(nil, "diff", original); status != 0 {
				t.Errorf("%s: %d, %.2000s%s", format, status, stdout, stderr)
			}
		}
	})
}

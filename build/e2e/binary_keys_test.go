package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Keys of any bytes, which travel in base64, are dumped, restored, and marked as such: memcached's own commands show
// them as before.
func TestBinaryKeys(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		ask := func(line string) string { return strings.Join(s.ask(line+"\r\nmn", regexp.MustCompile("^MN")), "\n") }
		const get = "mg YSBiAA== b k f v\r\nmg AA== b k f v\r\nmg plain k f v"
		ask("ms YSBiAA== 3 b F5\r\nabc\r\nms AA== 1 b\r\nx\r\nms plain 1\r\ny")
		before := ask(get)
		if !strings.Contains(before, "abc") || !strings.Contains(before, "\nx\n") {
			t.Fatalf("%q", before)
		}
		file := filepath.Join(s.dir, "dump")
		for _, mode := range []string{"set", "add"} {
			if stdout, stderr, status := s.client(nil, "dump", file); status != 0 || !strings.HasPrefix(stdout, "3 items met: 3 written") {
				t.Fatalf("%d, %s%s", status, stdout, stderr)
			}
			s.ask("flush_all", regexp.MustCompile("^OK"))
			if stdout, stderr, status := s.client(nil, "restore", "--mode", mode, file); status != 0 || !strings.HasPrefix(stdout, "3 items read: 3 stored") {
				t.Fatalf("%d, %s%s", status, stdout, stderr)
			}
			if after := ask(get); after != before {
				t.Errorf("%q, before %q", after, before)
			}
		}
		// A value that is too large takes the old one out, by that key.
		_, stderr, status := s.client(append(append([]byte("ms AA== 1100000 b\r\n"), make([]byte, 1_100_000)...), "\r\n"...), "load", "--from", "memcached")
		if status != 3 {
			t.Fatalf("%d, %s", status, stderr)
		}
		if got := ask("mg AA== b v"); got != "EN" {
			t.Errorf("%q", got)
		}
	})
}

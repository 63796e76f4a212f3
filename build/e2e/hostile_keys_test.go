package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// said are memcached's answers to commands, whatever they are.
func (s *server) said(commands string) string {
	s.t.Helper()
	return strings.Join(s.ask(commands+"\r\nmn", regexp.MustCompile("^MN$")), "\n")
}

// A key is never a command, nor is the value of a key that no command can have: not when it is loaded, looked for, removed,
// or dumped, and not when a dump is sent to memcached as it is.
func TestKeyIsNoCommand(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.said("set witness 0 0 1\r\n1")
		there := func(when string) {
			t.Helper()
			if got := s.said("get witness"); got != "VALUE witness 0 1\n1\nEND" {
				t.Fatalf("%s: %q", when, got)
			}
		}
		flush := base64.StdEncoding.EncodeToString([]byte("x\r\nflush_all\r\nmn\r\n"))
		row := "ms " + flush + " 3 b\r\nabc\r\n"
		load := func(rows, stdout string, status int) {
			t.Helper()
			if out, stderr, got := s.client([]byte(rows), "load", "--from", "memcached"); got != status || !strings.HasPrefix(out, stdout) {
				t.Fatalf("status %d: %s%s", got, out, stderr)
			}
			there("after a load")
		}
		load(row, "1 row read: 1 stored", 0)
		if got := s.said("mg " + flush + " b v"); got != "VA 3\nabc" {
			t.Errorf("%q", got)
		}
		load(strings.Replace(row, " b", " b T-1", 1), "1 row read: 0 stored, 0 rejected, 1 skipped", 0)
		if got := s.said("mg " + flush + " b v"); got != "EN" {
			t.Errorf("%q", got)
		}

		// In base64 it is longer than memcached takes: only its own functions store it.
		long := "a\x01" + strings.Repeat("k", 185)
		row = "ms " + base64.StdEncoding.EncodeToString([]byte(long)) + " 9 b\r\nflush_all\r\n"
		if h.native() {
			load(row, "1 row read: 1 stored", 0)
		} else {
			load(row, "1 row read: 0 stored, 1 rejected", 3)
			s.said("set " + long + " 0 0 9\r\nflush_all")
		}
		load("ms "+flush+" 9 b\r\nflush_all\r\n", "1 row read: 1 stored", 0)
		whole := filepath.Join(s.dir, "dump")
		stdout, stderr, status := s.client(nil, "dump", whole)
		if h.native() {
			if status != 0 || !strings.HasPrefix(stdout, "3 items met: 3 written, 0 filtered, 0 lost") {
				t.Fatalf("status %d: %s%s", status, stdout, stderr)
			}
			s.said("flush_all\r\nset witness 0 0 1\r\n1")
			if stdout, stderr, status := s.client(nil, "restore", "--mode", "add", whole); status != 0 || !strings.HasPrefix(stdout, "3 items read: 2 stored, 0 rejected, 1 skipped") {
				t.Fatalf("status %d: %s%s", status, stdout, stderr)
			}
			if got := s.said("get " + long); got != fmt.Sprintf("VALUE %s 0 9\nflush_all\nEND", long) {
				t.Errorf("%q", got)
			}
		} else if status != 3 || !strings.HasPrefix(stdout, "3 items met: 2 written, 0 filtered, 1 lost") || !strings.Contains(stderr, `"a\x01k`) {
			t.Fatalf("status %d: %s%s", status, stdout, stderr)
		}
		if stdout, stderr, status := s.client(nil, "dump", "--keys-only"); status != 0 || strings.Count(stdout, "\n") != 3 {
			t.Errorf("status %d: %s%s", status, stdout, stderr)
		}
		commands, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		s.said("set late 0 0 1\r\n1") // the dump does not bring it back
		s.said(string(commands))
		there("when a dump is sent")
		if got := s.said("get late"); got != "VALUE late 0 1\n1\nEND" {
			t.Errorf("when a dump is sent: %q", got)
		}
		s.lives()
	})
}

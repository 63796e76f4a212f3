package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A value that is not stored leaves what there was, and the reason is said.
func TestSet(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		s.sets("old", "there")
		tooLarge := strings.Repeat("x", 1<<20+1)
		nearly := tooLarge[:1<<20-8]
		for _, tt := range []struct {
			value  string
			args   []string
			status int
			err    string
		}{
			{"v", []string{"there", "--mode", "add"}, 3, "error: not stored: key exists (key \"there\")\n"},
			{"v", []string{"none", "--mode", "replace"}, 3, "error: not stored: key does not exist (key \"none\")\n"},
			{tooLarge, []string{"there"}, 3, "error: not stored: standard input has more bytes than memcached's largest item, 1048576 (-I)\n"},
			{"v", []string{"there", "--ttl", "x"}, 80, "neither a number of seconds"},
			{"v", []string{"there", "--mode", "prepend"}, 80, "is no mode"},
			{"v", []string{strings.Repeat("k", 251)}, 80, "has 251 bytes"},
		} {
			out, errs, status := s.client([]byte(tt.value), append([]string{"set"}, tt.args...)...)
			if status != tt.status || out != "" || !strings.Contains(errs, tt.err) {
				t.Errorf("set %q: status %d: %q %s", tt.args, status, out, errs)
			}
			if now := s.get("there"); now != "old" {
				t.Fatalf("set %q: there is %.30q", tt.args, now)
			}
		}
		s.missing("none")
		// A row that a load rejects leaves no old value, which would be stale.
		for _, tt := range []struct {
			value, err string
			args       []string
		}{
			{nearly, "value too large for memcached's item size limit (-I) (key \"there\")", nil},
			{"v", "the value is not of its type: ", []string{"--flags-for", "php-int"}},
		} {
			if _, errs, status := s.client([]byte(tt.value), append([]string{"set", "there"}, tt.args...)...); status != 3 || !strings.HasPrefix(errs, "error: not stored: "+tt.err) {
				t.Errorf("status %d: %s", status, errs)
			}
			s.missing("there")
			s.sets("old", "there")
		}
		s.sets("7", "int", "--flags-for", "php-int", "--mode", "add")
		if item, err := s.cache().Get("int"); err != nil || item.Flags != 1 {
			t.Errorf("%+v, %v", item, err)
		}
		var document struct {
			Stored, Skipped uint64
			Error           string
		}
		if out, _, status := s.client([]byte("v"), "set", "there", "--mode", "add", "--json"); status != 3 || json.Unmarshal([]byte(out), &document) != nil || document.Skipped != 1 || document.Error == "" {
			t.Errorf("status %d: %s", status, out)
		}
		s.lives()
	})
}

// Standard input that is empty is said: a program before the pipe may have failed. That of a file is stored from its offset on.
func TestSetInput(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t), "-I", "32m", "-m", "256")
	if out, errs, status := s.client(nil, "set", "empty"); status != 0 || !strings.HasPrefix(errs, "warning: standard input was empty: ") || s.get("empty") != "" {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<16)
	name := filepath.Join(s.dir, "large")
	if err := os.WriteFile(name, large, 0o600); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) string {
		t.Helper()
		c := exec.Command("bash", "-ec", "set -o pipefail; "+script)
		c.Env = append(os.Environ(), "CLIENT="+built(t, "client")+" --door "+s.door)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return string(out)
	}
	shell("$CLIENT set file <" + name + " && cat " + name + " | $CLIENT set pipe && { dd bs=16 count=1 status=none of=/dev/null; $CLIENT set rest; } <" + name)
	for _, key := range []string{"file", "pipe", "rest"} {
		want := large
		if key == "rest" {
			want = large[16:]
		}
		if value := s.get(key); value != string(want) {
			t.Errorf("%s: %d bytes", key, len(value))
		}
	}
	if out := shell("$CLIENT get pipe | cmp - " + name + "; set +o pipefail; $CLIENT get pipe | head -c 5"); out != "01234" {
		t.Errorf("%q", out)
	}
	s.lives()
}

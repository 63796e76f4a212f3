package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// sha256sum is the hash that the program of this name prints.
func sha256sum(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.Command("sha256sum")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(string(out), " ")
	return sum
}

// Keys get their prefix in each format, and the hash of those that are too long is what an application computes.
func TestKeyNames(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		const prefix = "shop:"
		long := strings.Repeat("/path/to a page", 30)
		short, edge := strings.Repeat("k", 245), strings.Repeat("k", 246)
		want := map[string]string{
			prefix + "raw": "1", prefix + "csv": "2", prefix + "json": "3", prefix + "cmd": "4",
			prefix + short: "5", prefix + sha256sum(t, edge): "6", prefix + sha256sum(t, long): "7",
		}
		for _, load := range []struct{ format, rows string }{
			{"raw", "raw\t1\n" + short + "\t5\n" + edge + "\t6\n" + long + "\t7\n"},
			{"csv", "\"csv\",2\n" + long + ",7\n"},
			{"jsonl", `{"key":"json","value":3}` + "\n" + `{"key":"` + edge + `","value":6}` + "\n"},
			{"memcached", "set cmd 0 0 1\r\n4\r\nset " + edge + " 0 0 1\r\n6\r\n"},
		} {
			rows := uint64(strings.Count(load.rows, "\n"))
			if load.format == "memcached" {
				rows /= 2
			}
			l := s.outcome(strings.NewReader(load.rows), account{rows: rows, stored: rows}, "--from", load.format, "--key-prefix", prefix, "--hash-long-keys", "sha256")
			hashed := strings.Count(load.rows, edge) + strings.Count(load.rows, long)
			if note := fmt.Sprintf("keys that were longer than 250 bytes and were hashed: %d", hashed); len(l.Notes) != 1 || l.Notes[0] != note {
				t.Errorf("%s: the notes are %q, want %q", load.format, l.Notes, note)
			}
		}
		s.holds(want)

		// A row that is rejected takes out the old value of the key that it would have had.
		rows := "raw,1,x\n" + edge + ",1,x\na b,1,1\n"
		_, stderr, status := s.client([]byte(rows), "load", "--from", "csv", "--key", "1", "--value", "2", "--flags-column", "3", "--key-prefix", prefix, "--hash-long-keys", "sha256")
		if status != 3 || !strings.Contains(stderr, `(key "shop:raw")`) || !strings.Contains(stderr, `space or control byte in the key (key "shop:a b")`) {
			t.Errorf("status %d, %q", status, stderr)
		}
		s.missing(prefix + "raw")
		s.missing(prefix + sha256sum(t, edge))
		delete(want, prefix+"raw")
		delete(want, prefix+sha256sum(t, edge))
		s.holds(want)

		// A dump is checked before it gets the prefix, and a key that is too long then is hashed.
		dump, stderr, status := s.client(nil, "dump")
		if status != 0 {
			t.Fatalf("status %d, %q", status, stderr)
		}
		if _, stderr, status = s.client([]byte(dump), "restore", "--key-prefix", "copy:"); status != 3 || !strings.Contains(stderr, "key longer than 250 bytes") {
			t.Errorf("status %d, %q", status, stderr)
		}
		if _, stderr, status = s.client([]byte(dump), "restore", "--key-prefix", "copy:", "--hash-long-keys", "sha256"); status != 0 {
			t.Errorf("status %d, %q", status, stderr)
		}
		all := map[string]string{"copy:" + sha256sum(t, prefix+short): "5"}
		for key, value := range want {
			if all[key] = value; key != prefix+short {
				all["copy:"+key] = value
			}
		}
		s.holds(all)
		s.lives()
	})
}

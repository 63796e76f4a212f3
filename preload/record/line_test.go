package record

import (
	"bytes"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, test := range []struct {
		name, line string
		key, value string
		reason     Reason
	}{
		{"plain", "user_1\tTrond", "user_1", "Trond", ""},
		{"empty value", "k\t", "k", "", ""},
		{"further tabs", "k\ta\tb\t", "k", "a\tb\t", ""},
		{"carriage return is kept", "k\tv\r", "k", "v\r", ""},
		{"any byte in the value", "k\t\x00\xff\x7f ", "k", "\x00\xff\x7f ", ""},
		{"bytes above ASCII in the key", "sm\xc3\xb6r\xff\tv", "sm\xc3\xb6r\xff", "v", ""},
		{"longest key", strings.Repeat("k", 250) + "\tv", strings.Repeat("k", 250), "v", ""},
		{"key too long", strings.Repeat("k", 251) + "\tv", strings.Repeat("k", 251), "v", KeyTooLong},
		{"no tab", "user_1 Trond", "user_1 Trond", "", NoTab},
		{"nothing", "", "", "", NoTab},
		{"empty key", "\tv", "", "v", EmptyKey},
		{"space in the key", "user 1\tv", "user 1", "v", KeyByte},
		{"NUL in the key", "user\x001\tv", "user\x001", "v", KeyByte},
		{"DEL in the key", "user\x7f\tv", "user\x7f", "v", KeyByte},
	} {
		t.Run(test.name, func(t *testing.T) {
			line := []byte(test.line)
			nkey, reason := Line(line)
			if reason != test.reason {
				t.Fatalf("reason %q, want %q", reason, test.reason)
			}
			if got := string(line[:nkey]); got != test.key {
				t.Errorf("key %q, want %q", got, test.key)
			}
			if reason == "" && string(line[nkey+1:]) != test.value {
				t.Errorf("value %q, want %q", line[nkey+1:], test.value)
			}
		})
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "\t", "k\tv", "k\ta\tb", "k v\tx", strings.Repeat("k", 251) + "\t"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		nkey, reason := Line(line)
		if nkey < 0 || nkey > len(line) {
			t.Fatalf("nkey %d of %d bytes", nkey, len(line))
		}
		key, _, tab := bytes.Cut(line, []byte{'\t'})
		bad := !tab || len(key) == 0 || len(key) > KeyMax ||
			bytes.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f })
		if bad != (reason != "") {
			t.Fatalf("reason %q for %q", reason, line)
		}
		if !bytes.Equal(key, line[:nkey]) {
			t.Fatalf("key %q, want %q", line[:nkey], key)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	line := []byte("user_1234567\t" + strings.Repeat("x", 100))
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		Line(line)
	}
}

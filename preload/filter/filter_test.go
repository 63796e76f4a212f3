package filter

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"runtime"
	"strings"
	"testing"

	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

func TestWants(t *testing.T) {
	items := []walk.Item{
		{Key: []byte("user:1"), Size: 10, TTL: -1, Idle: 5},
		{Key: []byte("user:22"), Size: 100, TTL: 60, Idle: 500},
		{Key: []byte("page:\xff\n"), Size: 1000, TTL: 0, Idle: -1},
		{Key: []byte("read"), Size: 1, TTL: 10, Idle: 5000, Fetched: true},
	}
	for _, tt := range []struct {
		options Options
		want    string
	}{
		{Options{}, "0123"},
		{Options{Prefix: "user:"}, "01"},
		{Options{Prefix: "user:1"}, "0"},
		{Options{Prefix: "user:10"}, ""},
		{Options{Match: "*:??*"}, "12"},
		{Options{Regex: "^user:[0-9]$"}, "0"},
		{Options{Regex: "[0-9]"}, "01"},
		{Options{Regex: `(?s)^page:..$`}, "2"}, // a byte that is not UTF-8 is one character
		{Options{MinSize: 100}, "12"},
		{Options{MinSize: 101}, "2"},
		{Options{OlderThan: 5}, "01"},
		{Options{OlderThan: 6}, "1"},
		{Options{MinTTL: 60}, "01"},
		{Options{MinTTL: 61}, "0"},
		{Options{NeverExpires: true}, "0"},
		{Options{Prefix: "user:", MinSize: 50}, "1"},
		{Options{Prefix: "user:", Regex: "2", NeverExpires: true}, ""},
	} {
		f, err := New(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range items {
			if f.Wants(&items[i]) {
				got += fmt.Sprint(i)
			}
		}
		if got != tt.want {
			t.Errorf("%+v wants %q, not %q", tt.options, got, tt.want)
		}
	}
	if f := (*Filter)(nil); !f.Wants(&items[0]) || f.Prefix() != "" {
		t.Error("no filter does not want every item")
	}
}

func TestOptionErrors(t *testing.T) {
	for _, tt := range []struct {
		options Options
		want    string
	}{
		{Options{Prefix: strings.Repeat("x", 251)}, "a prefix of 251 bytes is longer than any key"},
		{Options{Regex: "a("}, "the regular expression \"a(\": missing closing ): \"a(\""},
		{Options{Regex: "(?=a)"}, "the regular expression \"(?=a)\": invalid or unsupported Perl syntax: \"(?=\""},
		{Options{Regex: strings.Repeat("a", 100) + "["}, "the regular expression \"" + strings.Repeat("a", 64) + "\"…: missing closing ]: \"[\""},
		{Options{Regex: strings.Repeat("x{999}", 5)}, "the regular expression \"x{999}x{999}x{999}x{999}x{999}\" is too large"},
		{Options{Regex: strings.Repeat("a", 4097)}, "the regular expression \"" + strings.Repeat("a", 64) + "\"… is too large"},
		{Options{OlderThan: -1}, "a time of the conditions is negative"},
		{Options{MinTTL: -1}, "a time of the conditions is negative"},
	} {
		_, err := New(tt.options)
		if _, ok := errors.AsType[*option.Error](err); !ok || err.Error() != tt.want {
			t.Errorf("%.100q, want %q", fmt.Sprint(err), tt.want)
		}
	}
}

// A regular expression that would be a large program is refused before one is made of it, in memcached's memory.
func TestRegexMemory(t *testing.T) {
	for _, expr := range []string{"(" + strings.Repeat("a", 3300) + "){1000}", "((" + strings.Repeat(`\pL`, 1300) + "){30}){30,33}", strings.Repeat(`\pL`, 1300)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(Options{Regex: expr})
		runtime.ReadMemStats(&after)
		if tooLarge := strings.Contains(expr, "{"); tooLarge != (err != nil) {
			t.Errorf("%.20s: %v", expr, err)
		}
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 32 {
			t.Errorf("%.20s takes %d MB", expr, n)
		}
	}
}

// No program has more instructions than were expected.
func TestInstructions(t *testing.T) {
	for _, expr := range []string{
		"", "a", "abc", ".", "[a-z]", "(a)", "(?:)", "a*", "a+?", "a?", "(a|bc|)*", "a{0}", "(){0}", "a{3}", "a{3,}", "a{0,}", "a{2,5}", "(ab|c){0,7}", "(?:a{2,3}b){4,}", "^a$", `\bx\B`, "(?i)straße",
		"(|a)*", "(|a)+", "(?:(?:a*)+|b?){3}", "abc|abd|[^a]", "[^\\x00-\\x{10FFFF}]", "x{999}",
	} {
		parsed, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if n := instructions(parsed); len(program.Inst) > n+2 || len(program.Inst) < n/2 { // it begins with one that fails, and ends with one that matches
			t.Errorf("%q has %d instructions, want %d", expr, len(program.Inst), n)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, key string
		want         bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "aa", false}, {"?", "", false}, {"*", "", true},
		{"**", "x", true}, {"*a*b", "xaybzb", true}, {"*a*b", "xaybz", false}, {"a*", "ba", false},
		{"*.html", "/a/b.html", true}, {"[a]", "[a]", true}, {"[a]", "a", false}, {"a?c", "a\xffc", true},
		{strings.Repeat("*a", 40) + "b", strings.Repeat("a", 250), false},
	} {
		if got := Match(tt.pattern, []byte(tt.key)); got != tt.want {
			t.Errorf("%q matches %q: %t", tt.pattern, tt.key, got)
		}
	}
}

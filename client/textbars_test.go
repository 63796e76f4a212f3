package main

import (
	"strings"
	"testing"
)

func TestBars(t *testing.T) {
	blocks, plain := &textBars{columns: 40, blocks: true}, &textBars{columns: 40}
	for _, tt := range []struct {
		bars *textBars
		part float64
		want string
	}{
		{blocks, 0, ""}, {blocks, 1, "████"}, {blocks, 0.5, "██"}, {blocks, 0.0001, "▏"}, {blocks, 0.28125, "█▏"}, {blocks, 0.96875, "███▉"}, {blocks, 0.999, "████"},
		{plain, 0, ""}, {plain, 1, "####"}, {plain, 0.0001, "#"}, {plain, 0.4, "##"},
	} {
		if got := tt.bars.bar(tt.part, 4); got != tt.want {
			t.Errorf("%g: %q, want %q", tt.part, got, tt.want)
		}
	}
}

// However wide the terminal is, no line is wider, and the figures stand below each other; a narrow one shows short bars.
func TestBarLines(t *testing.T) {
	rows := []barRow{
		{"user:session:with:a:long:name", 100, []string{"1000", "1.0 kB"}}, {"日本語日本語日本語日本語日本語", 50, []string{"1", "999.9 kB"}}, {"e\u0301:", 0, []string{"0", "0 B"}},
	}
	for _, blocks := range []bool{true, false} {
		for columns := 1; columns < 200; columns++ {
			bars := &textBars{columns: columns, blocks: blocks}
			lines := bars.lines([]string{"keys", "values"}, append([]barRow(nil), rows...))
			if len(lines) != 4 {
				t.Fatalf("%q", lines)
			}
			for _, line := range lines {
				n := columnsOf(line)
				if n != columnsOf(lines[0]) || n >= columns && columns > 40 {
					t.Fatalf("%d columns: %q has %d", columns, line, n)
				}
				if !blocks && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
					t.Fatalf("%q", line)
				}
			}
		}
	}
	if got := blocksAt(40).lines([]string{"keys", "values"}, rows[1:2:2])[1]; !strings.HasPrefix(got, "日本語日本語…  ████") {
		t.Errorf("%q", got)
	}
}

func blocksAt(columns int) *textBars { return &textBars{columns: columns, blocks: true} }

func TestKeysBars(t *testing.T) {
	t.Setenv("LC_ALL", "C.utf8")
	path := prefixed.serve(t, nil)
	runWith(t, path, "", "keys", "--bars", "--limit", "3").ends(0, `                                                            keys  values   part
user:          ███████████████████████████████████████████     3  2.0 kB  50.0%
page:          ███████████████████████████████████████████     1  2.0 kB  50.0%
(none)         ▏                                               1     2 B  <0.1%
(the rest: 1)  ▏                                               1     1 B  <0.1%
6 items: 5 shown, 1 in the rest (4.0 kB of values, 0.00 s, native)
`, "")
	runWith(t, path, "", "keys", "--bars", "--sort", "keys", "--prefix", "user:", "--depth", "2").ends(0, `                                                            keys  values   part
user:    █████████████████████████████████████████████████     1  1.5 kB  33.3%
user:2:  █████████████████████████████████████████████████     1   500 B  33.3%
user:3:  █████████████████████████████████████████████████     1     0 B  33.3%
3 items: 3 shown, 0 in the rest (2.0 kB of values, 0.00 s, native)
`, "")
	runWith(t, path, "", "keys", "--bars", "--json").ends(80, "", "error: --bars are for people, and --json is for programs\nhint: \"client keys --help\" shows how it is used\n")
}

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		part, whole uint64
		want        string
	}{{0, 0, "-"}, {0, 5, "0%"}, {5, 5, "100%"}, {1, 3, "33.3%"}, {1, 5000, "<0.1%"}, {4999, 5000, ">99.9%"}} {
		if got := percent(tt.part, tt.whole); got != tt.want {
			t.Errorf("%d of %d: %s, want %s", tt.part, tt.whole, got, tt.want)
		}
	}
}

// Bars are as wide as the terminal, whatever that is, and no line is wrapped.
func TestBarsInTerminal(t *testing.T) {
	path := prefixed.serve(t, nil)
	for _, columns := range []int{50, 120} {
		term := newTerminal(t, columns, []string{"MEMCACHED_BACKDOOR=" + path}, "exec sh")
		term.shows("$")
		term.run("clear; client keys --bars")
		term.shows("6 items:")
		bar := "user:        " + strings.Repeat("█", columns-35)
		term.shows("\n" + bar + "     3  2.0 kB  50.0%\n")
	}
}

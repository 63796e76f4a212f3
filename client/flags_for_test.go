package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// flagsOfLoad parses the arguments of a load and returns its request.
func flagsOfLoad(t *testing.T, args ...string) (door.Request, error) {
	t.Helper()
	var line commandLine
	parser, err := newParser(&line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"load"}, args...)); err != nil {
		return door.Request{}, err
	}
	return line.Load.request(&source{}), nil
}

func TestFlagsFor(t *testing.T) {
	known := map[string]bool{}
	for _, n := range flagsNames() {
		if known[n.name] {
			t.Errorf("there are two %s", n.name)
		}
		known[n.name] = true
		request, err := flagsOfLoad(t, "--flags-for", n.name, "--flags-column", "f")
		if err != nil || request.Flags != n.flags || request.ValueType != n.bytes.is || request.FlagsColumn != "f" {
			t.Errorf("%s: %+v, %v; want %+v", n.name, request, err, n)
		}
	}
	for wrong, want := range map[string][]string{
		"--flags-for=php-jsn":                 {`"php-jsn"`, "php-json", "enyim-string"},
		"--flags-for=":                        {`""`, "php-json", "enyim-string"},
		"--flags-for=PHP-JSON":                {`"PHP-JSON"`, "php-json"},
		"--flags-for=php-json --flags=6":      {"--flags and --flags-for can't be used together"},
		"--flags=0 --flags-for=pylibmc-bytes": {"--flags and --flags-for can't be used together"},
	} {
		_, err := flagsOfLoad(t, strings.Fields(wrong)...)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want an error with %s", wrong, err, part)
			}
		}
	}
}

// FLAGS.md has the names, in their order, and the libraries.
func TestFlagsDocument(t *testing.T) {
	text, err := os.ReadFile("FLAGS.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, _, _ := strings.Cut(string(text), "\n## ")
	var got, want []string
	for line := range strings.Lines(tables) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	for _, n := range flagsNames() {
		want = append(want, fmt.Sprintf("| `%s` | %d | %s | %s |", n.name, n.flags, n.read, n.bytes.words))
	}
	for _, library := range clientLibraries {
		want = append(want, fmt.Sprintf("| `%s-…` | %s |", library.name, library.source))
	}
	if s, w := strings.Join(got, "\n"), strings.Join(want, "\n"); s != w {
		t.Errorf("FLAGS.md has the rows\n%s\nand not\n%s", s, w)
	}
}

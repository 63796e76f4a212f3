package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Each example is a valid command line, and every command has one.
func TestExamples(t *testing.T) {
	for _, node := range model(t).Children {
		if !node.Hidden && len(examples[node.Name]) == 0 {
			t.Errorf("%s has no example", node.Name)
		}
	}
	// The shell splits the words: an argument a line, then an empty line.
	const shell = `client() { printf '%s\n' "$@" ''; }; mysql() { :; }; psql() { :; }; sqlite3() { :; }; nc() { cat; }; man() { cat; }; source() { cat "$1"; }
cd /nonexistent 2>/dev/null || cd /; `
	for command := range examples {
		for _, e := range examplesOf(command, "client") {
			if !strings.Contains(e.Command, "client") {
				continue
			}
			// The last of a pipeline reads nothing.
			out, err := exec.Command("bash", "-c", shell+e.Command).Output()
			if err != nil {
				t.Errorf("%s: %v", e.Command, err)
			}
			words := strings.Split(strings.SplitN(string(out), "\n\n", 2)[0], "\n")
			parser, err := newParser(&commandLine{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, err := parser.Parse(strings.Fields(strings.Join(words, " ")))
			if err != nil {
				t.Errorf("%s: %q: %v", e.Command, words, err)
			} else if command != "" && selected(ctx) != command {
				t.Errorf("%s is an example of %s, and a command of %s", e.Command, command, selected(ctx))
			}
		}
	}
}

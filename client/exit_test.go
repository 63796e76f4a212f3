package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// LOADING.md has the text of --help for each exit status.
func TestStatusesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("LOADING.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.ReplaceAll(string(text), "`", "")
	for _, s := range statuses {
		if row := fmt.Sprintf("\n| %d | %s |\n", s.Status, s.Help); !strings.Contains(plain, row) {
			t.Errorf("LOADING.md has no row %q", row)
		}
	}
}

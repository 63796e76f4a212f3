package version

import (
	"os"
	"regexp"
	"testing"
)

// The changelog has a section for the release.
func TestReleaseIsInChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(Release) + `\b`).Match(text) {
		t.Errorf("CHANGELOG.md has no section %q", "## "+Release)
	}
}

func TestString(t *testing.T) {
	defer func(was string) { commit = was }(commit)
	for set, want := range map[string]string{"": Release, "1a2b3c4": Release + "-1a2b3c4"} {
		if commit = set; String() != want {
			t.Errorf("commit %q: %q, want %q", set, String(), want)
		}
	}
}

package e2e

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the files in the repository that tell users something, by their paths in it. The benchmark's
// are written by a program.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			name, err := filepath.Rel("../..", file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, "build/bench/") {
				all = append(all, name)
			}
		}
	}
	return all
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// codeBlock is a fenced block of a document.
type codeBlock struct {
	language string // "console": commands after "$ " and what they print; "sh": commands that run elsewhere
	text     string
	line     int // of its first line, from 1
}

func codeBlocks(t *testing.T, name string) []codeBlock {
	t.Helper()
	var all []codeBlock
	var open *codeBlock
	n := 0
	for line := range strings.Lines(document(t, name)) {
		n++
		language, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &codeBlock{language: strings.TrimSpace(language), line: n + 1}
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block has no end", name, open.line)
	}
	return all
}

// blockWith returns the one block of a document in a language that has a word in it, as it stands there.
func blockWith(t *testing.T, name, language, word string) string {
	t.Helper()
	var found []string
	for _, b := range codeBlocks(t, name) {
		if b.language == language && strings.Contains(b.text, word) {
			found = append(found, b.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: %d blocks of %q have %q", name, len(found), language, word)
	}
	return found[0]
}

// The front page is short.
func TestFrontPageIsShort(t *testing.T) {
	t.Parallel()
	const most = 150
	if n := strings.Count(document(t, "README.md"), "\n"); n > most {
		t.Errorf("README.md has %d lines, more than %d", n, most)
	}
}

// elsewhere are the commands of blocks in sh, but for make's, and what runs them.
var elsewhere = map[string]string{
	"go mod edit":                             "TestDocumentedGo",
	"go mod tidy":                             "TestDocumentedGo",
	"dpkg -i build/memcached-backdoor_*.deb":  "make test-package",
	"systemctl restart memcached":             "make test-package",
	"memcached-backdoor load users.csv":       "make test-package",
	"podman build":                            "make test-package",
	"podman run -d --name cache":              "make test-package",
	"podman exec -i cache memcached-backdoor": "make test-package",
}

// Every command of the documents is run: in a block of console by TestDocuments, in one of sh by what is known here; make
// has the targets that they name.
func TestEveryDocumentedCommandIsRun(t *testing.T) {
	t.Parallel()
	makefile := document(t, "Makefile")
	for _, name := range documents(t) {
		for _, b := range codeBlocks(t, name) {
			switch b.language {
			case "console", "text", "json", "go", "python", "yaml":
				continue
			case "sh":
			default:
				t.Errorf("%s:%d: no such language %q", name, b.line, b.language)
			}
			for line := range strings.Lines(b.text) {
				command, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
				target, isMake := strings.CutPrefix(command+" ", "make ")
				target, _, _ = strings.Cut(strings.TrimSpace(target), " ")
				switch {
				case isMake && target == "":
				case isMake && strings.Contains(makefile, "\n"+target+":"):
				case isMake:
					t.Errorf("%s: make has no target %q", name, target)
				default:
					known := func(prefix string) bool { return strings.HasPrefix(command, prefix) }
					if !slices.ContainsFunc(slices.Collect(maps.Keys(elsewhere)), known) {
						t.Errorf("%s: nothing runs %q", name, command)
					}
				}
			}
		}
	}
}

var (
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInAName = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// What documents link to is there.
func TestDocumentsLinks(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(document(t, name), -1) {
			file, anchor, _ := strings.Cut(match[1], "#")
			if strings.HasPrefix(file, "https:") || strings.HasPrefix(file, "http:") {
				continue
			}
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("../..", to)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if anchor != "" && !slices.Contains(anchors(t, to), anchor) {
				t.Errorf("%s: %s has no heading for #%s", name, to, anchor)
			}
		}
	}
}

// TestFilesThatCommentsName: a comment that names a file by its directory and name names one that is there.
func TestFilesThatCommentsName(t *testing.T) {
	files, err := exec.Command("git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Skip("not a checkout")
	}
	all := strings.Fields(string(files))
	directories := map[string]bool{}
	for _, file := range all {
		directories[path.Base(path.Dir(file))] = true
	}
	named := regexp.MustCompile(`\b(?:\w+/)+\w+\.(?:go|c|h|s)\b`)
	for _, file := range all {
		if !slices.Contains([]string{".go", ".c", ".h", ".s", ".md", ".map"}, path.Ext(file)) {
			continue
		}
		for _, name := range named.FindAllString(document(t, file), -1) {
			isThere := func(f string) bool { return strings.HasSuffix("/"+f, "/"+name) }
			if directories[path.Base(path.Dir(name))] && !slices.ContainsFunc(all, isThere) {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
}

// anchors are the names of a document's headings, as GitHub makes them.
func anchors(t *testing.T, name string) []string {
	var all []string
	for _, match := range heading.FindAllStringSubmatch(document(t, name), -1) {
		words := notInAName.ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(words, " ", "-"))
	}
	return all
}

// fixturesDocument has the examples in Go and Python.
const fixturesDocument = "client/backdoortest/README.md"

// example is a directory with that document's fixtures and another file.
func example(t *testing.T, name, content string) string {
	t.Helper()
	dir := directoryOf(t, "example")
	for name, content := range map[string]string{"fixtures/users.jsonl": blockWith(t, fixturesDocument, "json", "user:1"), name: content} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runIn runs a command that is to succeed, and returns its output.
func runIn(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// The example in Go, in a module that is made as the document says. It fails with other fixtures: it does read them.
func TestDocumentedGo(t *testing.T) {
	t.Parallel()
	dir := example(t, "greeting_test.go", blockWith(t, fixturesDocument, "go", "backdoortest.Start"))
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"MEMCACHED_BACKDOOR_LIBRARY=" + built(t, "backdoor.so")}
	runIn(t, dir, env, "go", "mod", "init", "greeting")
	for _, line := range strings.Split(strings.TrimSpace(blockWith(t, fixturesDocument, "sh", "go mod edit")), "\n") {
		runIn(t, dir, env, strings.Fields(strings.ReplaceAll(line, "../memcached-backdoor", repository))...)
	}
	if out := runIn(t, dir, env, "go", "test", "-v", "."); !strings.Contains(out, "--- PASS: TestGreeting") {
		t.Errorf("%s", out)
	}
	fails(t, dir, "Trond", "Nobody", env, "go", "test", ".")
}

// python is Debian's, whose packages the example takes; another may come before it in PATH.
const python = "/usr/bin/python3"

// The example in Python.
func TestDocumentedPython(t *testing.T) {
	t.Parallel()
	dir := example(t, "test_greeting.py", blockWith(t, fixturesDocument, "python", "pytest"))
	if err := os.Symlink(filepath.Dir(built(t, "client")), filepath.Join(dir, "build")); err != nil {
		t.Fatal(err)
	}
	if out := runIn(t, dir, nil, python, "-m", "pytest", "-v", "-p", "no:cacheprovider", "test_greeting.py"); !strings.Contains(out, "1 passed") {
		t.Errorf("%s", out)
	}
	fails(t, dir, "Trond", "Nobody", nil, python, "-m", "pytest", "-p", "no:cacheprovider", "test_greeting.py")
}

// fails sees to it that an example notices other fixtures.
func fails(t *testing.T, dir, old, new string, env []string, argv ...string) {
	t.Helper()
	path := filepath.Join(dir, "fixtures/users.jsonl")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(content), old, new)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), new) {
		t.Errorf("%v with other fixtures: %v\n%s", argv, err, out)
	}
}

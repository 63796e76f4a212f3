package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readme returns the one block of the README in a language that has a word in it, as it stands there.
func readme(t *testing.T, language, word string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	block, inside := "", false
	for line := range strings.Lines(string(text)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			block, inside = strings.TrimSpace(fence)+"\n", true
		case isFence:
			if content, ok := strings.CutPrefix(block, language+"\n"); ok && strings.Contains(content, word) {
				found = append(found, content)
			}
			inside = false
		default:
			block += line
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of %q in the README have %q", len(found), language, word)
	}
	return found[0]
}

// example is a directory with the README's fixtures and a file beside them.
func example(t *testing.T, name, content string) string {
	t.Helper()
	dir := directoryOf(t, "example")
	for name, content := range map[string]string{"fixtures/users.jsonl": readme(t, "json", "user:1"), name: content} {
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

// The README's Go example, in a module of its own that is made as the README says. Where the fixture's name is another, it
// fails: it does read them.
func TestReadmeGo(t *testing.T) {
	t.Parallel()
	dir := example(t, "greeting_test.go", readme(t, "go", "backdoortest.Start"))
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"MEMCACHED_BACKDOOR_LIBRARY=" + built(t, "backdoor.so")}
	runIn(t, dir, env, "go", "mod", "init", "greeting")
	for _, line := range strings.Split(strings.TrimSpace(readme(t, "", "go mod edit")), "\n") {
		runIn(t, dir, env, strings.Fields(strings.ReplaceAll(line, "../memcached-backdoor", repository))...)
	}
	if out := runIn(t, dir, env, "go", "test", "-v", "."); !strings.Contains(out, "--- PASS: TestGreeting") {
		t.Errorf("%s", out)
	}
	fails(t, dir, "Trond", "Nobody", env, "go", "test", ".")
}

// python is Debian's, whose packages the example takes; another may come before it in PATH.
const python = "/usr/bin/python3"

// The README's Python example.
func TestReadmePython(t *testing.T) {
	t.Parallel()
	dir := example(t, "test_greeting.py", readme(t, "python", "pytest"))
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

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a program in a terminal that tmux emulates.
type terminal struct {
	t      *testing.T
	socket string
	log    string // file with all output to the terminal
}

// newTerminal starts a shell, or another program, in a terminal of that many columns.
func newTerminal(t *testing.T, columns int, env []string, command ...string) *terminal {
	t.Helper()
	tool(t, "tmux")
	dir := t.TempDir()
	term := &terminal{t: t, socket: filepath.Join(dir, "tmux"), log: filepath.Join(dir, "log")}
	c := term.command(append([]string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(columns), "-y", "20"}, command...)...)
	// The same prompt for root.
	prompt := filepath.Join(dir, "prompt")
	if err := os.WriteFile(prompt, []byte("PS1='$ '\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Env = append(append(os.Environ(), "ENV="+prompt, "LC_ALL=C.UTF-8"), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { term.tmux("kill-server") })
	term.tmux("pipe-pane", "exec cat >"+term.log)
	return term
}

// tool fails the test if a program is not installed.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v; run `make test-needs`", err)
	}
}

// command is a command of the terminal's tmux, which has a socket of its own.
func (term *terminal) command(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-S", term.socket}, args...)...)
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := term.command(args...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

// keys presses keys, by tmux's names.
func (term *terminal) keys(names ...string) { term.tmux(append([]string{"send-keys"}, names...)...) }

// types types a text.
func (term *terminal) types(text string) { term.keys("-l", text) }

// run types a line.
func (term *terminal) run(line string) {
	term.types(line)
	term.keys("Enter")
}

// screen is the text on the terminal, without trailing space.
func (term *terminal) screen() string {
	return strings.TrimRight(term.tmux("capture-pane", "-p"), " \n")
}

// shows waits until a text is on the terminal.
func (term *terminal) shows(text string) {
	term.t.Helper()
	term.await(text, func(screen string) bool { return strings.Contains(screen, text) })
}

// hides waits until a text is not on the terminal.
func (term *terminal) hides(text string) {
	term.t.Helper()
	term.await("without "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

// becomes waits until the terminal has nothing but a text.
func (term *terminal) becomes(text string) {
	term.t.Helper()
	term.await("nothing but "+text, func(screen string) bool { return screen == text })
}

func (term *terminal) await(what string, is func(screen string) bool) {
	term.t.Helper()
	var screen string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if screen = term.screen(); is(screen) {
			return
		}
	}
	term.t.Fatalf("the terminal shows\n%s\nand never\n%s", screen, what)
}

// written is all output to the terminal so far.
func (term *terminal) written() string {
	term.t.Helper()
	data, err := os.ReadFile(term.log)
	if err != nil {
		term.t.Fatal(err)
	}
	return string(data)
}

package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// unread starts the client with an output that closes when lines have been read, and says how it ended, and what it wrote
// to standard error.
func (s *server) unread(output *os.File, reader interface{ Close() error }, in *bufio.Reader, lines int, args ...string) (syscall.WaitStatus, string) {
	s.t.Helper()
	cmd := exec.Command(built(s.t, "client"), append([]string{"--door", s.door}, args...)...)
	cmd.Dir = s.dir
	cmd.Stdin = strings.NewReader("piped\tvalue\n")
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = output, &errs
	if lines == 0 {
		reader.Close()
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	output.Close()
	for range lines {
		if _, err := in.ReadString('\n'); err != nil {
			s.t.Errorf("%s: %v", args, err)
		}
	}
	reader.Close()
	_ = cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus), errs.String()
}

// Every command ends as a program does whose output nobody reads any more, such as with | head -1: by SIGPIPE, without a
// word.
func TestUnreadOutput(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t), "-m", "256")
	s.fill(30_000, "--size", "200") // a dump of them is larger than any pipe
	if _, stderr, status := s.client(nil, "dump", filepath.Join(s.dir, "dump")); status != 0 {
		t.Fatal(stderr)
	}
	other := start(t, stock(t))
	commands := map[string][]string{
		"load":       {"load", "load --dry-run", "load --json"},
		"fill":       {"fill --count 10", "fill --count 10 --dry-run"},
		"dump":       {"dump", "dump -", "dump --format jsonl", "dump --keys-only", "dump other", "dump --json other"},
		"restore":    {"restore dump"},
		"keys":       {"keys", "keys --json", "keys --bars"},
		"hot":        {"hot --duration 100ms", "hot --duration 100ms --json"},
		"ttl":        {"ttl", "ttl --json"},
		"report":     {"report -", "report page", "report --json page"},
		"get":        {"get fill:1", "get --meta fill:1", "get fill:1 fill:2", "get --json fill:1"},
		"set":        {"set k", "set --json k"},
		"copy":       {"copy --to " + other.door, "copy --json --to " + other.socket},
		"delete":     {"delete --dry-run --prefix fill:", "delete --yes --prefix fill:2999", "delete --json --yes --prefix fill:2998"},
		"touch":      {"touch --dry-run --ttl 1d --prefix fill:", "touch --ttl 1d --yes --prefix fill:2997", "touch --json --ttl 1d --yes --prefix fill:2996"},
		"top":        {"top", "top --json"},
		"diff":       {"diff dump", "diff --json dump"},
		"status":     {"status", "status --json", "status --watch 100ms", "status --json --watch 100ms"},
		"wait":       {"wait --json"}, // without it, it says nothing
		"check":      {"check memcached", "check --json memcached"},
		"completion": {"completion bash"},
		"man":        {"man"},
		"":           {"help", "version", "--version", "--help"}, // those that are not completed
	}
	words, _, _ := s.client(nil, "__complete", "--", "")
	for line := range strings.Lines(words) {
		name, _, isCommand := strings.Cut(line, "\t")
		if isCommand && commands[name] == nil {
			t.Errorf("no test of %s", name)
		}
		if isCommand {
			commands[""] = append(commands[""], name+" --help")
		}
	}
	ended := func(how, line string, end syscall.WaitStatus, said string) {
		t.Helper()
		if !end.Signaled() || end.Signal() != syscall.SIGPIPE || said != "" {
			t.Errorf("%s, %s: status %d, signal %v, %q", line, how, end.ExitStatus(), end.Signal(), said)
		}
	}
	for _, lines := range commands {
		for _, line := range lines {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			end, said := s.unread(w, r, nil, 0, strings.Fields(line)...)
			ended("without a reader", line, end, said)
		}
	}
	if _, stderr, status := s.client(nil, "fill", "--count", "15000", "--seed", "2"); status != 0 {
		t.Fatal(stderr) // half of the items differ from those of the dump now
	}
	// Those whose output is longer than a pipe, or has no end, when a line of it has been read.
	for _, line := range []string{"dump", "dump --format csv", "diff dump", "diff --json dump", "top --limit 30000", "top --json --limit 30000",
		"get " + strings.Repeat("fill:1 ", 2000), "keys --delimiter 1 --depth 9 --limit 0", "status --watch 100ms", "status --json --watch 100ms"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		end, said := s.unread(w, r, bufio.NewReader(r), 1, strings.Fields(line)...)
		ended("after a line", line, end, said)
	}
	// A socket, as a program's that inetd or ssh has started.
	for _, line := range []string{"dump", "diff dump", "keys"} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		end, said := s.unread(os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "reader"), nil, 0, strings.Fields(line)...)
		ended("a socket without a reader", line, end, said)
	}
	s.lives()
}

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Every command in a block of console does what its document says that it does: each document is a session in a
// directory of its own, with databases and files (testdata/documents).
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		commands := consoleCommands(t, name)
		if len(commands) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, commands)
			for _, c := range commands {
				out := s.run(c.command)
				if !c.prints(out) {
					t.Errorf("%s:%d: %s\nprints\n%s\nand not\n%s", name, c.line, c.command, out, c.output)
				}
			}
		})
	}
}

// A consoleCommand is a command of a document and what is shown as its output.
type consoleCommand struct {
	command, output string
	line            int
}

func consoleCommands(t *testing.T, name string) []consoleCommand {
	t.Helper()
	var all []consoleCommand
	for _, b := range codeBlocks(t, name) {
		if b.language != "console" {
			continue
		}
		n := b.line
		for line := range strings.Lines(b.text) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				all = append(all, consoleCommand{strings.TrimSpace(command), "", n})
			} else if len(all) == 0 {
				t.Fatalf("%s:%d: output without a command", name, n)
			} else {
				all[len(all)-1].output += line
			}
			n++
		}
	}
	return all
}

// What is another at each run: times and rates, times to live, addresses, build IDs, the widths of columns and bars.
var varying = []struct {
	pattern *regexp.Regexp
	same    string
}{
	{regexp.MustCompile(`(?m)^ *[0-9.]+ +(?:[0-9]+%|-) .*  (\S+)$`), "FIGURES $1"}, // of hot
	{regexp.MustCompile(`[0-9]+ requests in .* seen`), "N requests"},
	{regexp.MustCompile(`[0-9.]+ (s|rows/s|items/s)\b`), "N $1"},
	{regexp.MustCompile(`\b([0-9]+[dhms]){1,2}\b`), "TIME"},
	{regexp.MustCompile(`\b(0x[0-9a-f]+|[0-9a-f]{40})\b`), "HEX"},
	{regexp.MustCompile(`  (#+|[█▉▊▋▌▍▎▏]+) `), "  BAR "},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(`(?m)^ | $|\r`), ""},
}

// prints says whether that is its output; … matches any text.
func (c *consoleCommand) prints(out string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(c.constant(c.output)), "…", ".*")
	return regexp.MustCompile(`(?s)^` + pattern + `$`).MatchString(c.constant(out))
}

// constant is what of an output is the same at each run. The processes of a pipeline print in any order.
func (c *consoleCommand) constant(out string) string {
	for _, v := range varying {
		out = v.pattern.ReplaceAllString(out, v.same)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if strings.Contains(c.command, " | ") {
		slices.Sort(lines)
	}
	return strings.Join(lines, "\n")
}

// A session is where the commands of a document run, one after the other.
type session struct {
	t      *testing.T
	dir    string
	env    []string
	places *strings.Replacer // of what is elsewhere here: servers
	port   string            // memcached's

	mariadb  mariadb // if a command needs it
	postgres postgres

	output *os.File // of the command that runs, and of memcached
	server *exec.Cmd
	ended  chan struct{} // closed when it has
}

// newSession prepares what the commands need, and starts a memcached, if they do not begin with that.
func newSession(t *testing.T, commands []consoleCommand) *session {
	t.Helper()
	dir := directoryOf(t, "session")
	s := &session{t: t, dir: dir, output: fileOf(t, nil)}
	if err := os.Chmod(dir, 0o777); err != nil { // for memcached -u nobody
		t.Fatal(err)
	}
	s.shell(fmt.Sprintf("cp -r %q/. . && chmod -R a+rX . && mkdir bin build && ln -s %q %q build && ln -s %q bin && sqlite3 shop.db <%q",
		testdata(t, "files"), built(t, "backdoor.so"), built(t, "client"), memcachedTool, testdata(t, "sqlite.sql")))
	s.env = []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8",
		"MEMCACHED_BACKDOOR=" + filepath.Join(dir, "door"),
	}
	needs := func(word string) bool {
		for _, c := range commands {
			if strings.Contains(c.command, word) {
				return true
			}
		}
		return false
	}
	if needs("mysql -") || needs("mariadb -") {
		s.haveMariaDB()
	}
	if needs("psql -") {
		s.havePostgreSQL()
	}
	s.port = fmt.Sprint(freePort(t))
	places := []string{
		"localhost 11211", "127.0.0.1 " + s.port, "localhost:11211", "127.0.0.1:" + s.port,
		"memcached -u", "memcached -l 127.0.0.1 -U 0 -p " + s.port + " -u",
	}
	if needs("cache2") {
		other := newServer(t, stock(t))
		other.preload = ""
		other.onPort("127.0.0.1", "-l", "127.0.0.1")
		other.start()
		other.waitServing()
		if err := other.cache().Set(&memcache.Item{Key: "old:1", Value: []byte("kept there")}); err != nil {
			t.Fatal(err)
		}
		places = append(places, "cache2 11211", strings.Replace(other.socket, ":", " ", 1), "cache2:11211", other.socket)
	}
	s.places = strings.NewReplacer(places...)
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	if !strings.HasPrefix(commands[0].command, "LD_PRELOAD=") {
		s.run(startsMemcached)
	}
	return s
}

const startsMemcached = "LD_PRELOAD=$PWD/build/backdoor.so memcached -u nobody &"

func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/documents", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func sqlOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(testdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// haveMariaDB makes mysql and mariadb clients of a server with the documents' tables.
func (s *session) haveMariaDB() {
	s.t.Helper()
	s.mariadb = startMariaDB(s.t)
	s.mariadb.execute(s.t, sqlOf(s.t, "mysql.sql"))
	for _, name := range []string{"mysql", "mariadb"} {
		program, err := exec.LookPath(name)
		if err != nil {
			s.t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\nexec %s --no-defaults -u root -S %s \"$@\"\n", program, s.mariadb.socket)
		if err := os.WriteFile(filepath.Join(s.dir, "bin", name), []byte(script), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
}

// havePostgreSQL makes psql a client of a server with the documents' tables.
func (s *session) havePostgreSQL() {
	s.t.Helper()
	s.postgres = startPostgreSQL(s.t)
	s.postgres.execute(s.t, sqlOf(s.t, "postgres.sql"))
	s.env = append(s.env, "PGHOST="+s.postgres.dir, "PGUSER=postgres")
}

// command is a command for bash; its output goes to the session's.
func (s *session) command(text string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", text)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, append(os.Environ(), s.env...), s.output, s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// shell prepares something.
func (s *session) shell(text string) {
	s.t.Helper()
	if out, err := runQuietly(s.command(text)); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

func runQuietly(cmd *exec.Cmd) ([]byte, error) {
	cmd.Stdout, cmd.Stderr = nil, nil
	return cmd.CombinedOutput()
}

// run runs a command as it stands in a document, and returns what it prints. One that ends with & is a memcached: it takes
// the place of the one before, and run returns when it is ready. "kill %1" ends it.
func (s *session) run(text string) string {
	s.t.Helper()
	before, err := s.output.Seek(0, io.SeekEnd)
	if err != nil {
		s.t.Fatal(err)
	}
	start, isServer := strings.CutSuffix(text, " &")
	switch {
	case isServer:
		s.end(syscall.SIGKILL)
		s.start(start)
	case text == "kill %1":
		s.end(syscall.SIGTERM)
	default:
		s.command(s.places.Replace(text)).Run() // what is shown says whether it fails
	}
	out, err := os.ReadFile(s.output.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.ReplaceAll(string(out[before:]), s.dir, "/home/you")
}

func (s *session) start(text string) {
	s.t.Helper()
	s.server, s.ended = s.command(s.places.Replace(text)), make(chan struct{})
	if err := s.server.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(s.server, s.ended)
	s.shell("build/client wait --timeout 30s")
}

// end sends a signal to memcached, if there is one, and waits for its end.
func (s *session) end(signal syscall.Signal) {
	s.t.Helper()
	if s.server == nil {
		return
	}
	syscall.Kill(-s.server.Process.Pid, signal)
	select {
	case <-s.ended:
	case <-time.After(waitLimit):
		s.t.Errorf("memcached did not end within %v", waitLimit)
		syscall.Kill(-s.server.Process.Pid, syscall.SIGKILL)
		<-s.ended
	}
	s.server = nil
}

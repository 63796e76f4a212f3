package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// call makes one call and returns its final reply; an error, if that does not account for every row.
func call(path string, request door.Request, files ...*os.File) (door.Reply, error) {
	conn, err := door.Dial(path)
	if err != nil {
		return door.Reply{}, err
	}
	defer conn.Close()
	request.Version = door.Protocol
	if err := conn.Call(request, files...); err != nil {
		return door.Reply{}, err
	}
	for {
		reply, err := conn.Next()
		if refused, ok := errors.AsType[*door.Error](err); ok {
			if refused.Load != nil {
				return door.Reply{Error: refused}, refused.Load.Check()
			}
			return door.Reply{Error: refused}, nil
		}
		if err == nil && reply.Load != nil {
			err = reply.Load.Check()
		}
		if err != nil || reply.Type != door.TypeProgress {
			return reply, err
		}
	}
}

// load passes rows through the door and returns what became of them.
func (s *server) load(request door.Request, rows []byte) *door.Load {
	s.t.Helper()
	return s.loadFile(request, fileOf(s.t, rows))
}

// loadFile is load for rows that are in a descriptor.
func (s *server) loadFile(request door.Request, rows *os.File) *door.Load {
	s.t.Helper()
	request.Op = door.OpLoad
	reply, err := call(s.door, request, rows)
	if err != nil {
		s.t.Fatalf("load: %v\n%s", err, s.output.String())
	}
	if reply.Load == nil {
		s.t.Fatalf("load: %+v", reply.Error)
	}
	return reply.Load
}

// fileOf is a file that has content, at its beginning.
func fileOf(t testing.TB, content []byte) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "rows")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

// pipeOf is the end of a pipe into which content is written.
func pipeOf(t testing.TB, content []byte) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	go func() {
		defer w.Close()
		w.Write(content) // fails when the test closes r
	}()
	return r
}

// cache is a memcached client for its socket, the same for the whole test: the
// connections that it keeps are counted in the tests that count descriptors.
func (s *server) cache() *memcache.Client {
	s.clientOnce.Do(func() {
		s.memcache = memcache.New(s.socket)
		s.memcache.Timeout = waitLimit
		s.t.Cleanup(func() { s.memcache.Close() })
	})
	return s.memcache
}

// get is the value of a key, through memcached's own socket.
func (s *server) get(key string) string {
	s.t.Helper()
	item, err := s.cache().Get(key)
	if err != nil {
		s.t.Fatalf("get %q: %v", key, err)
	}
	return string(item.Value)
}

func (s *server) missing(key string) {
	s.t.Helper()
	item, err := s.cache().Get(key)
	if item == nil {
		item = &memcache.Item{}
	}
	if !errors.Is(err, memcache.ErrCacheMiss) {
		s.t.Fatalf("get %q: %.60q, %v; want a miss", key, item.Value, err)
	}
}

// ask sends one line of the text protocol and returns the lines up to end.
func (s *server) ask(line string, end *regexp.Regexp) []string {
	s.t.Helper()
	conn, err := net.Dial(s.network(), s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(waitLimit))
	fmt.Fprintf(conn, "%s\r\n", line)
	var lines []string
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if end.MatchString(in.Text()) {
			return lines
		}
		lines = append(lines, in.Text())
	}
	s.t.Fatalf("%s: %v after %q", line, in.Err(), lines)
	return nil
}

// stat is one of memcached's statistics.
func (s *server) stat(group, name string) int {
	s.t.Helper()
	for _, line := range s.ask("stats "+group, regexp.MustCompile("^END$")) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == name {
			n, err := strconv.Atoi(f[2])
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("stats %s has no %s", group, name)
	return 0
}

// metaTTL asks memcached for an item's remaining seconds, -1 for never.
func (s *server) metaTTL(key string) int {
	s.t.Helper()
	// mn answers MN and so ends the reply, whatever came before.
	lines := s.ask("mg "+key+" t\r\nmn", regexp.MustCompile("^MN"))
	if len(lines) != 1 {
		s.t.Fatalf("mg %s: %q", key, lines)
	}
	ttl, err := strconv.Atoi(strings.TrimPrefix(lines[0], "HD t"))
	if err != nil {
		s.t.Fatalf("mg %s: %q", key, lines)
	}
	return ttl
}

// client runs the client that was built, on this server's door.
func (s *server) client(stdin []byte, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	cmd := exec.Command(built(s.t, "client"), append([]string{"--door", s.door}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	accounts(s.t, out.String())
	return out.String(), delayed.ReplaceAllString(errs.String(), ""), cmd.ProcessState.ExitCode()
}

// delayed is what the client says if a memcached that is well does not take its call within 2 s: the machine is busy.
var delayed = regexp.MustCompile(`(?m)^warning: waiting for memcached \(process \d+\) to take the call\n`)

var summary = regexp.MustCompile(`(\d+) (?:rows? read|items? (?:read|made))[:,] (\d+) stored, (\d+) rejected, (\d+) skipped`)

// accounts sees to it that a summary, of the client or in memcached's log, accounts for every row; it tells whether
// there is one.
func accounts(t testing.TB, printed string) bool {
	t.Helper()
	counts := summary.FindStringSubmatch(printed)
	if counts == nil {
		return false
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(counts[i+1])
	}
	if n[0] != n[1]+n[2]+n[3] {
		t.Errorf("not every row is accounted for: %s", printed)
	}
	return true
}

// dial connects to memcached's own socket.
func dial(s *server) net.Conn {
	s.t.Helper()
	conn, err := net.Dial(s.network(), s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(waitLimit))
	return conn
}

// rowsOf is n rows prefix_i<TAB>value_i.
func rowsOf(prefix string, n int) []byte {
	var rows bytes.Buffer
	for i := range n {
		key, value := rowOf(prefix, i)
		fmt.Fprintf(&rows, "%s\t%s\n", key, value)
	}
	return rows.Bytes()
}

func rowOf(prefix string, i int) (key, value string) {
	n := strconv.Itoa(i)
	return prefix + "_" + n, "value_" + n
}

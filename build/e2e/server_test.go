package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// patience bounds every wait for something that takes milliseconds.
const patience = 30 * time.Second

// built is the absolute path of something in build/.
func built(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make test`, which builds it", err)
	}
	return path
}

// A shape is a kind of memcached binary: by the route on which its functions are found, "" where only its protocol is left.
type shape struct{ route, program string }

func (s shape) native() bool { return s.route != "" }

// stock is the distribution's own memcached, where it was installed.
func stock(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// eachShape runs a test on every shape of host.
func eachShape(t *testing.T, test func(t *testing.T, s shape)) {
	t.Helper()
	t.Parallel()
	for route, program := range map[string]func(testing.TB) string{
		"scan":     stock,
		"symtab":   func(t testing.TB) string { return built(t, "hosts/symtab/memcached") },
		"exported": func(t testing.TB) string { return built(t, "hosts/debian/amd64/trixie/memcached") },
		"":         func(t testing.TB) string { return built(t, "hosts/unknown/memcached") },
	} {
		t.Run(cmp.Or(route, "protocol"), func(t *testing.T) {
			t.Parallel()
			test(t, shape{route, program(t)})
		})
	}
}

// A log is what a process has written so far.
type log struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes.String()
}

// A server is a memcached of a test's own, on a unix socket of its own.
type server struct {
	t       testing.TB
	dir     string
	socket  string // memcached's own, or its port on 127.0.0.1
	door    string
	preload string // LD_PRELOAD
	env     []string
	wrap    []string // a command that starts it
	args    []string
	user    string   // -u
	listen  []string // -l, -p; nil: a unix socket
	program string

	cmd    *exec.Cmd
	output log // stdout and stderr
	exited chan struct{}

	clientOnce sync.Once
	memcache   *memcache.Client
}

// newServer prepares a server that is not started yet.
func newServer(t testing.TB, program string, args ...string) *server {
	t.Helper()
	dir := directoryOf(t, "memcached")
	// -u nobody must be able to make its socket there.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return &server{
		t:       t,
		dir:     dir,
		socket:  filepath.Join(dir, "memcached"),
		door:    filepath.Join(dir, "door"),
		preload: built(t, "backdoor.so"),
		args:    args,
		user:    "root",
		program: program,
		exited:  make(chan struct{}),
	}
}

// start prepares and starts a server and waits until its door answers.
func start(t testing.TB, program string, args ...string) *server {
	t.Helper()
	s := newServer(t, program, args...)
	s.start()
	s.waitDoor()
	return s
}

func (s *server) network() string {
	if s.listen == nil {
		return "unix"
	}
	return "tcp"
}

// onPort makes it listen on a port of a host, and on what else args say.
func (s *server) onPort(host string, args ...string) {
	port := fmt.Sprint(freePort(s.t))
	s.socket = net.JoinHostPort(host, port)
	s.listen = append([]string{"-p", port, "-U", "0"}, args...)
}

func (s *server) command() *exec.Cmd {
	listen := s.listen
	if listen == nil {
		listen = []string{"-s", s.socket, "-a", "777"}
	}
	argv := append(append(slices.Clone(s.wrap), s.program), listen...)
	if s.user != "" {
		argv = append(argv, "-u", s.user)
	}
	argv = append(argv, s.args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "MEMCACHED_BACKDOOR="+s.door)
	if s.preload != "" {
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+s.preload)
	}
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

// start starts it; its end is the test's end at the latest.
func (s *server) start() { s.startInto(&s.output) }

// startInto is start with another place for its stdout and stderr.
func (s *server) startInto(output io.Writer) {
	s.t.Helper()
	s.cmd = s.command()
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	s.t.Cleanup(s.kill)
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

func (s *server) pid() int { return s.cmd.Process.Pid }

func (s *server) running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// wait polls until ready says nil.
func wait(t testing.TB, what string, ready func() error) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for err := ready(); err != nil; err = ready() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		<-tick.C
	}
}

// waitServing waits until memcached answers on its own socket.
func (s *server) waitServing() {
	s.t.Helper()
	wait(s.t, "memcached", func() error {
		if s.cmd != nil && !s.running() {
			s.t.Fatalf("memcached ended: %v\n%s", s.cmd.ProcessState, s.output.String())
		}
		return s.cache().Ping()
	})
}

// waitDoor waits until the door answers.
func (s *server) waitDoor() door.Status {
	s.t.Helper()
	s.waitServing()
	var status door.Status
	wait(s.t, "the door", func() error {
		if s.cmd != nil && !s.running() {
			s.t.Fatalf("memcached ended: %v\n%s", s.cmd.ProcessState, s.output.String())
		}
		reply, err := call(s.door, door.Request{Op: door.OpStatus})
		if err == nil && reply.Status == nil {
			err = fmt.Errorf("reply %+v", reply)
		}
		if err == nil {
			status = *reply.Status
		}
		return err
	})
	return status
}

// announcement is the line that the library writes where its engine is not the native one, or "".
func (s *server) announcement() string {
	s.t.Helper()
	status := s.waitDoor()
	if status.Engine == door.EngineNative {
		return ""
	}
	return "memcached-backdoor: loads go by memcached's protocol: " + status.Reason + "\n"
}

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
		s.memcache.Timeout = patience
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
	conn.SetDeadline(time.Now().Add(patience))
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

// end sends a signal, if it is not 0, and returns how the process ended.
func (s *server) end(signal syscall.Signal) syscall.WaitStatus {
	s.t.Helper()
	if signal != 0 {
		if err := s.cmd.Process.Signal(signal); err != nil {
			s.t.Fatal(err)
		}
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("memcached did not end within %v\n%s%s", patience, s.output.String(), s.threads())
	}
	return s.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// threads says where memcached's threads are: their names, states and system calls (proc(5)).
func (s *server) threads() string {
	var all strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.pid()))
	for _, task := range tasks {
		for _, name := range []string{"stat", "syscall", "wchan"} {
			text, err := os.ReadFile(filepath.Join(task, name))
			if err != nil {
				text = []byte(err.Error())
			}
			fmt.Fprintf(&all, "%.60q ", strings.TrimSpace(string(text)))
		}
		all.WriteByte('\n')
	}
	if all.Len() == 0 {
		return "it has no threads any more: something else holds its output open"
	}
	return all.String()
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
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var summary = regexp.MustCompile(`(\d+) rows? read[:,] (\d+) stored, (\d+) rejected, (\d+) skipped`)

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

// count is the number of entries of a directory of /proc/PID.
func (s *server) count(name string) int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", s.pid(), name))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries)
}

// descriptors counts memcached's descriptors once the calls that have just ended have
// given theirs back: when the count has stood still for a while.
func (s *server) descriptors() int {
	s.t.Helper()
	const still = 25
	last, times := -1, 0
	wait(s.t, "descriptors that stay", func() error {
		if now := s.count("fd"); now != last {
			last, times = now, 0
		}
		if times++; times < still {
			return fmt.Errorf("%d now", last)
		}
		return nil
	})
	return last
}

// dial connects to memcached's own socket.
func dial(s *server) net.Conn {
	s.t.Helper()
	conn, err := net.Dial(s.network(), s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
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
	return fmt.Sprintf("%s_%d", prefix, i), fmt.Sprintf("value_%d", i)
}

package e2e

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// waitLimit bounds every wait for something that takes milliseconds.
const waitLimit = 30 * time.Second

// sanitized is what the library is called that is built with sanitizers.
const sanitized = "backdoor-sanitized.so"

var library = flag.String("library", "backdoor.so", "the library, of those in build/, that memcached is started with")

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

// A server is the memcached of a test, on a private unix socket.
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
	faulty  bool // it is to do what a sanitizer sees

	cmd    *exec.Cmd
	output log // stdout and stderr
	exited chan struct{}
	lag    int64 // seconds that its clock was found from the machine's, at most: see observe

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
	s := &server{
		t:       t,
		dir:     dir,
		socket:  filepath.Join(dir, "memcached"),
		door:    filepath.Join(dir, "door"),
		preload: built(t, *library),
		args:    args,
		user:    "root",
		program: program,
		exited:  make(chan struct{}),
	}
	if *library == sanitized {
		t.Cleanup(func() {
			if out := s.output.String(); !s.faulty && (strings.Contains(out, "Sanitizer") || strings.Contains(out, "runtime error")) {
				t.Errorf("a sanitizer says %s", out)
			}
		})
	}
	return s
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
	if *library == sanitized {
		// Our pthread_create must be in front of the sanitizer's, and its malloc in front of libc's.
		runtime, err := exec.Command("gcc", "-print-file-name=libasan.so").Output()
		if err != nil {
			s.t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "LD_PRELOAD="+s.preload+":"+strings.TrimSpace(string(runtime)))
		// Go has its own handlers for faults, and keeps them.
		cmd.Env = append(cmd.Env, "ASAN_OPTIONS=handle_segv=0:detect_leaks=0:verify_asan_link_order=0")
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
	deadline := time.Now().Add(waitLimit)
	for err := ready(); err != nil; err = ready() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", waitLimit, what, err)
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
	case <-time.After(waitLimit):
		s.t.Fatalf("memcached did not end within %v\n%s%s", waitLimit, s.output.String(), s.threads())
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

// nextPort is what freePort tries next: below the ports that the kernel gives to connections and to port 0 (ip(7):
// ip_local_port_range), where another test's server or client would take it before memcached does.
var nextPort atomic.Int32

func init() { nextPort.Store(12_000 + rand.Int32N(15_000)) }

// freePort is a port that is not in use, and that no other test gets.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := int(nextPort.Add(1))
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

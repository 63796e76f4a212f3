// Package backdoortest starts a memcached for a Go test, with fixtures in its cache before the
// test's first client connects.
//
//	addr := backdoortest.Start(t, "testdata/users.jsonl")
//	cache := memcache.New(addr)
//
// It needs a stock memcached in PATH, and the library: at $MEMCACHED_BACKDOOR_LIBRARY, or
// where `make install` or the Debian package puts it.
package backdoortest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// LibraryVariable names the environment variable that says where the library is.
const LibraryVariable = "MEMCACHED_BACKDOOR_LIBRARY"

// installed are the paths where it is installed.
var installed = []string{
	"/usr/local/lib/memcached-backdoor/backdoor.so",
	"/usr/lib/memcached-backdoor/backdoor.so",
}

const (
	startLimit = time.Minute          // for memcached, with its fixtures
	pause      = 2 * time.Millisecond // between two looks at a file
)

// Start starts a memcached with the rows of fixtures in it, and returns its address, such as
// 127.0.0.1:40123. Fixtures are files and directories, as in MEMCACHED_BACKDOOR_PRELOAD.
// memcached ends with the test, also if the test's process is killed.
//
// The test fails at once if memcached cannot be started, or if not every row is stored.
func Start(t testing.TB, fixtures ...string) (addr string) {
	t.Helper()
	addr, err := start(t, fixtures)
	if err != nil {
		t.Fatalf("backdoortest: %v", err)
	}
	return addr
}

func start(t testing.TB, fixtures []string) (addr string, err error) {
	library, err := findLibrary()
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(fixtures, func(path string) bool { return strings.Contains(path, ":") || path == "" }); i >= 0 {
		return "", fmt.Errorf("the path %q cannot be in a list that is separated by colons", fixtures[i])
	}
	current, err := user.Current()
	if err != nil {
		return "", err
	}
	// Not t.TempDir: the path of a socket has 107 bytes at most, and names of tests can be long.
	dir, err := os.MkdirTemp("", "backdoortest")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{dir: dir, ended: make(chan struct{})}
	// With -p -1 memcached takes a free port, and writes it to MEMCACHED_PORT_FILENAME (memcached.c: server_socket).
	cmd := exec.Command("memcached", "-u", current.Username, "-l", "127.0.0.1", "-p", "-1", "-U", "0")
	cmd.Env = append(os.Environ(),
		"LD_PRELOAD="+library,
		"MEMCACHED_PORT_FILENAME="+s.in("port"),
		door.PathVariable+"="+s.in("door"),
		"MEMCACHED_BACKDOOR_PRELOAD="+strings.Join(fixtures, ":"),
		"MEMCACHED_BACKDOOR_PRELOAD_STRICT=1",
	)
	if err := s.run(cmd); err != nil {
		return "", err
	}
	t.Cleanup(func() { s.stop(cmd) })
	return s.ready()
}

func findLibrary() (string, error) {
	candidates := installed
	if path := os.Getenv(LibraryVariable); path != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		candidates = []string{absolute}
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no library at %s; install it, or set its path in %s", strings.Join(candidates, " or "), LibraryVariable)
}

// server is a started memcached.
type server struct {
	dir   string
	ended chan struct{} // closed when memcached has ended
}

func (s *server) in(name string) string { return filepath.Join(s.dir, name) }

// run starts the command, with its output in a file.
func (s *server) run(cmd *exec.Cmd) error {
	output, err := os.Create(s.in("output"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(s.ended)
		defer output.Close()
		runtime.LockOSThread() // Pdeathsig is sent when the thread that has started the process ends (prctl(2))
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	return <-started
}

// stop kills memcached: after SIGTERM it takes up to a second to end.
func (s *server) stop(cmd *exec.Cmd) {
	cmd.Process.Kill()
	<-s.ended
}

// ready waits until memcached answers, which it does when the fixtures are loaded.
func (s *server) ready() (addr string, err error) {
	deadline := time.Now().Add(startLimit)
	port, err := s.port(deadline)
	if err != nil {
		return "", err
	}
	addr = "127.0.0.1:" + port
	if err := ping(addr, deadline); err != nil {
		select {
		case <-s.ended: // the reason for any error of the connection
			return "", s.failed(errEnded)
		case <-time.After(time.Until(deadline)):
			return "", s.failed(err)
		}
	}
	if _, err := os.Stat(s.in("door")); err != nil {
		return "", s.failed(errors.New("it serves without the library"))
	}
	return addr, nil
}

var errEnded = errors.New("it ended")

// failed adds memcached's output to an error.
func (s *server) failed(err error) error {
	said, _ := os.ReadFile(s.in("output"))
	return fmt.Errorf("memcached: %w\n%s", err, strings.TrimSpace(string(said)))
}

// port waits until memcached has written its port: TCP INET: 40123.
func (s *server) port(deadline time.Time) (string, error) {
	for {
		text, err := os.ReadFile(s.in("port"))
		if _, port, ok := strings.Cut(strings.TrimSpace(string(text)), "TCP INET: "); ok {
			return port, nil
		}
		select {
		case <-s.ended:
			return "", s.failed(errEnded)
		case <-time.After(pause):
		}
		if time.Now().After(deadline) {
			return "", s.failed(fmt.Errorf("no port after %v: %q, %v", startLimit, text, err))
		}
	}
}

// ping asks memcached for its version.
func ping(addr string, deadline time.Time) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := fmt.Fprint(conn, "version\r\n"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, len("VERSION")))
	return err
}

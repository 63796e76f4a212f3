package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestMain puts the client into PATH, as this very program under other names.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"client":             main,
		"client-nobody":      mainAsNobody,
		"memcached-backdoor": main, // the installed name
	})
}

// mainAsNobody is the client without root's rights, if it has them.
func mainAsNobody() {
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			panic(err)
		}
	}
	main()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// These tests use no memcached that runs here.
			env.Setenv("MEMCACHED_BACKDOOR", filepath.Join(env.WorkDir, "door"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":  exits,
			"host":   hostFile,
			"socket": socket,
		},
	})
}

// exits runs a program and checks its exit status: exits 10 client status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if (got == want) == neg {
		ts.Fatalf("exit status %d", got)
	}
}

// hostFile copies a memcached of build/hosts and replaces texts in it by others
// that are not longer: host stock memcached [OLD NEW]...
func hostFile(ts *testscript.TestScript, _ bool, args []string) {
	data, err := readHost(args[0])
	ts.Check(err)
	for _, pair := range slices.Collect(slices.Chunk(args[2:], 2)) {
		data = replaced(data, pair[0], pair[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o755))
}

// readHost reads one of the memcacheds that `make hosts` prepares.
func readHost(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(testDir, "..", "build", "hosts", name, "memcached"))
	if err != nil {
		err = fmt.Errorf("%w; run `make hosts`", err)
	}
	return data, err
}

// testDir is the directory of the tests; scripts run elsewhere.
var testDir, _ = os.Getwd()

// replaced replaces text by another, filled up with NUL bytes.
func replaced(data []byte, old, new string) []byte {
	changed := bytes.ReplaceAll(data, []byte(old), []byte(new+strings.Repeat("\x00", len(old)-len(new))))
	if bytes.Equal(changed, data) {
		panic("there is no " + old)
	}
	return changed
}

// socket makes a socket at a path: socket packet|stream|stale PATH. Nothing
// serves a stale one.
func socket(ts *testscript.TestScript, _ bool, args []string) {
	typ := unix.SOCK_SEQPACKET
	if args[0] == "stream" {
		typ = unix.SOCK_STREAM
	}
	fd, err := listen(typ, ts.MkAbs(args[1]), 8)
	ts.Check(err)
	if args[0] == "stale" {
		ts.Check(unix.Close(fd))
	} else {
		ts.Defer(func() { unix.Close(fd) })
	}
}

func listen(typ int, path string, backlog int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, backlog))
}

// serve answers the calls of a new door with handler, and returns its path.
// The call is closed after handler. A request that is wrong fails the test.
func serve(t *testing.T, handler func(c *door.Call, req door.Request)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door")
	fd, err := listen(unix.SOCK_SEQPACKET, path, 8)
	if err != nil {
		t.Fatal(err)
	}
	l, err := door.NewListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if req, err := c.Receive(); errors.Is(err, door.ErrGone) {
				// A client that waits for its input first.
			} else if err != nil {
				t.Errorf("Receive: %v", err)
			} else {
				handler(c, req)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return path
}

// answering serves a door with one reply to all calls.
func answering(t *testing.T, reply door.Reply) string {
	return serve(t, func(c *door.Call, _ door.Request) {
		if c.Input != nil {
			if _, err := io.Copy(io.Discard, c.Input); err != nil {
				t.Errorf("reading the input: %v", err)
			}
		}
		if err := c.Finish(reply); err != nil {
			t.Errorf("Finish: %v", err)
		}
	})
}

// process is a running client.
type process struct {
	*exec.Cmd
	t           *testing.T
	out, errOut bytes.Buffer
}

// start starts a program with the door at path. prepare may change the command.
func start(t *testing.T, path string, prepare func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("client", args...), t: t}
	p.Env = append(os.Environ(), "MEMCACHED_BACKDOOR="+path)
	p.Stdout, p.Stderr = &p.out, &p.errOut
	if prepare != nil {
		prepare(p.Cmd)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// inShell runs a script in place of the command.
func inShell(t *testing.T, c *exec.Cmd, script string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	c.Path, c.Args = sh, []string{"sh", "-c", script}
}

// runWith runs the client with text on its standard input.
func runWith(t *testing.T, path, input string, args ...string) *process {
	t.Helper()
	return start(t, path, func(c *exec.Cmd) { c.Stdin = strings.NewReader(input) }, args...)
}

// ends waits for the end of the process and checks its status and output.
func (p *process) ends(status int, out, errOut string) {
	p.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { p.Process.Kill() })
	defer timer.Stop()
	if err := p.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			p.t.Fatal(err)
		}
	}
	if got := p.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d (%s)", got, status, p.ProcessState)
	}
	if got := p.out.String(); got != out {
		p.t.Errorf("standard output is\n%s\nwant\n%s", got, out)
	}
	if got := p.errOut.String(); got != errOut {
		p.t.Errorf("standard error is\n%s\nwant\n%s", got, errOut)
	}
}

// signal sends a signal to the process.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// reaches waits until a thread of the process is blocked in a system call; it fails
// if none ever is. proc(5): syscall has the number of the call, then its arguments.
// The thread is blocked if the line is the same twice in a row.
func (p *process) reaches(number int) {
	p.t.Helper()
	want, last := fmt.Sprintf("%d ", number), map[string]string{}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Process.Pid))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if errors.Is(err, os.ErrPermission) {
				p.t.Skipf("skipping: %v", err)
			}
			line := string(data)
			if strings.HasPrefix(line, want) && line == last[file] {
				return
			}
			last[file] = line
		}
	}
	p.t.Fatalf("the client never comes to system call %d", number)
}

// take receives what a door's handler has sent; it fails if nothing was sent.
func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("the door was not called")
		panic("unreachable")
	}
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// gosVariables are such as the Go runtime reads, meant for some other program: values that end it at its start, and
// values that make it speak.
var gosVariables = map[string][]string{
	"malformed": {"GOMEMLIMIT=x", "GOGC=x", "GOMAXPROCS=x"},
	"not bytes": {"GOMEMLIMIT=512M", "GOTRACEBACK=crash"},
	"cgocheck":  {"GODEBUG=cgocheck=2"},
	"traces":    {"GODEBUG=gctrace=1,inittrace=1,schedtrace=10", "GOMAXPROCS=1", "GOGC=1", "GOMEMLIMIT=1"},
}

// What is in the environment for other programs of Go's means nothing to the library, and stays there for all others.
func TestGosVariables(t *testing.T) {
	t.Parallel()
	watch := filepath.Join(t.TempDir(), "environ.so")
	tool(t, "gcc", "-O2", "-shared", "-fPIC", "-o", watch, "testdata/environ.c")
	for name, variables := range gosVariables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, stock(t))
			atExit := filepath.Join(s.dir, "environ")
			s.preload += ":" + watch
			s.env = append([]string{"ENVIRON_AT_EXIT=" + atExit}, variables...)
			s.start()
			s.waitDoor()
			if l := s.load(door.Request{}, rowsOf("k", 1000)); l.Stored != 1000 {
				t.Errorf("%+v", l)
			}
			want := strings.Join(s.cmd.Environ(), "\x00") + "\x00"
			if got := content(t, fmt.Sprintf("/proc/%d/environ", s.pid())); got != want {
				t.Errorf("in /proc memcached's environment is %q, want %q", got, want)
			}
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("memcached ended with %v", status)
			}
			if got := content(t, atExit); got != want {
				t.Errorf("a child would get %q, want %q", got, want)
			}
			if got := s.output.String(); got != "" {
				t.Errorf("memcached wrote %q", got)
			}
		})
	}
}

// No other program's environment is touched either.
func TestGosVariablesElsewhere(t *testing.T) {
	t.Parallel()
	for name, variables := range gosVariables {
		cmd := exec.Command("env")
		cmd.Env = append(os.Environ(), append(variables, "LD_PRELOAD="+built(t, "backdoor.so"))...)
		out, err := cmd.CombinedOutput()
		if want := strings.Join(cmd.Environ(), "\n") + "\n"; err != nil || string(out) != want {
			t.Errorf("%s: env printed %q, want %q (%v)", name, out, want, err)
		}
	}
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// statusOf is what the kernel says of a process: threads, and masks of signals.

// Two memcacheds, one door: the second serves without one and says so.
func TestSecondMemcachedGetsNoDoor(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		first := start(t, h.program)
		second := newServer(t, h.program)
		second.door = first.door
		second.start()
		second.waitServing()
		want := fmt.Sprintf("memcached-backdoor: no door: %s is the door of process %d; set MEMCACHED_BACKDOOR to another path\n",
			first.door, first.pid())
		wait(t, "its line", func() error {
			if got := second.output.String(); got != want {
				return fmt.Errorf("it wrote %q, want %q", got, want)
			}
			return nil
		})
		if status := second.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("it ended with %v", status)
		}
		if status := first.waitDoor(); status.PID != first.pid() {
			t.Errorf("the door's process is %d, want the first, %d", status.PID, first.pid())
		}
	})
}

// A door that no process serves is replaced.
func TestStaleDoorIsReplaced(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		first := start(t, h.program)
		first.kill()
		if _, err := os.Lstat(first.door); err != nil {
			t.Fatal(err)
		}
		second := newServer(t, h.program)
		second.door = first.door
		second.start()
		if status := second.waitDoor(); status.PID != second.pid() {
			t.Errorf("status %+v", status)
		}
	})
}

// Whatever is wrong with the door's place: memcached serves, and one line says what.
func TestNoDoorIsExplained(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for name, test := range map[string]struct {
			door string
			env  string
			want string
			wrap []string
			user string
			args []string
		}{
			"no directory": {door: "/nonexistent/door", want: "/nonexistent: No such file or directory; set MEMCACHED_BACKDOOR to another path"},
			"a file":       {door: "/etc/hostname", want: "/etc/hostname is there and is not a door"},
			"too long":     {door: "/tmp/" + strings.Repeat("d", 200), want: "the door's path may have"},
			"mode":         {env: "MEMCACHED_BACKDOOR_MODE=rw", want: "is not an octal mode"},
			"large mode":   {env: "MEMCACHED_BACKDOOR_MODE=1777", want: "is not an octal mode"},
			"group":        {env: "MEMCACHED_BACKDOOR_GROUP=nosuchgroup", want: "there is no such group"},
			"memory":       {want: "(ulimit -v, ulimit -d)", wrap: []string{"prlimit", "--as=2000000000"}},
			"data":         {want: "(ulimit -v, ulimit -d)", wrap: []string{"prlimit", "--data=2000000000"}},
			"locked":       {want: "(ulimit -l)", wrap: []string{"prlimit", "--memlock=4000000000"}, args: []string{"-k"}, user: "nobody"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, h.program, test.args...)
				if test.door != "" {
					s.door = test.door
				}
				s.env, s.wrap = []string{test.env}, test.wrap
				if test.wrap != nil {
					if out, err := exec.Command(test.wrap[0], append(test.wrap[1:], "true")...).CombinedOutput(); err != nil {
						t.Skipf("this machine does not let the limit be set: %s", out)
					}
				}
				if test.user != "" {
					s.user = test.user
				}
				s.start()
				s.waitServing()
				wait(t, "its line", func() error {
					line := s.output.String()
					if !strings.HasPrefix(line, "memcached-backdoor: no door: ") || !strings.Contains(line, test.want) || strings.Count(line, "\n") != 1 {
						return fmt.Errorf("it wrote %q, want %q in one line", line, test.want)
					}
					return nil
				})
				if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
					t.Errorf("it ended with %v", status)
				}
			})
		}
	})
}

func TestDoorModeAndGroup(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := newServer(t, h.program)
		s.env = []string{"MEMCACHED_BACKDOOR_MODE=0666", "MEMCACHED_BACKDOOR_GROUP=daemon"}
		s.start()
		s.waitDoor()
		info, err := os.Lstat(s.door)
		if err != nil || info.Mode().Perm() != 0o666 || info.Sys().(*syscall.Stat_t).Gid != 1 {
			t.Errorf("%v, %v", info, err)
		}
	})
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// statusOf is what the kernel says of a process: threads, and masks of signals.

// In every program but memcached the library is as good as not there.
func TestInertElsewhere(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"sh":      {"sh", "-c", "trap : USR1; echo ready; read line"},
		"env":     {"env", "FOO=bar", "sh", "-c", "echo ready; read line"},
		"timeout": {"timeout", "60", "sh", "-c", "echo ready; read line"},
		"perl":    {"perl", "-e", `$| = 1; $SIG{HUP} = sub {}; print "ready\n"; <STDIN>`},
		"python3": {"python3", "-c", "print('ready', flush=True); input()"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			observe := func(preload string) map[string]string {
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Env = append(os.Environ(), "LD_PRELOAD="+preload)
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				var out, errs log
				cmd.Stdout, cmd.Stderr = &out, &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				wait(t, name, func() error {
					if out.String() != "ready\n" {
						return fmt.Errorf("it wrote %q", out.String())
					}
					return nil
				})
				status := statusOf(t, cmd.Process.Pid)
				stdin.Close()
				err = cmd.Wait()
				status["exit"] = fmt.Sprint(err)
				status["stderr"] = errs.String()
				return status
			}
			without, with := observe(""), observe(built(t, "backdoor.so"))
			if fmt.Sprint(with) != fmt.Sprint(without) || with["Threads"] != "1" {
				t.Errorf("with the library %v\nwithout it       %v", with, without)
			}
		})
	}
}

// The library shows the names that exports.map lists, and no other.
func TestExports(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../preload/exports.map")
	if err != nil {
		t.Fatal(err)
	}
	global := regexp.MustCompile(`(?s)global:(.*)local:`).FindSubmatch(script)
	want := regexp.MustCompile(`\w+`).FindAllString(string(global[1]), -1)
	out, err := exec.Command("nm", "-D", "--defined-only", built(t, "backdoor.so")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		got = append(got, f[len(f)-1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("exports %v, want %v", got, want)
	}
}

// Another preload before and after the library.
func TestJemalloc(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		jemalloc, err := filepath.Glob("/usr/lib/*/libjemalloc.so.2")
		if err != nil || len(jemalloc) == 0 {
			t.Fatalf("libjemalloc2 is not installed (%v)", err)
		}
		ours := built(t, "backdoor.so")
		for _, preload := range []string{ours + ":" + jemalloc[0], jemalloc[0] + ":" + ours} {
			s := newServer(t, h.program)
			s.preload = preload
			s.env = []string{"MALLOC_CONF=background_thread:true"}
			s.start()
			s.waitDoor()
			if l := s.load(door.Request{}, rowsOf("k", 100000)); l.Stored != 100000 {
				t.Errorf("%s: %+v", preload, l)
			}
			if s.get("k_99999") != "value_99999" {
				t.Errorf("%s: the last key differs", preload)
			}
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("%s: it ended with %v", preload, status)
			}
		}
	})
}

// Debian's Perl wrapper, which forks, waits and writes a pid file.
func TestPerlWrapper(t *testing.T) {
	t.Parallel()
	const wrapper = "/usr/share/memcached/scripts/start-memcached"
	if os.Getuid() != 0 {
		t.Skip("the wrapper wants root")
	}
	s := newServer(t, "")
	config, pidfile := filepath.Join(s.dir, "conf"), filepath.Join(s.dir, "pid")
	if err := os.WriteFile(config, fmt.Appendf(nil, "-s %s\n-u nobody\nlogfile %s\n", s.socket, filepath.Join(s.dir, "log")), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(wrapper, config, pidfile)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+s.preload, "MEMCACHED_BACKDOOR="+s.door)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { endDaemon(t, pidfile) })
	s.waitDoor()
	s.load(door.Request{}, []byte("k\tv\n"))
	if s.get("k") != "v" {
		t.Error("k differs")
	}
}

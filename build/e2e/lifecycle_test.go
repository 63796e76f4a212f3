package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// statusOf is what the kernel says of a process: threads, and masks of signals.
func statusOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains([]string{"Threads", "SigPnd", "SigBlk", "SigIgn", "SigCgt"}, name) {
			status[name] = strings.TrimSpace(value)
		}
	}
	return status
}

// memcached's signal handlers and masks stay, on each of its threads.
func TestSignalHandlersStay(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		bare := newServer(t, h.program)
		bare.preload = ""
		bare.start()
		bare.waitServing()
		ours := start(t, h.program)
		want, got := statusOf(t, bare.pid()), statusOf(t, ours.pid())
		if got["SigBlk"] != want["SigBlk"] || got["SigIgn"] != want["SigIgn"] {
			t.Errorf("blocked and ignored: %v, want %v", got, want)
		}
		// Go's four are caught besides, and only those.
		caught := func(status map[string]string) uint64 {
			mask, err := strconv.ParseUint(status["SigCgt"], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return mask
		}
		var gos uint64
		for _, s := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGURG} {
			gos |= 1 << (s - 1)
		}
		if extra := caught(got) &^ caught(want); extra != gos {
			t.Errorf("caught besides memcached's: %x, want %x", extra, gos)
		}
	})
}

// A fault of memcached's own ends it as it would without us.
func TestFaultOfMemcachedEndsIt(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, signal := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE} {
			s := start(t, h.program)
			if status := s.end(signal); !status.Signaled() || status.Signal() != signal {
				t.Errorf("%v: it ended with %v\n%s", signal, status, s.output.String())
			}
		}
	})
}

// tasks are the numbers of memcached's threads that are, or are not, Go's, which block nearly all signals.
func (s *server) tasks(gos bool) []int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	blocked := statusOf(s.t, s.pid())["SigBlk"]
	var tids []int
	for _, entry := range entries {
		tid, err := strconv.Atoi(entry.Name())
		if err != nil {
			s.t.Fatal(err)
		}
		if (statusOf(s.t, tid)["SigBlk"] != blocked) == gos {
			tids = append(tids, tid)
		}
	}
	return tids
}

// A signal that is sent ends memcached as it would without us, whichever thread takes it: Go's or memcached's.
func TestAnyThreadTakesFault(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, signal := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE} {
			for _, gos := range []bool{true, false} {
				s := start(t, h.program)
				announced, tids := s.announcement(), s.tasks(gos)
				if len(tids) < 4 {
					t.Fatalf("threads %v", tids)
				}
				// Go may end a thread meanwhile.
				for len(tids) > 0 && syscall.Tgkill(s.pid(), tids[len(tids)-1], signal) != nil {
					tids = tids[:len(tids)-1]
				}
				if status := s.end(0); !status.Signaled() || status.Signal() != signal || s.output.String() != announced {
					t.Errorf("%v to a thread (Go's: %v): it ended with %v\n%s", signal, gos, status, s.output.String())
				}
			}
		}
	})
}

// A signal that memcached was started with blocked waits, as without us, although Go's threads take it: whether it was
// sent before memcached was started, or when it serves.
func TestBlockedFaultWaits(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, signal := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE} {
			for _, early := range []bool{true, false} {
				s := newServer(t, h.program)
				number := strconv.Itoa(int(signal))
				s.wrap = []string{"env", "--block-signal=" + number}
				if early {
					s.wrap = append(s.wrap, "sh", "-c", "kill -"+number+` $$; exec "$@"`, "sh")
				}
				s.start()
				s.waitDoor()
				if !early {
					if err := s.cmd.Process.Signal(signal); err != nil {
						t.Fatal(err)
					}
				}
				wait(t, "the main thread's signal", func() error {
					if !s.running() {
						t.Fatalf("%v: it ended with %v\n%s", signal, s.cmd.ProcessState, s.output.String())
					}
					pending := statusOf(t, s.pid())["SigPnd"]
					if mask, err := strconv.ParseUint(pending, 16, 64); err != nil || mask != 1<<(signal-1) {
						return fmt.Errorf("%s: pending: %s", signal, pending)
					}
					return nil
				})
				s.load(door.Request{}, []byte("k\tv\n"))
				if status := s.end(syscall.SIGINT); status.ExitStatus() != 0 {
					t.Errorf("%v: it ended with %v\n%s", signal, status, s.output.String())
				}
			}
		}
	})
}

// Each way to stop memcached has the exit status and the output that it has without us.
func TestEndsAsWithoutLibrary(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, test := range []struct {
			name string
			args []string
			stop func(s *server) syscall.WaitStatus
		}{
			{"SIGINT", nil, func(s *server) syscall.WaitStatus { return s.end(syscall.SIGINT) }},
			{"SIGTERM", nil, func(s *server) syscall.WaitStatus { return s.end(syscall.SIGTERM) }},
			{"SIGUSR1", nil, func(s *server) syscall.WaitStatus { return s.end(syscall.SIGUSR1) }},
			{"SIGQUIT", nil, func(s *server) syscall.WaitStatus { return s.end(syscall.SIGQUIT) }},
			{"verbose SIGTERM", []string{"-v"}, func(s *server) syscall.WaitStatus { return s.end(syscall.SIGTERM) }},
			{"SIGHUP, then SIGTERM", nil, func(s *server) syscall.WaitStatus {
				s.cmd.Process.Signal(syscall.SIGHUP)
				s.waitServing()
				return s.end(syscall.SIGTERM)
			}},
			{"shutdown", []string{"-A"}, func(s *server) syscall.WaitStatus {
				conn := dial(s)
				defer conn.Close()
				fmt.Fprint(conn, "shutdown\r\n")
				return s.end(0)
			}},
			{"shutdown graceful", []string{"-A"}, func(s *server) syscall.WaitStatus {
				conn := dial(s)
				defer conn.Close()
				fmt.Fprint(conn, "shutdown graceful\r\n")
				return s.end(0)
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				bare := newServer(t, h.program, test.args...)
				bare.preload = ""
				bare.start()
				bare.waitServing()
				want, wantOutput := test.stop(bare), bare.output.String()

				ours := start(t, h.program, test.args...)
				ours.load(door.Request{}, []byte("k\tv\n"))
				announced := ours.announcement()
				got, gotOutput := test.stop(ours), strings.Replace(ours.output.String(), announced, "", 1)
				if got != want || gotOutput != wantOutput {
					t.Errorf("%v and %q, want %v and %q", got, gotOutput, want, wantOutput)
				}
				killed := got.Signaled()
				if _, err := os.Lstat(ours.door); !killed && !os.IsNotExist(err) {
					t.Errorf("the door is still there (%v)", err)
				}
			})
		}
	})
}

// Options that end memcached at once, or change how it runs.
func TestOptionsActAsWithoutLibrary(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, args := range [][]string{
			{"-h"}, {"-V"}, {"--bogus"}, {"-d", "--bogus"}, {"-i"}, {"-u", "nosuchuser"}, {"-I", "0"}, {"-d", "-s", "/nonexistent/socket"},
		} {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				run := func(preload string) (string, int) {
					cmd := exec.Command(h.program, args...)
					cmd.Env = append(os.Environ(), "LD_PRELOAD="+preload, "MEMCACHED_BACKDOOR="+filepath.Join(t.TempDir(), "door"))
					out, _ := cmd.CombinedOutput()
					return string(out), cmd.ProcessState.ExitCode()
				}
				wantOut, want := run("")
				gotOut, got := run(built(t, "backdoor.so"))
				if got != want || gotOut != wantOut {
					t.Errorf("status %d and %q, want %d and %q", got, gotOut, want, wantOut)
				}
			})
		}
	})
}

// memcached as a daemon, in every spelling: the command returns at once and silent, the
// daemon serves with a door, and ends when it is told to.
func TestDaemonServes(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, spelling := range []string{"-d", "-vd", "-dv", "--daemon"} {
			t.Run(spelling, func(t *testing.T) {
				t.Parallel()
				run := func(preload bool) (output string, s *server) {
					pidfile := filepath.Join(t.TempDir(), "pid")
					s = newServer(t, h.program, spelling, "-P", pidfile)
					if !preload {
						s.preload = ""
					}
					// A file, not a pipe: with -v the daemon keeps its output open.
					out := fileOf(t, nil)
					cmd := s.command()
					cmd.Stdout, cmd.Stderr = out, out
					if err := cmd.Run(); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { killDaemon(t, pidfile) })
					s.waitServing()
					text, err := os.ReadFile(out.Name())
					if err != nil {
						t.Fatal(err)
					}
					return string(text), s
				}
				want, _ := run(false)
				got, s := run(true)
				if got = strings.Replace(got, s.announcement(), "", 1); got != want {
					t.Errorf("output %q, want %q", got, want)
				}
				if status := s.waitDoor(); status.Route != h.route {
					t.Errorf("status %+v", status)
				}
				s.load(door.Request{}, []byte("k\tv\n"))
				if s.get("k") != "v" {
					t.Error("k differs")
				}
			})
		}
	})
}

// endDaemon ends the process that a pid file names and waits until it is gone.
func endDaemon(t *testing.T, pidfile string) {
	t.Helper()
	text, err := os.ReadFile(pidfile)
	if err != nil {
		t.Error(err)
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Error(err)
		return
	}
	syscall.Kill(pid, syscall.SIGTERM)
	wait(t, "the daemon's end", func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return fmt.Errorf("process %d is there", pid)
		}
		return nil
	})
}

// killDaemon is endDaemon for a pid file that memcached has made, and removes.
func killDaemon(t *testing.T, pidfile string) {
	t.Helper()
	endDaemon(t, pidfile)
	if _, err := os.Stat(pidfile); !os.IsNotExist(err) {
		t.Errorf("%s: %v; memcached removes it at its end", pidfile, err)
	}
}

// The door is made before memcached gives up its rights, and served after.
func TestDoorBeforeRightsAreDropped(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if os.Getuid() != 0 {
			t.Skip("only root can start memcached as somebody else")
		}
		s := newServer(t, h.program)
		s.user = "nobody"
		s.start()
		if status := s.waitDoor(); status.Route != h.route {
			t.Errorf("status %+v", status)
		}
		s.load(door.Request{}, []byte("k\tv\n"))
		if s.get("k") != "v" {
			t.Error("k differs")
		}
		info, err := os.Lstat(s.door)
		if err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("the door: %v, %v", info, err)
		}
	})
}

func TestNoDoorInLockedMemory(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-k")
		s.load(door.Request{}, []byte("k\tv\n"))
		if s.get("k") != "v" {
			t.Error("k differs")
		}
		// Not enough of it to lock: memcached says so and serves unlocked, with a door.
		limited := newServer(t, h.program, "-k")
		limited.wrap = []string{"prlimit", "--memlock=1000000:1000000"}
		limited.user = "nobody"
		limited.start()
		limited.waitDoor()
		if out := limited.output.String(); !strings.Contains(out, "mlockall") {
			t.Errorf("memcached wrote %q", out)
		}
	})
}

// A fault in our Go, a nil dereference included, fails the call and nothing else.
func TestPanicFailsTheCallOnly(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, fault := range []string{"panic", "nil"} {
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "fault")
				s := newServer(t, h.program)
				s.preload = built(t, "backdoor-faulty.so")
				s.env = []string{"MEMCACHED_BACKDOOR_FAULT=" + file}
				s.start()
				s.waitDoor()
				if err := os.WriteFile(file, []byte(fault), 0o600); err != nil {
					t.Fatal(err)
				}
				fail := func() {
					reply, err := call(s.door, door.Request{Op: door.OpLoad}, fileOf(t, []byte("k\tv\n")))
					if err != nil || reply.Error == nil || reply.Error.Code != door.CodeInternal {
						t.Fatalf("%+v, %v", reply, err)
					}
				}
				fail() // reading the file of faults makes Go's poller, which stays
				threads, descriptors := s.count("task"), s.descriptors()
				for range 20 {
					fail()
				}
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				s.load(door.Request{}, []byte("k\tv\n"))
				if s.get("k") != "v" {
					t.Error("k differs")
				}
				if now := s.descriptors(); now != descriptors {
					t.Errorf("%d descriptors, %d before", now, descriptors)
				}
				if now := s.count("task"); now > threads+4 {
					t.Errorf("%d threads, %d before", now, threads)
				}
				if !strings.Contains(s.output.String(), "panic: ") {
					t.Errorf("memcached's stderr: %q", s.output.String())
				}
			})
		}
	})
}

// A hundred starts and stops in a row, each with a door that answers.
func TestHundredStarts(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for i := range 100 {
			s := start(t, h.program)
			if l := s.load(door.Request{}, []byte("k\tv\n")); l.Stored != 1 {
				t.Fatalf("start %d: %+v", i, l)
			}
			announced := s.announcement()
			if status := s.end(syscall.SIGINT); status.ExitStatus() != 0 {
				t.Fatalf("start %d ended with %v\n%s", i, status, s.output.String())
			}
			if out := strings.ReplaceAll(s.output.String(), "Signal handled: Interrupt.\n", ""); out != announced {
				t.Fatalf("start %d wrote %q", i, out)
			}
		}
	})
}

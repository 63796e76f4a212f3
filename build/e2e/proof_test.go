package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// quota makes a cgroup that may have a part of one processor, and makes the server start in it.
func (s *server) quota(percent int) {
	s.t.Helper()
	const period = 100_000 // µs
	name := fmt.Sprintf("memcached-backdoor-test-%d", os.Getpid())
	var problems []error
	for _, version := range []struct {
		root     string
		settings [][2]string
	}{
		{"/sys/fs/cgroup/cpu", [][2]string{{"cpu.cfs_period_us", fmt.Sprint(period)}, {"cpu.cfs_quota_us", fmt.Sprint(period * percent / 100)}}},
		{"/sys/fs/cgroup", [][2]string{{"cpu.max", fmt.Sprint(period*percent/100, " ", period)}}},
	} {
		dir, err := os.MkdirTemp(version.root, name)
		for _, setting := range version.settings {
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, setting[0]), []byte(setting[1]), 0o644)
			}
		}
		if err != nil {
			os.Remove(dir)
			problems = append(problems, err)
			continue
		}
		s.t.Cleanup(func() { // after the server's end
			wait(s.t, "the cgroup to be empty", func() error { return os.Remove(dir) })
		})
		s.wrap = []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, dir}
		return
	}
	s.t.Skipf("no cgroup with a quota of processor time can be made: %v", errors.Join(problems...))
}

// Where memcached has 3 % of a processor, the proof takes long, and holds.
func TestProofQuota(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("there is nothing to prove")
		}
		s := newServer(t, h.program)
		s.quota(3)
		s.start()
		if status := s.waitDoor(); status.Engine != door.EngineNative {
			t.Errorf("%+v", status)
		}
	})
}

// The proof's child makes few system calls, which in a sandbox cost a multiple.
func TestProofSystemCalls(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("there is nothing to prove")
		}
		const most = 3000
		s := newServer(t, h.program)
		trace := filepath.Join(s.dir, "trace")
		s.wrap = []string{"strace", "-D", "-f", "-qq", "-o", trace}
		s.start()
		if status := s.waitDoor(); status.Engine != door.EngineNative {
			t.Fatalf("%+v", status)
		}
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string]int{} // by thread
		child := ""
		for line := range strings.Lines(string(text)) {
			thread, event, _ := strings.Cut(line, " ")
			if event = strings.TrimSpace(event); !strings.HasPrefix(event, "---") && !strings.HasPrefix(event, "<...") {
				calls[thread]++
			}
			if strings.HasPrefix(event, "prctl(PR_SET_PDEATHSIG") {
				child = thread
			}
		}
		if n := calls[child]; n == 0 || n > most {
			t.Errorf("the child (%q) made %d system calls, want 1 to %d", child, n, most)
		}
	})
}

// A proof that cannot be made now says nothing against the functions: loads go by protocol until it can be made, and
// strict fixtures wait.
func TestProofHindered(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict fixtures=%t", strict), func(t *testing.T) {
			t.Parallel()
			fault := fixture(t, "fault", []byte("hindered"))
			s := newServer(t, stock(t))
			if strict {
				s = withFixtures(t, stock(t), []string{fixture(t, "rows.raw", []byte("fixture\t1\n"))})
				s.strict()
			}
			s.preload = built(t, "backdoor-faulty.so")
			s.env = append(s.env, "MEMCACHED_BACKDOOR_FAULT="+fault)
			s.start()
			said := "loads go by memcached's protocol: memcached 1.6.18, functions found by route scan: not proven yet; it is tried again"
			if strict {
				said = "fixtures: they wait until memcached's functions are proven"
			}
			wait(t, "what is said", func() error {
				if output := s.output.String(); !strings.Contains(output, said) {
					return errors.New(output)
				}
				return nil
			})
			if !strict {
				if status := s.waitDoor(); status.Engine != door.EngineProtocol || !strings.HasSuffix(status.Reason, "not proven yet; it is tried again") {
					t.Errorf("%+v", status)
				}
				if l := s.load(door.Request{}, []byte("fixture\t1\n")); l.Stored != 1 || l.Engine != door.EngineProtocol {
					t.Errorf("%+v", l)
				}
			}
			if err := os.Remove(fault); err != nil {
				t.Fatal(err)
			}
			wait(t, "the native engine", func() error {
				reply, err := call(s.door, door.Request{Op: door.OpStatus})
				if err == nil && (reply.Status == nil || reply.Status.Engine != door.EngineNative) {
					err = fmt.Errorf("%+v", reply.Status)
				}
				return err
			})
			if l := s.load(door.Request{}, []byte("native\t2\n")); l.Stored != 1 || l.Engine != door.EngineNative {
				t.Errorf("%+v", l)
			}
			for key, want := range map[string]string{"fixture": "1", "native": "2"} {
				if got := s.get(key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if said := "loads go by memcached's own functions from now on"; !strings.Contains(s.output.String(), said) {
				t.Errorf("memcached's stderr does not say %q:\n%s", said, s.output.String())
			}
		})
	}
}

// The proof takes none of memcached's descriptors, of which its clients may have all.
func TestProofDescriptors(t *testing.T) {
	t.Parallel()
	s := newServer(t, stock(t))
	s.preload = built(t, "backdoor-faulty.so")
	s.env = []string{"MEMCACHED_BACKDOOR_FAULT=" + fixture(t, "fault", []byte("descriptors"))}
	s.start()
	wait(t, "the door", func() error {
		reply, err := call(s.door, door.Request{Op: door.OpStatus})
		if err == nil && (reply.Status == nil || reply.Status.Engine != door.EngineNative) {
			t.Fatalf("%+v", reply.Status)
		}
		return err
	})
}

// Memory that another preload shares with other processes does not keep the proof from being made, and its child does
// not write there.
func TestProofSharedMemory(t *testing.T) {
	t.Parallel()
	library := filepath.Join(directoryOf(t, "shared"), "shared.so")
	tool(t, "gcc", "-O2", "-shared", "-fPIC", "-o", library, "testdata/shared.c")
	for _, unlink := range []bool{false, true} {
		t.Run(fmt.Sprintf("unlinked=%t", unlink), func(t *testing.T) {
			t.Parallel()
			file, err := os.OpenFile(filepath.Join(directoryOf(t, "memory"), "memory"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if err := file.Truncate(int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
			s := newServer(t, stock(t))
			s.preload += ":" + library
			s.env = []string{"SHARED_FILE=" + file.Name()}
			if unlink {
				s.env = append(s.env, "SHARED_UNLINK=1")
			}
			s.start()
			if status := s.waitDoor(); status.Engine != door.EngineNative {
				t.Errorf("%+v", status)
			}
			var processes [8]int32
			if err := binary.Read(io.NewSectionReader(file, 0, 1<<10), binary.NativeEndian, &processes); err != nil {
				t.Fatal(err)
			}
			if processes != [8]int32{int32(s.pid())} {
				t.Errorf("processes %v have written there, want %d only", processes, s.pid())
			}
		})
	}
}

// On overlayfs, as in containers, kernels before Linux 6.7 name another device and inode of memcached's restartable memory
// in /proc/PID/maps than fstat(2) does. It is found there, too.
func TestProofOverlay(t *testing.T) {
	t.Parallel()
	dir := directoryOf(t, "overlay")
	var parts []string
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		parts = append(parts, filepath.Join(dir, name))
		if err := os.Mkdir(parts[len(parts)-1], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	merged := parts[3]
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", parts[0], parts[1], parts[2])
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Skipf("no overlayfs can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(merged, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	restart(t, shape{"scan", stock(t)}, filepath.Join(merged, "memory"))
}

// Where -o slab_chunk_max leaves little room, nearly every item is one of chunks.
func TestSmallChunks(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		if !h.native() {
			t.Skip("by protocol memcached chains the chunks")
		}
		s := newServer(t, h.program, "-o", "slab_chunk_max=128")
		s.start()
		if status := s.waitDoor(); status.Engine != door.EngineNative {
			t.Fatalf("%+v", status)
		}
		value := strings.Repeat("0123456789", 500)
		rows := fmt.Sprintf("short\tv\nlong\t%s\n", value)
		if l := s.load(door.Request{}, []byte(rows)); l.Stored != 2 {
			t.Errorf("%+v", l)
		}
		if short, long := s.get("short"), s.get("long"); short != "v" || long != value {
			t.Errorf("%q, and %d bytes, want \"v\" and %d", short, len(long), len(value))
		}
	})
}

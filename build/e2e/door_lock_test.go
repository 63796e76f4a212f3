package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// flocked is a file or directory with a lock on it that another process holds.
func flocked(t *testing.T, path string, flags int) {
	t.Helper()
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// Other locks do not affect the door's: a lock on the directory, which every user can have, keeps no door away, and
// neither does a lock that a killed memcached has left. A file that is not a lock of the library is left alone, and reported.
func TestDoorLock(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	const foreign = "~lock is there and is not a lock of the library; remove it, or set MEMCACHED_BACKDOOR"
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, lock string)
		says    string // "": there is a door
	}{
		"locked directory": {prepare: func(t *testing.T, lock string) { flocked(t, filepath.Dir(lock), os.O_RDONLY) }},
		"left over": {prepare: func(t *testing.T, lock string) {
			if err := os.WriteFile(lock, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"held": {prepare: func(t *testing.T, lock string) { flocked(t, lock, os.O_RDWR|os.O_CREATE) }, says: "locked by another process"},
		"link": {prepare: func(t *testing.T, lock string) {
			if err := os.Symlink(victim, lock); err != nil {
				t.Fatal(err)
			}
		}, says: foreign},
		"another user's": {prepare: func(t *testing.T, lock string) {
			if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.Chown(lock, 65534, 65534)); err != nil {
				t.Fatal(err)
			}
		}, says: foreign},
		"open to others": {prepare: func(t *testing.T, lock string) {
			if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.Chmod(lock, 0o644)); err != nil {
				t.Fatal(err)
			}
		}, says: foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, stock(t))
			tt.prepare(t, s.door+"~lock")
			s.start()
			if tt.says == "" {
				s.waitDoor()
				if _, err := os.Lstat(s.door + "~lock"); err == nil {
					t.Error("the lock is left")
				}
				return
			}
			s.waitServing()
			wait(t, "its line", func() error {
				if line := s.output.String(); !strings.HasPrefix(line, "memcached-backdoor: no door: ") || !strings.Contains(line, tt.says) {
					return fmt.Errorf("it wrote %q", line)
				}
				return nil
			})
			if _, err := os.Lstat(s.door); err == nil {
				t.Error("there is a door")
			}
		})
	}
	t.Cleanup(func() {
		if got := content(t, victim); got != "text" {
			t.Errorf("the link's target is %q", got)
		}
	})
}

// Of memcacheds that start at once, where one was killed, one takes the door.
func TestDoorOfManyStarts(t *testing.T) {
	t.Parallel()
	stale := start(t, stock(t))
	stale.kill()
	servers := make([]*server, 6)
	for i := range servers {
		servers[i] = newServer(t, stock(t))
		servers[i].door = stale.door
		servers[i].start()
	}
	doors := 0
	for _, s := range servers {
		s.waitServing()
		wait(t, "its decision", func() error {
			if strings.Contains(s.output.String(), "no door: "+stale.door+" is the door of process ") {
				return nil
			}
			if status := s.waitDoor(); status.PID == s.pid() {
				doors++
				return nil
			}
			return errors.New(s.output.String())
		})
	}
	if doors != 1 {
		t.Errorf("%d of %d memcacheds have the door", doors, len(servers))
	}
}

// The door's mode is given to nothing but the door, whatever its temporary name has become.
func TestDoorModeOfLink(t *testing.T) {
	t.Parallel()
	swap := filepath.Join(t.TempDir(), "swap.so")
	tool(t, "gcc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", swap, "testdata/swap.c", "-ldl")
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, stock(t))
	s.preload = swap + ":" + s.preload
	s.env = []string{"VICTIM=" + victim, "MEMCACHED_BACKDOOR_MODE=0666", "MEMCACHED_BACKDOOR_GROUP=daemon"}
	s.start()
	s.waitServing()
	wait(t, "its line", func() error {
		if line := s.output.String(); !strings.HasPrefix(line, "memcached-backdoor: no door: ") {
			return fmt.Errorf("it wrote %q", line)
		}
		return nil
	})
	info, err := os.Lstat(victim)
	if err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Gid != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

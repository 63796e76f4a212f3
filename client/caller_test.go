package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

const silentHint = "error: after 2.5s: there is a door, but memcached does not answer\nhint: see whether memcached runs, and is not stopped\n"

// At a door that takes no calls the client names memcached's process, and --timeout ends the wait.
func TestNotTaken(t *testing.T) {
	for _, command := range []string{"status", "keys", "top"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "door")
			fd, err := listen(unix.SOCK_SEQPACKET, path, 8)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			start(t, path, nil, command, "--timeout", "2500ms").ends(10, "",
				fmt.Sprintf("warning: waiting for memcached (process %d) to take the call\n", os.Getpid())+silentHint)
		})
	}
}

// With a full backlog connect(2) blocks.
func TestBacklogFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "door")
	fd, err := listen(unix.SOCK_SEQPACKET, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil {
		var other int
		if other, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err == nil {
			defer unix.Close(other)
			err = unix.Connect(other, &unix.SockaddrUnix{Name: path})
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	start(t, path, nil, "status", "--timeout", "2500ms").ends(10, "",
		"warning: waiting for memcached to take the call: its backlog is full of other calls\n"+silentHint)
}

// --timeout during a call: the error says that the call needs longer.
func TestUnfinished(t *testing.T) {
	for _, command := range []string{"keys", "top"} {
		path := serve(t, func(c *door.Call, _ door.Request) {
			if ready, err := c.Wait(false, -1, -1); err != nil || !ready.Gone {
				t.Errorf("%+v, %v", ready, err)
			}
		})
		start(t, path, nil, command, "--timeout", "200ms").ends(1, "",
			"error: after 200ms: memcached has not done all of it\nhint: wait for longer (--timeout)\n")
	}
}

// The reason why a process does not answer is that of /proc.
func TestPeer(t *testing.T) {
	const user = 54321 // unused
	p := exec.Command("prlimit", "--nproc=1", "sleep", "60")
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	if err := p.Start(); err != nil {
		t.Skipf("no process of another user can be started: %v", err)
	}
	defer p.Wait()
	defer p.Process.Kill()
	other := peerOf(int32(p.Process.Pid))
	for end := time.Now().Add(20 * time.Second); other.field("status", "Name:") != "sleep"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is %q", other.field("status", "Name:"))
		}
	}
	if got := other.crowded(); got != ": its user has 1 thread, and may have no more than 1 (prlimit --nproc)" {
		t.Errorf("%q", got)
	}
	if got := peerOf(int32(os.Getpid())); got.name() != fmt.Sprintf(" (process %d)", os.Getpid()) || got.stopped() != "" {
		t.Errorf("%q, %q", got.name(), got.stopped())
	}
	p.Process.Kill()
	for end := time.Now().Add(20 * time.Second); other.stopped() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not seen to have ended")
		}
	}
	if gone := peerOf(0); gone.name()+gone.stopped()+gone.crowded() != "" {
		t.Errorf("%q", gone.name())
	}
}

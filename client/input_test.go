package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

// pty makes a terminal: what is written to one end can be read from the other.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestTerminal: the client reads the user's terminal, which memcached cannot read.
func TestTerminal(t *testing.T) {
	master, slave := pty(t)
	loaded := make(chan string, 1)
	path := serve(t, func(c *door.Call, _ door.Request) {
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		loaded <- string(data)
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
	})
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = slave })
	if _, err := master.WriteString("a\t1\n\x04"); err != nil {
		t.Fatal(err)
	}
	p.ends(0, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n",
		"reading rows from the terminal; end them with ^D at the beginning of a line\n")
	if got := take(t, loaded); got != "a\t1\n" {
		t.Errorf("loaded %q", got)
	}
}

// TestInputUntouched: the client's standard input is shared with the shell's
// other jobs, so neither side may change its flags.
func TestInputUntouched(t *testing.T) {
	for _, flag := range []int{0, unix.O_NONBLOCK} {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|flag); err != nil {
			t.Fatal(err)
		}
		// os.File does not change the flags of a descriptor that is nonblocking
		// already.
		r, w := os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
		defer r.Close()
		defer w.Close()
		during := make(chan int, 1)
		path := serve(t, func(c *door.Call, _ door.Request) {
			data, err := io.ReadAll(c.Input)
			if err != nil || string(data) != "a\t1\n" {
				t.Errorf("read %q, %v", data, err)
			}
			flags, _ := unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0)
			during <- flags
			c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
		})
		client := start(t, path, func(c *exec.Cmd) { c.Stdin = r })
		fmt.Fprint(w, "a\t1\n")
		w.Close()
		client.ends(0, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", "")
		if size, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETPIPE_SZ, 0); err != nil || size < pipeSize {
			t.Errorf("the pipe has room for %d bytes (%v)", size, err)
		}
		if now := take(t, during); now&unix.O_NONBLOCK != flag {
			t.Errorf("O_NONBLOCK was %#o, and the flags are %#o", flag, now)
		}
	}
}

// TestWiden: a pipe is widened, and not shrunk.
func TestWiden(t *testing.T) {
	const to = 128 << 10
	for _, before := range []int{4096, to, 4 * to} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		fd := r.Fd()
		if _, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, before); err != nil {
			t.Fatalf("a pipe of %d bytes: %v", before, err)
		}
		widen(r, to)
		if after, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err != nil || after != max(before, to) {
			t.Errorf("room for %d bytes became %d (%v)", before, after, err)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

// stalled gives a client a standard input that has the beginning of a row, and no end.
func stalled(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	fmt.Fprint(w, "a")
	return func(c *exec.Cmd) { c.Stdin = r }
}

// TestInterrupted: the client cancels, memcached answers with its counts.
func TestInterrupted(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			called := make(chan struct{})
			path := serve(t, func(c *door.Call, _ door.Request) {
				close(called)
				if _, err := io.Copy(io.Discard, c.Input); !errors.Is(err, door.ErrGone) {
					t.Errorf("Read: %v, want ErrGone", err)
				}
				c.Finish(door.Reply{Load: &door.Load{Rows: 3, Stored: 3, Canceled: true}})
			})
			p := start(t, path, stalled(t))
			take(t, called)
			p.signal(s)
			p.ends(130, "3 rows read: 3 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n", "")
		})
	}
}

// silent serves a door that never answers, until the test ends. It sends when
// it was called, and when the call was canceled.
func silent(t *testing.T) (path string, called, canceled <-chan struct{}) {
	t.Helper()
	call, cancel, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	path = serve(t, func(c *door.Call, _ door.Request) {
		close(call)
		if _, err := c.Wait(false, -1, -1); err != nil {
			t.Errorf("Wait: %v", err)
		}
		close(cancel)
		<-over
	})
	t.Cleanup(func() { close(over) })
	return path, call, cancel
}

const noOutcome = "error: interrupted; memcached did not say what it had done by then\n"

// TestInterruptedTwice: the second signal ends the wait.
func TestInterruptedTwice(t *testing.T) {
	path, called, canceled := silent(t)
	p := start(t, path, stalled(t))
	take(t, called)
	p.signal(os.Interrupt)
	take(t, canceled)
	since := time.Now()
	p.signal(os.Interrupt)
	p.ends(130, "", noOutcome)
	if took := time.Since(since); took >= cancelLimit {
		t.Errorf("the second signal took %s", took)
	}
}

func TestInterruptedUnanswered(t *testing.T) {
	path, called, _ := silent(t)
	p := start(t, path, stalled(t))
	take(t, called)
	p.signal(os.Interrupt)
	p.ends(130, "", noOutcome)
}

func TestInterruptedDetached(t *testing.T) {
	called, loaded := make(chan struct{}), make(chan string, 1)
	path := serve(t, func(c *door.Call, _ door.Request) {
		close(called)
		data, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		loaded <- string(data)
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fmt.Fprint(w, "a")
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = r }, "--detach")
	take(t, called)
	p.signal(os.Interrupt)
	p.ends(130, "", "error: interrupted; the load continues in memcached\n")
	fmt.Fprint(w, "\t1\n")
	w.Close()
	if got := take(t, loaded); got != "a\t1\n" {
		t.Errorf("loaded %q", got)
	}
}

// TestInterruptedBefore: the call is not taken, or the named pipe has no writer.
func TestInterruptedBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "door")
	fd, err := listen(unix.SOCK_SEQPACKET, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	conn, err := door.Dial(path) // fills the backlog
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	const nothing = "0 rows read: 0 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n"

	p := start(t, path, nil)
	p.reaches(unix.SYS_CONNECT)
	p.signal(os.Interrupt)
	p.ends(130, nothing, "")

	p = start(t, path, nil, "status")
	p.reaches(unix.SYS_CONNECT)
	p.signal(os.Interrupt)
	p.ends(130, "", "")

	p = start(t, path, nil, fifo)
	p.reaches(unix.SYS_OPENAT)
	p.signal(os.Interrupt)
	p.ends(130, nothing, "")
}

// TestInterruptedSilent: the pipe has a writer, which has written nothing; the door is known to be there.
func TestInterruptedSilent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	path := serve(t, func(*door.Call, door.Request) { t.Error("the door was called") })
	for _, args := range [][]string{nil, {"--detach"}} {
		p := start(t, path, func(c *exec.Cmd) { c.Stdin = r }, args...)
		p.reaches(unix.SYS_PPOLL)
		p.signal(os.Interrupt)
		p.ends(130, "0 rows read: 0 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n", "")
	}
	p := start(t, "/nowhere", func(c *exec.Cmd) { c.Stdin = r })
	p.Wait()
	if got := p.ProcessState.ExitCode(); got != exitNoDoor {
		t.Errorf("without a door the exit status is %d", got)
	}
}

// TestInterruptIgnored: a job in the background ignores the terminal's ^C.
func TestInterruptIgnored(t *testing.T) {
	called, sent := make(chan struct{}), make(chan struct{})
	path := serve(t, func(c *door.Call, _ door.Request) {
		close(called)
		<-sent
		if ready, err := c.Wait(false, -1, 0); err != nil || ready.Gone {
			t.Errorf("Wait: %+v, %v", ready, err)
		}
		c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
	})
	p := start(t, path, func(c *exec.Cmd) {
		stalled(t)(c)
		inShell(t, c, `trap "" INT; exec client`)
	})
	take(t, called)
	p.signal(os.Interrupt)
	close(sent)
	p.ends(0, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", "")
}

// TestInterruptedFile: a load that can be resumed says how; one that cannot does not.
func TestInterruptedFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.tsv", "b.tsv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("a\t1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c.tsv.gz"), gzipped(t, "a\t1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		rows    = "3 rows read: 3 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n"
		nothing = "0 rows read: 0 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n"
		hint    = "hint: the same command with --resume continues where this one has ended\n"
	)
	some := door.Load{Rows: 3, Stored: 3, Canceled: true}
	trial := some
	trial.DryRun = true
	for _, tt := range []struct {
		name        string
		args        []string
		reply       door.Load
		out, errOut string
	}{
		{"load", []string{"a.tsv"}, some, rows, hint},
		{"restore", []string{"restore", "a.tsv"}, some, strings.Replace(rows, "rows", "items", 1), hint},
		{"the second file", []string{"a.tsv", "b.tsv"}, some, "4 rows read: 4 stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n",
			"hint: the same command with --resume, and without the files before b.tsv, continues where this one has ended\n"},
		{"a dry run", []string{"--dry-run", "a.tsv"}, trial, "3 rows read: 3 would be stored, 0 rejected, 0 skipped (0 B in 0.00 s), interrupted\n", ""},
		{"compressed", []string{"c.tsv.gz"}, some, rows, ""},
		{"complete", []string{"a.tsv"}, door.Load{Rows: 3, Stored: 3}, rows, ""},
		{"not begun", []string{"a.tsv"}, door.Load{Canceled: true}, nothing, ""},
		{"fill", []string{"fill", "--count", "9"}, some, "3 items made: 3 stored, 0 rejected, 0 skipped (0.00 s), interrupted\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, left := make(chan struct{}), 1
			if len(tt.args) == 2 && tt.args[0] == "a.tsv" {
				left = 2
			}
			path := serve(t, func(c *door.Call, _ door.Request) {
				if left--; left > 0 {
					c.Finish(door.Reply{Load: &door.Load{Rows: 1, Stored: 1}})
					return
				}
				close(calls)
				if _, err := c.Wait(false, -1, -1); err != nil {
					t.Errorf("Wait: %v", err)
				}
				c.Finish(door.Reply{Load: &tt.reply})
			})
			p := start(t, path, in(dir), tt.args...)
			take(t, calls)
			p.signal(os.Interrupt)
			p.ends(130, tt.out, tt.errOut)
		})
	}
}

package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

const nothingRead = "0 rows read: 0 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n"

// An input without a byte is told of, unless it is so on purpose; it is no failure.
func TestEmptyInput(t *testing.T) {
	dir := t.TempDir()
	path := answering(t, door.Reply{Load: &door.Load{}})
	const failed = " was empty: the program before the pipe may have failed (set -o pipefail)\n"
	for _, args := range []string{"", "load", "restore", "--json"} {
		p := start(t, path, func(c *exec.Cmd) { c.Stdin = strings.NewReader("") }, strings.Fields(args)...)
		if args == "--json" {
			p.Wait()
			if p.ProcessState.ExitCode() != 0 || p.errOut.String() != "warning: standard input"+failed || !json.Valid(p.out.Bytes()) {
				t.Errorf("%s: %s, %q, %q", args, p.ProcessState, p.errOut.String(), p.out.String())
			}
			continue
		}
		want := nothingRead
		if args == "restore" {
			want = strings.Replace(want, "rows", "items", 1)
		}
		p.ends(0, want, "warning: standard input"+failed)
	}

	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pair[0])
	end := os.NewFile(uintptr(pair[1]), "socket")
	defer end.Close()
	start(t, path, func(c *exec.Cmd) { c.Stdin = end }).ends(0, nothingRead, "warning: standard input"+failed)

	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "rows.csv")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, path, func(c *exec.Cmd) { inShell(t, c, "cd "+dir+"; : >fifo & exec client rows.csv fifo") }).ends(0, nothingRead,
		"note: rows.csv is empty\nwarning: fifo"+failed)
	start(t, path, nil, "load", "/dev/null").ends(0, nothingRead, "")
	start(t, path, nil).ends(0, nothingRead, "") // standard input is /dev/null
	master, terminal := pty(t)
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = terminal })
	if _, err := master.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	p.ends(0, nothingRead, "reading rows from the terminal; end them with ^D at the beginning of a line\n")

	// A load that was complete when it was resumed has nothing to read, and a failed one may have read nothing.
	start(t, answering(t, door.Reply{Load: &door.Load{Resumed: 2, ResumedBytes: 9}}), nil, "--resume", file).ends(0,
		strings.TrimSuffix(nothingRead, "\n")+", after 2 lines of an earlier load\n", "")
	runWith(t, answering(t, door.Reply{Error: &door.Error{Code: door.CodeRead, Message: "no", Load: &door.Load{}}}), "").ends(1, nothingRead, "error: standard input: no\n")
	// The dump of a program that failed is not complete, for this reason.
	runWith(t, answering(t, door.Reply{Load: &door.Load{Incomplete: true}}), "", "restore").ends(1, strings.Replace(nothingRead, "rows", "items", 1), "warning: standard input"+failed+
		"error: the dump is not complete: what is there of it is stored, its end is missing\nhint: take another dump; it is complete when its last line is mn\n")
}

// Fewer rows than expected have a status of their own, which says more than that of rejected ones.
func TestExpectRows(t *testing.T) {
	dir, path := files(t, map[string]string{"a.tsv": "a\t1\nb\t2\n", "b.tsv": "c\t3\nd\n"})
	const hint = "hint: see whether the program that wrote them has failed; in a shell, set -o pipefail shows it\n"
	counts := "4 rows read: 3 stored, 1 rejected, 0 skipped (14 B in 0.00 s)\n"
	start(t, path, in(dir), "--expect-rows", "5", "a.tsv", "b.tsv").ends(5, counts,
		"b.tsv:2: "+noTab+"\nerror: too few rows: 4 were read, and --expect-rows says at least 5\n"+hint)
	for _, enough := range []string{"4", "3"} {
		start(t, path, in(dir), "load", "--expect-rows", enough, "a.tsv", "b.tsv").ends(3, counts, "b.tsv:2: "+noTab+"\n")
	}
	start(t, path, in(dir), "restore", "--expect-rows=3", "a.tsv").ends(5, "2 items read: 2 stored, 0 rejected, 0 skipped (8 B in 0.00 s)\n",
		"error: too few rows: 2 were read, and --expect-rows says at least 3\n"+hint)

	p := start(t, path, in(dir), "--json", "--expect-rows", "3", "a.tsv")
	p.Wait()
	var got document
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || p.ProcessState.ExitCode() != 5 || got.Rows != 2 ||
		got.Error != "too few rows: 2 were read, and --expect-rows says at least 3" {
		t.Errorf("%v, %s, %+v", err, p.ProcessState, got)
	}

	// Of a resumed load, the lines of the earlier one count; a load that failed says only that.
	resumed := answering(t, door.Reply{Load: &door.Load{Rows: 1, Stored: 1, Resumed: 2, ResumedBytes: 9}})
	start(t, resumed, in(dir), "--resume", "--expect-rows", "3", "a.tsv").ends(0, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s), after 2 lines of an earlier load\n", "")
	broken := serve(t, func(c *door.Call, _ door.Request) {
		io.Copy(io.Discard, c.Input)
		c.Finish(door.Reply{Error: &door.Error{Code: door.CodeRead, Message: "no", Load: &door.Load{Rows: 1, Stored: 1}}})
	})
	start(t, broken, in(dir), "--expect-rows", "3", "a.tsv").ends(1, "1 row read: 1 stored, 0 rejected, 0 skipped (0 B in 0.00 s)\n", "error: a.tsv: no\n")
}

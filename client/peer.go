package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"memcached-backdoor/preload/door"
)

// peer is the process that serves the door (proc(5)); 0: unknown.
type peer int

// peerOf is the process, if it still exists: with -d memcached's process is another one than that which
// made the door.
func peerOf(pid int32) peer {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); pid <= 0 || err != nil {
		return 0
	}
	return peer(pid)
}

// name is the process in a message, after "memcached".
func (p peer) name() string {
	if p == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", int(p))
}

// stopped is the reason why the process does not run, for the end of a message; "": it runs.
func (p peer) stopped() string {
	switch state, _, _ := strings.Cut(p.field("status", "State:"), " "); state {
	case "T":
		return ": it is stopped (SIGSTOP)"
	case "t":
		return ": a debugger has stopped it"
	case "Z", "X":
		return ": it has ended, and its parent does not take notice"
	}
	return ""
}

// crowded is the reason why the process cannot create a thread, for the end of a message; "": it can
// (getrlimit(2): RLIMIT_NPROC, which does not apply to root).
func (p peer) crowded() string {
	user := p.user()
	limits := strings.Fields(p.field("limits", "Max processes "))
	if user == "" || user == "0" || len(limits) == 0 {
		return ""
	}
	most, err := strconv.Atoi(limits[0])
	if err != nil {
		return "" // unlimited
	}
	threads := 0
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if other := peer(pid); other.user() == user {
			n, _ := strconv.Atoi(other.field("status", "Threads:"))
			threads += n
		}
	}
	if threads < most {
		return ""
	}
	return fmt.Sprintf(": its user has %s, and may have no more than %d (prlimit --nproc)", door.Count(uint64(threads), "thread"), most)
}

// user is its real user ID, "" if unknown.
func (p peer) user() string {
	user, _, _ := strings.Cut(p.field("status", "Uid:"), "\t")
	return user
}

// field is what follows a name at the beginning of a line of /proc/PID/file, "" if unknown.
func (p peer) field(file, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", int(p), file))
	if p == 0 || err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

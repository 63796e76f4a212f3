package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statusField is a number of /proc/…/status.
func statusField(path, name string) (float64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strconv.ParseFloat(strings.Fields(value)[0], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// memory is a process's VmRSS or VmHWM, in MB.
func memory(pid int, name string) (float64, error) {
	kilobytes, err := statusField(fmt.Sprintf("/proc/%d/status", pid), name)
	return kilobytes * 1024 / 1e6, err
}

// switches counts how often any thread of a process has been switched to and from.
func switches(pid int) (float64, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var all float64
	for _, path := range threads {
		for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := statusField(path, name)
			if err != nil {
				return 0, err
			}
			all += n
		}
	}
	return all, nil
}

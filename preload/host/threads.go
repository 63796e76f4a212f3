package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Threads are the names of this process's threads (proc_pid_comm(5)). After an error some may be missing.
func Threads() ([]string, error) {
	const tasks = "/proc/self/task"
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name, err := os.ReadFile(filepath.Join(tasks, entry.Name(), "comm"))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH): // it has ended
		case err != nil:
			return nil, err
		default:
			names = append(names, strings.TrimSuffix(string(name), "\n"))
		}
	}
	return names, nil
}

package door

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// DefaultPath is the default path of the door.
	DefaultPath = "/var/run/memcached_backdoor"

	// PathVariable is the environment variable with the path of the door, for
	// the library and for the client.
	PathVariable = "MEMCACHED_BACKDOOR"
)

// Path returns the path of the door for a client: $MEMCACHED_BACKDOOR if that is
// set and not empty; else [DefaultPath]; or, if that does not exist and
// $XDG_RUNTIME_DIR/memcached_backdoor does, the latter: a memcached that
// may not write to /var/run makes its door there.
func Path() string { return pathOr(DefaultPath) }

func pathOr(standard string) string {
	if path := os.Getenv(PathVariable); path != "" {
		return path
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return standard
	}
	if _, err := os.Lstat(standard); !errors.Is(err, fs.ErrNotExist) {
		return standard
	}
	own := filepath.Join(dir, filepath.Base(standard))
	if _, err := os.Lstat(own); err != nil {
		return standard
	}
	return own
}

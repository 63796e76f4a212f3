package door

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// DefaultPath is where the door is unless something else is said.
	DefaultPath = "/var/run/memcached_backdoor"

	// PathVariable names the environment variable that says where the door
	// is, to the library and to the client.
	PathVariable = "MEMCACHED_BACKDOOR"
)

// Path returns where a client finds the door: $MEMCACHED_BACKDOOR if that is
// set and not empty; else [DefaultPath]; but if nothing is there, and
// $XDG_RUNTIME_DIR/memcached_backdoor exists, that, because a memcached that
// may not write to /var/run puts its door there.
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

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// A stripped memcached whose symbols were put aside is of the route debug, whichever way that was done.
func TestDebug(t *testing.T) {
	t.Parallel()
	for way, prepare := range map[string]func(t *testing.T, s *server){
		"build ID":   knownByBuildID,
		"debug link": linkedTo,
		"debug data": withDebugData,
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, built(t, "hosts/stock/memcached"))
			prepare(t, s)
			if os.Geteuid() == 0 {
				s.user = "nobody" // who then reads the debug file
			}
			s.start()
			if status := s.waitDoor(); status.Route != "debug" {
				t.Errorf("route %q\n%s", status.Route, s.output.String())
			}
			const n = 20_000
			if _, stderr, status := s.client(rowsOf("k", n)); status != 0 {
				t.Fatalf("status %d: %s", status, stderr)
			}
			readBack(t, s, "k", n, plain)
		})
	}
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// debugFile puts the symbols of the host that has some into a file of their own.
func debugFile(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	tool(t, "objcopy", "--only-keep-debug", built(t, "hosts/symtab/memcached"), path)
}

// knownByBuildID has the debug file in the global directory: in a private one, which only this memcached sees.
func knownByBuildID(t *testing.T, s *server) {
	const global = "/usr/lib/debug"
	id := buildID(t, s.program)
	debugFile(t, filepath.Join(s.dir, ".build-id", id[:2], id[2:]+".debug"))
	s.wrap = []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" ` + global + ` && exec "$@"`, s.dir}
	if out, err := exec.Command(s.wrap[0], append(s.wrap[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted on %s: %s", global, out)
	}
}

func linkedTo(t *testing.T, s *server) {
	program, debug := filepath.Join(s.dir, "program"), filepath.Join(s.dir, ".debug", "memcached.debug")
	debugFile(t, debug)
	tool(t, "objcopy", "--remove-section", ".gnu_debuglink", s.program, program)
	tool(t, "objcopy", "--add-gnu-debuglink="+debug, program)
	s.program = program
}

func withDebugData(t *testing.T, s *server) {
	program, debug := filepath.Join(s.dir, "program"), filepath.Join(s.dir, "debug")
	debugFile(t, debug)
	tool(t, "xz", debug)
	tool(t, "objcopy", "--add-section", ".gnu_debugdata="+debug+".xz", s.program, program)
	s.program = program
}

// buildID is a program's, as binutils reads it.
func buildID(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command("readelf", "--notes", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`Build ID: ([0-9a-f]{4,})`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("%s has no build ID", program)
	}
	return string(found[1])
}

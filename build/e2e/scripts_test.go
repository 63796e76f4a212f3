package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts holds what the client prints, and its exit statuses, with a memcached that serves the door: each script
// starts one.
func TestScripts(t *testing.T) {
	t.Parallel()
	client := built(t, "client")
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/scripts",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := start(t, stock(t), "-m", "8")
			env.Values[serverOf{}] = s
			env.Setenv("MEMCACHED_BACKDOOR", s.door)
			env.Setenv("PATH", filepath.Dir(client)+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"holds": holds,
		},
	})
}

type serverOf struct{}

// exits runs a command that is to end with a status: exits 3 client load FILE.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("exits says with which status")
	}
	script := fmt.Sprintf(`"$@"; status=$?; test $status = %s || { echo "exit status $status" >&2; exit 1; }`, args[0])
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "sh"}, args[1:]...)...))
}

// holds sees to it that memcached has a value, or, with !, that it has not the key: holds KEY VALUE.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	item, err := ts.Value(serverOf{}).(*server).cache().Get(args[0])
	switch {
	case neg && err == nil:
		ts.Fatalf("%s is there: %.60q", args[0], item.Value)
	case neg:
	case err != nil:
		ts.Fatalf("get %s: %v", args[0], err)
	case string(item.Value) != args[1]:
		ts.Fatalf("get %s: %.60q, want %q", args[0], item.Value, args[1])
	}
}

package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// directoryOf makes a directory for a server with a socket. It is not t.TempDir: a socket's path has 107 bytes at most.
func directoryOf(t testing.TB, server string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcbd-"+server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serveDatabase starts a database's server and waits until it is ready. It ends with the test, by a signal that makes it
// give back what it has outside of its directory.
func serveDatabase(t *testing.T, name string, server *exec.Cmd, end syscall.Signal, ready func() error) {
	t.Helper()
	var output log
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		server.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		server.Process.Signal(end)
		select {
		case <-ended:
		case <-time.After(waitLimit):
			server.Process.Kill()
			<-ended
		}
	})
	wait(t, name, func() error {
		select {
		case <-ended:
			t.Fatalf("%s ended\n%s", name, output.String())
		default:
		}
		return ready()
	})
}

package cache

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// kill kills a child, and leaves alone a process that is not a child: it may have the pid of a former one.
func TestKill(t *testing.T) {
	child := exec.Command("cat")
	_, err := child.StdinPipe()
	if err := errors.Join(err, child.Start()); err != nil {
		t.Fatal(err)
	}
	kill(child.Process.Pid)
	child.Wait()
	if status := child.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("the child ended with %v", child.ProcessState)
	}

	fromUs, toStranger, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromStranger, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer fromStranger.Close()
	shell := exec.Command("sh", "-c", "cat <&3 >&4 2>&1 & echo $!")
	shell.ExtraFiles = []*os.File{fromUs, toUs}
	output, err := shell.Output()
	fromUs.Close()
	toUs.Close()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		t.Fatal(err)
	}
	kill(stranger)
	_, err = io.WriteString(toStranger, "alive")
	toStranger.Close() // the stranger exits
	if answer, readErr := io.ReadAll(fromStranger); string(answer) != "alive" {
		t.Errorf("the stranger answers %q (%v, %v)", answer, err, readErr)
	}
}

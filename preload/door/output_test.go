package door

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What is written goes to the end of what is there, and an error says what was written before it.
func TestOutput(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rejects")
	f := openAs(t, name, os.O_CREATE|os.O_WRONLY)
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := pair(t)
	o, err := newOutput(fd, factsOf(fd), c)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if !o.Empty() {
		t.Error("a new file is not empty")
	}
	for _, s := range []string{"a\n", "", "b\n"} {
		if n, err := o.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("wrote %d of %q, %v", n, s, err)
		}
	}
	if data, err := os.ReadFile(name); string(data) != "a\nb\n" || err != nil {
		t.Errorf("the file has %q, %v", data, err)
	}
	if o.Empty() {
		t.Error("a file with rows is empty")
	}
	if err := errors.Join(o.close(), o.close()); err != nil {
		t.Error(err)
	}
	if _, err := o.Write([]byte("c\n")); !errors.Is(err, unix.EBADF) {
		t.Errorf("writing after the end: %v", err)
	}
}

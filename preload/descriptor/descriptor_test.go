package descriptor

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The file's flags stay, and a closed file has no descriptor.
func TestWith(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	flags := func() (flags int) {
		if err := With(r, func(fd int) { flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0) }); err != nil {
			t.Fatal(err)
		}
		return flags
	}
	for range 2 {
		if flags := flags(); flags&unix.O_NONBLOCK == 0 {
			t.Errorf("the flags are %#x", flags)
		}
	}
	r.Close()
	if err := With(r, func(int) { t.Error("called") }); err == nil {
		t.Error("a closed file has a descriptor")
	}
}

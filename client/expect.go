package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"memcached-backdoor/preload/door"
)

// expecting is what a load is told of its input.
type expecting struct {
	ExpectRows rowCount `group:"Input:" placeholder:"NUMBER" help:"Fail if fewer rows than this are read from all files together: the input was cut off, or was empty. What was read is stored all the same. Of a load that is resumed, the lines of the earlier one count."`
}

// rowCount is a number of rows, from 1; 0: not set.
type rowCount uint64

// UnmarshalText reads a number from 1.
func (n *rowCount) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of rows: 1 or more", text)
	}
	*n = rowCount(count)
	return nil
}

// errTooFew ends a load that has read fewer rows than it was to.
var errTooFew = errors.New("too few rows")

// tooFew is the error of a load that has read fewer rows than expected; nil: it has not.
func (o *outcome) tooFew(expected rowCount) error {
	read := o.total.Rows + o.total.Resumed
	if read >= uint64(expected) {
		return nil
	}
	return fmt.Errorf("%w: %d were read, and --expect-rows says at least %d", errTooFew, read, uint64(expected))
}

// warnEmpty says that a source had no bytes. The program before a pipe may have failed, of which the shell says
// nothing; a file may be that of an export that has failed. /dev/null is empty on purpose, and so is a terminal at
// which ^D was all that was typed.
func (s *source) warnEmpty(w io.Writer, counts *door.Load) {
	if counts.Bytes > 0 || counts.Rows > 0 || counts.ResumedBytes > 0 || counts.Canceled {
		return
	}
	sayEmpty(w, s.name, cmp.Or(s.from, s.file))
}

func sayEmpty(w io.Writer, name string, file *os.File) {
	info, err := file.Stat()
	if err != nil {
		return
	}
	switch info.Mode().Type() {
	case fs.ModeNamedPipe, fs.ModeSocket:
		fmt.Fprintf(w, "warning: %s was empty: the program before the pipe may have failed (set -o pipefail)\n", name)
	case 0:
		fmt.Fprintf(w, "note: %s is empty\n", name)
	}
}

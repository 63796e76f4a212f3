package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"memcached-backdoor/client/unpack"
	"memcached-backdoor/preload/descriptor"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// source is one input of a load.
type source struct {
	name string
	file *os.File

	// start is the file's offset at which the input begins.
	start int64

	// rows is the number of its rows; 0: unknown.
	rows uint64

	// from is what the client reads itself: a terminal, or packed bytes. file is a pipe
	// then, into which it writes rows; nil: memcached reads file.
	from *os.File

	// packed is how the bytes of from are packed; None: they are not.
	packed unpack.Kind

	// taken is how many of them have been read.
	taken atomic.Uint64

	// copied receives the error of reading from, just before file ends.
	copied chan error
}

// openSources opens the files of the command line; none: standard input. It opens
// all of them or fails. They stay open until the process ends.
func openSources(names []string) ([]*source, error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	var sources []*source
	standard := false
	for _, name := range names {
		if name == "-" {
			if standard {
				return nil, usageError{errors.New("standard input (-) can be read only once")}
			}
			standard = true
		}
		s, err := openSource(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func openSource(name string) (*source, error) {
	file := os.Stdin
	if name == "-" {
		name = "standard input"
	} else {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, fileError(name, err)
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fileError(name, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", name)
	}
	s := &source{name: name, file: file}
	if info.Mode().IsRegular() {
		if s.start, err = file.Seek(0, io.SeekCurrent); err != nil {
			return nil, fileError(name, err)
		}
	}
	return s, nil
}

// size is the number of bytes to read after the done bytes of an earlier load, if the source is
// a regular file: of its present length.
func (s *source) size(done uint64) (size uint64, known bool) {
	if s.file == nil {
		return 0, false // of a dump
	}
	info, err := cmp.Or(s.from, s.file).Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return uint64(max(info.Size()-s.start-int64(done), 0)), true
}

// walked estimates the number of the cache's items by those of the part, from 0 to 1, that was walked through; 0: it is not
// known.
func (s *source) walked(items uint64, part float64) {
	if part > 0 {
		s.rows = uint64(float64(items) / part)
	}
}

// progress is the counts with the bytes of the source as they are, of which size is the number.
func (s *source) progress(counts *door.Load) *door.Load {
	if s.packed == unpack.None {
		return counts
	}
	taken := *counts
	taken.Bytes = s.taken.Load()
	return &taken
}

// format is the format that follows from the file extension, without that of a compressed
// file; "": unknown.
func (s *source) format() record.Format {
	if format, ok := record.FormatOf(s.name); ok {
		return format
	}
	return ""
}

// fileError is an error with the file's name as the user wrote it.
func fileError(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// unpackError is an error of package unpack, or of reading for it, with its hint.
func unpackError(name string, err error) error {
	if known, ok := errors.AsType[*unpack.Error](err); ok {
		return hintError{fileError(name, known), known.Hint}
	}
	return fileError(name, err)
}

// prepare makes the source ready to be passed. A terminal cannot be passed: only a
// process in its foreground may read it, and memcached is in none. The client reads
// it, and packed bytes, and passes a pipe instead. It waits for the first bytes.
func (s *source) prepare() error {
	terminal, err := readsTerminal(s.file, "rows", "them")
	if err != nil {
		return err
	}
	if terminal {
		return s.copy(func(w io.Writer) error { _, err := io.Copy(w, s.from); return err })
	}
	if s.packed, err = unpack.Look(s.file); err != nil {
		return fileError(s.name, err)
	}
	if s.packed == unpack.None {
		widen(s.file, pipeSize)
		return nil
	}
	return s.copy(s.unpack)
}

// allows returns the reason for which a request cannot be made of packed bytes, if there is one.
func (s *source) allows(request *door.Request) error {
	option := ""
	switch {
	case s.packed == unpack.None:
		return nil
	case request.Resume:
		option = "--resume"
	case request.Detach:
		option = "--detach"
	default:
		return nil
	}
	return hintError{fmt.Errorf("%s: %s needs a file that memcached reads itself, and this one is %s, which the client unpacks", s.name, option, s.packed),
		"make a plain file of it first, and load that"}
}

// copy puts a pipe in the place of the file, into which the function that is passed writes what it
// makes of it.
func (s *source) copy(write func(w io.Writer) error) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	widen(r, pipeSize)
	s.from, s.file, s.copied = s.file, r, make(chan error, 1)
	go func() {
		s.copied <- write(w)
		w.Close()
	}()
	return nil
}

// unpack writes the plain bytes of packed ones.
func (s *source) unpack(w io.Writer) error {
	plain, err := unpack.NewReader(s.packed, s)
	if err != nil {
		return err
	}
	defer plain.Close()
	return unpack.CopyLines(w, plain)
}

// Read reads packed bytes.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.taken.Add(uint64(n))
	return n, err
}

// pipeSize is the largest size in bytes that every user may set by default (pipe(7): pipe-max-size).
const pipeSize = 1 << 20

// widen sets the size of a pipe to that many bytes (default: 64 KB), so that its writer
// and memcached wait for each other less often. A file that is not a pipe stays as it is,
// and so does a pipe if that size is not allowed.
func widen(f *os.File, to int) {
	_ = descriptor.With(f, func(fd int) {
		// F_SETPIPE_SZ would shrink a larger one.
		if size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil && size < to {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, to)
		}
	})
}

// sent is called after the source was passed. It closes the pipe of what the client reads, which
// only memcached holds then: the copying ends when memcached closes it.
func (s *source) sent() {
	if s.from != nil {
		s.file.Close()
	}
}

// failed returns the error of what the client reads itself, if there is one.
func (s *source) failed() error {
	select {
	case err := <-s.copied:
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			return unpackError(s.name, err)
		}
	default:
	}
	return nil
}

func isTerminal(f *os.File) (bool, error) {
	terminal := false
	err := descriptor.With(f, func(fd int) {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		terminal = err == nil
	})
	return terminal, err
}

// readsTerminal reports whether the client reads a terminal, and says so there: what it reads, and which pronoun that has.
func readsTerminal(f *os.File, what, pronoun string) (bool, error) {
	terminal, err := isTerminal(f)
	if terminal {
		fmt.Fprintf(os.Stderr, "reading %s from the terminal; end %s with ^D at the beginning of a line\n", what, pronoun)
	}
	return terminal, err
}

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

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

	// copied receives the error of copying a terminal into file, just before file
	// ends; nil: the input is not a terminal.
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
	info, err := s.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return uint64(max(info.Size()-s.start-int64(done), 0)), true
}

// format is the format that follows from the file extension; "": unknown.
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

// prepare makes the source ready to be passed. A terminal cannot be passed: only a
// process in its foreground may read it, and memcached is in none. The client reads
// it, into a pipe, and passes the pipe.
func (s *source) prepare() error {
	terminal, err := isTerminal(s.file)
	if err != nil {
		return err
	}
	if !terminal {
		widen(s.file, pipeSize)
		return nil
	}
	fmt.Fprintln(os.Stderr, "reading rows from the terminal; end them with ^D at the beginning of a line")
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	from := s.file
	s.file, s.copied = r, make(chan error, 1)
	go func() {
		_, err := io.Copy(w, from)
		s.copied <- err
		w.Close()
	}()
	return nil
}

// pipeSize is the largest size in bytes that every user may set by default (pipe(7): pipe-max-size).
const pipeSize = 1 << 20

// widen sets the size of a pipe to that many bytes (default: 64 KB), so that its writer
// and memcached wait for each other less often. A file that is not a pipe stays as it is,
// and so does a pipe if that size is not allowed.
func widen(f *os.File, to int) {
	_ = onDescriptor(f, func(fd int) {
		// F_SETPIPE_SZ would shrink a larger one.
		if size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil && size < to {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, to)
		}
	})
}

// sent is called after the source was passed. It closes the pipe of a terminal, which only
// memcached holds then: the copying ends when memcached closes it.
func (s *source) sent() {
	if s.copied != nil {
		s.file.Close()
	}
}

// failed returns the error of copying a terminal, if there is one.
func (s *source) failed() error {
	select {
	case err := <-s.copied:
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			return fileError(s.name, err)
		}
	default:
	}
	return nil
}

func isTerminal(f *os.File) (bool, error) {
	terminal := false
	err := onDescriptor(f, func(fd int) {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		terminal = err == nil
	})
	return terminal, err
}

// onDescriptor calls a function with the descriptor of f. Unlike f.Fd it does not change
// O_NONBLOCK, which f may share with other processes.
func onDescriptor(f *os.File, call func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { call(int(fd)) })
}

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

	// rows is how many rows it makes, 0 if nobody knows.
	rows uint64

	// copied gets the error of copying a terminal into file, just before file
	// ends; nil for every other input.
	copied chan error
}

// openSources opens what the command line names; nothing means standard input.
// It opens everything or fails.
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

// size is how many bytes there are to be read behind those that an earlier load had done
// with, if that is known: of a regular file, as long as it is now.
func (s *source) size(done uint64) (size uint64, known bool) {
	if s.file == nil {
		return 0, false // it is a dump's
	}
	info, err := s.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return uint64(max(info.Size()-s.start-int64(done), 0)), true
}

// format is what the source's name says of its rows, "" if that is nothing.
func (s *source) format() record.Format {
	if format, ok := record.FormatOf(s.name); ok {
		return format
	}
	return ""
}

// fileError names the file as the user did.
func fileError(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// prepare makes the source ready for being passed. A terminal cannot be: only
// a process in its foreground may read it, and memcached is not one. So the
// client reads it, into a pipe, and passes the pipe.
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

// pipeSize is what every user may ask for by default (pipe(7): pipe-max-size).
const pipeSize = 1 << 20

// widen makes a pipe hold so many bytes, of 64 KB that it has by default: so its
// writer and memcached wait for each other less often. Anything that is no pipe, or
// may not be one as large, stays as it is.
func widen(f *os.File, to int) {
	_ = onDescriptor(f, func(fd int) {
		// The same call would make a larger one smaller.
		if size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil && size < to {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, to)
		}
	})
}

// sent is called when the source has been passed. The pipe of a terminal is
// memcached's alone from then on, so that the copying ends when it closes it.
func (s *source) sent() {
	if s.copied != nil {
		s.file.Close()
	}
}

// failed returns why the input ended before its time, if it did.
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

// onDescriptor calls a function with the descriptor of f. Unlike f.Fd it leaves
// O_NONBLOCK as it is, which f may share with other processes.
func onDescriptor(f *os.File, call func(fd int)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { call(int(fd)) })
}

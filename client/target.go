package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"memcached-backdoor/preload/door"
)

// target is where a dump goes: standard output, or a file that gets its name when it is complete.
type target struct {
	standard bool
	name     string   // "": it has its name already
	file     *os.File // what is written

	// Where it is the client that reads, memcached writes into a pipe.
	pipe *os.File
	read chan error
}

// openTarget opens what is to be written. A file is one beside its name until it is complete.
func openTarget(name string) (*target, error) {
	if name == "" || name == "-" {
		return standardTarget()
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", name)
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe: there is nothing to be replaced
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, fileError(name, err)
		}
		return &target{file: file}, nil
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, fileError(name, err)
	}
	return &target{name: name, file: file}, nil
}

func standardTarget() (*target, error) {
	t := &target{standard: true, file: os.Stdout}
	info, err := os.Stdout.Stat()
	if err != nil {
		return nil, fileError("standard output", err)
	}
	if m := info.Mode(); m.IsRegular() || m&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		widen(os.Stdout, pipeSize)
		return t, nil
	}
	// memcached does not write to it, be it a terminal: the client does.
	t, err = pipeTarget(func(r io.Reader) error {
		if _, err := io.Copy(os.Stdout, r); err != nil && !errors.Is(err, syscall.EPIPE) {
			return fileError("standard output", err)
		}
		return nil
	})
	if err == nil {
		t.standard = true
	}
	return t, err
}

// pipeTarget is what a function reads, beside the caller. When it returns, memcached cannot write
// any more.
func pipeTarget(read func(io.Reader) error) (*target, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	widen(w, pipeSize)
	t := &target{pipe: w, read: make(chan error, 1)}
	go func() {
		err := read(r)
		r.Close()
		t.read <- err
	}()
	return t, nil
}

// passed is the file that memcached writes.
func (t *target) passed() *os.File {
	if t.pipe != nil {
		return t.pipe
	}
	return t.file
}

// sent is called when the target has been passed: a pipe's end for writing is memcached's alone
// from then on.
func (t *target) sent() {
	if t.pipe != nil {
		t.pipe.Close()
	}
}

// finish ends the writing, after err, and the reading of a pipe, unless the user does not wait. A
// complete file gets its name, once its bytes are on the disk; what is not complete is removed.
func (t *target) finish(err error) error {
	switch {
	case t.pipe != nil:
		return t.finishPipe(err)
	case t.standard:
		return err
	case t.name == "":
		return errors.Join(err, t.file.Close())
	}
	if err == nil {
		err = t.publish()
	}
	t.file.Close()
	if err != nil {
		os.Remove(t.file.Name())
	}
	return err
}

func (t *target) finishPipe(err error) error {
	t.pipe.Close()
	if interrupted(err) {
		return err // memcached may still hold the pipe, and the reader be held up by its own output
	}
	read := <-t.read
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite && read != nil {
		return read // this is why nobody took what memcached wrote
	}
	return cmp.Or(err, read)
}

func (t *target) publish() error {
	if err := t.file.Sync(); err != nil {
		return fileError(t.name, err)
	}
	if err := os.Rename(t.file.Name(), t.name); err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err
		}
		return fmt.Errorf("%s: %w", t.name, err)
	}
	// The name, too, is to survive a crash.
	dir, err := os.Open(filepath.Dir(t.name))
	if err != nil {
		return fileError(filepath.Dir(t.name), err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fileError(filepath.Dir(t.name), err)
	}
	return nil
}

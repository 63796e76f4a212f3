package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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
	if err == nil && !info.Mode().IsRegular() { // such as a named pipe: there is nothing to be replaced
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, fileError(name, err)
		}
		t := &target{file: file}
		return t, t.connect()
	}
	file, err := unnamed(filepath.Dir(name))
	if err != nil {
		return nil, fileError(name, err)
	}
	return &target{name: name, file: file}, nil
}

// unnamed makes a file in a directory. It has no name, so that nothing stays of it whatever ends the
// client, where the file system can do that (open(2): O_TMPFILE).
func unnamed(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return os.CreateTemp(dir, ".dump.*")
	}
	return file, err
}

// beside gives the file a name beside the one that it is to have, and returns it.
func (t *target) beside() (string, error) {
	if t.file.Name() != filepath.Dir(t.name) {
		return t.file.Name(), nil
	}
	var err error
	for range 100 { // as many as are tried of names that are random
		name := filepath.Join(filepath.Dir(t.name), fmt.Sprintf(".dump.%08x", rand.Uint32()))
		from := fmt.Sprintf("/proc/self/fd/%d", t.file.Fd())
		if err = unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); !errors.Is(err, unix.EEXIST) {
			return name, err
		}
	}
	return "", err
}

func standardTarget() (*target, error) {
	t := &target{standard: true, file: os.Stdout}
	return t, t.connect()
}

// connect makes a pipe where the file is nothing that memcached writes to.
func (t *target) connect() error {
	info, err := t.file.Stat()
	if err != nil {
		return fileError(t.called(), err)
	}
	if m := info.Mode(); m.IsRegular() || m&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		widen(t.file, pipeSize)
		return nil
	}
	// memcached does not write to it, be it a terminal: the client does.
	return t.connectPipe(func(r io.Reader) error {
		if _, err := io.Copy(t.file, r); err != nil && !errors.Is(err, unix.EPIPE) {
			return fileError(t.called(), err)
		}
		return nil
	})
}

// pipeTarget is what a function reads, beside the caller. When it returns, memcached cannot write
// any more.
func pipeTarget(read func(io.Reader) error) (*target, error) {
	t := &target{}
	return t, t.connectPipe(read)
}

func (t *target) connectPipe(read func(io.Reader) error) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	widen(w, pipeSize)
	t.pipe, t.read = w, make(chan error, 1)
	go func() {
		err := read(r)
		r.Close()
		t.read <- err
	}()
	return nil
}

// called is what a message calls it.
func (t *target) called() string {
	switch {
	case t.standard:
		return "standard output"
	case t.name != "":
		return t.name
	case t.file != nil:
		return t.file.Name()
	}
	return "the cache" // what is read from a pipe of the client's own
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
// kept says that what memcached has written is there, be it complete or not.
func (t *target) finish(err error) (kept bool, _ error) {
	switch {
	case t.pipe != nil:
		kept, err = t.finishPipe(err)
		if t.file != nil && !t.standard && !abandoned(err) {
			err = errors.Join(err, t.file.Close())
		}
		return kept, err
	case t.standard:
		return t.finishStandard(err)
	case t.name == "":
		return true, errors.Join(err, t.file.Close())
	}
	if err == nil {
		err = t.publish()
	} else if t.file.Name() != filepath.Dir(t.name) {
		os.Remove(t.file.Name())
	}
	t.file.Close()
	return err == nil, err
}

// finishStandard sees to it that the bytes of a file are on the disk, which may have no room for them
// although it has taken them (fsync(2)). An interrupted client does not wait for a disk.
func (t *target) finishStandard(err error) (kept bool, _ error) {
	if info, statErr := t.file.Stat(); statErr == nil && info.Mode().IsRegular() && !interrupted(err) {
		if syncErr := t.file.Sync(); syncErr != nil {
			return false, cmp.Or(err, fileError(t.called(), syncErr))
		}
	}
	return true, err
}

func (t *target) finishPipe(err error) (kept bool, _ error) {
	t.pipe.Close()
	if abandoned(err) {
		return false, err // memcached may still hold the pipe, and the reader be held up by its own output
	}
	read := <-t.read
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite && read != nil {
		return false, read // this is why nobody took what memcached wrote
	}
	return read == nil, cmp.Or(err, read)
}

// abandoned says that a call ended and memcached may not know it yet.
func abandoned(err error) bool {
	return interrupted(err) || errors.Is(err, errSilent) || errors.Is(err, errUnfinished)
}

func (t *target) publish() error {
	if err := t.file.Sync(); err != nil {
		return fileError(t.name, err)
	}
	name, err := t.beside()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if err := os.Rename(name, t.name); err != nil {
		os.Remove(name)
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

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

	"memcached-backdoor/preload/descriptor"
	"memcached-backdoor/preload/door"
)

// target is the output of a dump: standard output, or a file that gets its name when it is complete.
type target struct {
	standard bool
	name     string   // the name that it gets; "": it has one
	file     *os.File // what is written; nil: pipe is read by a function

	// If the client reads what memcached writes: the pipe between them, and the reader's error.
	pipe *os.File
	read chan error
}

// openTarget opens the target, which finish ends. A regular file is written in its directory, without
// a name or with a temporary one, until it is complete.
func openTarget(name string) (*target, error) {
	if name == "" || name == "-" {
		return standardTarget()
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", name)
	}
	if err == nil && !info.Mode().IsRegular() { // such as a named pipe: it is not replaced
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

// unnamed makes a file in a directory. It has no name if the file system supports that (open(2):
// O_TMPFILE), so that nothing of it stays, however the client ends.
func unnamed(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return os.CreateTemp(dir, ".dump.*")
	}
	return file, err
}

// temporaryName gives the file a temporary name in its directory, if it has none, and returns it.
func (t *target) temporaryName() (string, error) {
	if t.file.Name() != filepath.Dir(t.name) {
		return t.file.Name(), nil
	}
	var err error
	for range 100 { // random names
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

// connect makes a pipe if the file is of a kind to which memcached does not write, such as a terminal.
func (t *target) connect() error {
	info, err := t.file.Stat()
	if err != nil {
		return fileError(t.called(), err)
	}
	if m := info.Mode(); m.IsRegular() || m&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		widen(t.file, pipeSize)
		return nil
	}
	return t.connectPipe(func(r io.Reader) error {
		if _, err := io.Copy(t.file, r); err != nil && !errors.Is(err, unix.EPIPE) {
			return fileError(t.called(), err)
		}
		return nil
	})
}

// pipeTarget is a target that a function reads, in a goroutine. When the function returns, memcached
// can no longer write.
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

// called is its name in messages.
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

// passed is the file to which memcached writes.
func (t *target) passed() *os.File {
	if t.pipe != nil {
		return t.pipe
	}
	return t.file
}

// sent is called after the target was passed. It closes a pipe's end for writing, which only
// memcached holds then.
func (t *target) sent() {
	if t.pipe != nil {
		t.pipe.Close()
	}
}

// finish finishes the target after a call that ended with err. It waits for the reader of a pipe,
// unless the call was abandoned. A complete file gets its name when its bytes are on the disk; a
// truncated one is removed. kept says whether what memcached has written stays, complete or not.
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

// finishStandard flushes a regular file to the disk, which may have no room for it although write(2)
// succeeded (fsync(2)). An interrupted client does not wait for a disk. If memcached could not write because a pipe has no
// reader any more, the client ends as programs do that write themselves: by SIGPIPE, without a word.
func (t *target) finishStandard(err error) (kept bool, _ error) {
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite && unread(t.file) {
		_, _ = t.file.Write([]byte("\n")) // the Go runtime raises the signal (os/signal: SIGPIPE)
	}
	if info, statErr := t.file.Stat(); statErr == nil && info.Mode().IsRegular() && !interrupted(err) {
		if syncErr := t.file.Sync(); syncErr != nil {
			return false, cmp.Or(err, fileError(t.called(), syncErr))
		}
	}
	return true, err
}

// unread reports whether a pipe or a socket has no reader any more (poll(2)).
func unread(f *os.File) bool {
	gone := false
	_ = descriptor.With(f, func(fd int) {
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(set, 0)
		gone = err == nil && n > 0 && set[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return gone
}

func (t *target) finishPipe(err error) (kept bool, _ error) {
	t.pipe.Close()
	if abandoned(err) {
		return false, err // memcached may still hold the pipe, and the reader may be blocked by its output
	}
	read := <-t.read
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite && read != nil {
		return false, read // the reader failed first
	}
	return read == nil, cmp.Or(err, read)
}

// abandoned says whether a call has ended for the client, and may continue in memcached.
func abandoned(err error) bool {
	return interrupted(err) || errors.Is(err, errSilent) || errors.Is(err, errUnfinished)
}

func (t *target) publish() error {
	if err := t.file.Sync(); err != nil {
		return fileError(t.name, err)
	}
	name, err := t.temporaryName()
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
	// The name must survive a crash, too.
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

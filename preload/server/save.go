package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/startup"
)

// errLate ends a save that takes too long.
var errLate = errors.New("it takes too long (MEMCACHED_BACKDOOR_SAVE_LIMIT)")

// saveOnExit waits until memcached is told to end, saves the cache, and lets it end.
func (s *Server) saveOnExit() {
	defer rescue("saving: ")
	path, limit := startup.SaveFile(), startup.SaveLimit()
	if limit == 0 {
		startup.Say("MEMCACHED_BACKDOOR_SAVE_LIMIT is not a number of seconds from 1 on: the limit is 60 s")
		limit = time.Minute
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK); err != nil {
		startup.Say("the cache cannot be saved: %s: %v", filepath.Dir(path), err)
	} else if err := replaceable(path); err != nil {
		startup.Say("the cache cannot be saved: %s: %v", path, err)
	}
	if reason := s.engine.NeverDumps(); reason != "" {
		startup.Say("the cache cannot be saved: %s", reason)
	}
	startup.AwaitEnd()
	// memcached ends at the limit, also if a write to a disk never returns. What is logged is what came first: that, or the
	// end of the save.
	var logged sync.Once
	proceed := sync.OnceFunc(startup.ProceedToEnd)
	defer proceed()
	began := time.Now()
	timer := time.AfterFunc(limit, func() {
		logged.Do(func() { startup.Say("not saved: %s: %v", path, errLate) })
		proceed()
	})
	defer timer.Stop()
	saved, counts, err := s.save(path, began.Add(limit))
	logged.Do(func() { reportSave(saved, counts, err, time.Since(began)) })
	if err == nil {
		syncDirectory(filepath.Dir(saved))
	}
}

// syncDirectory has a file's name survive a crash, too. If that fails, the file is still there.
func syncDirectory(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}

// reportSave logs the outcome of a save.
func reportSave(path string, counts dump.Counts, err error, took time.Duration) {
	switch {
	case err != nil:
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", e.Op, e.Err) // without the path, of a file that is removed
		}
		if none, ok := errors.AsType[*engine.Unavailable](err); ok && none.Hint != "" {
			err = fmt.Errorf("%w; hint: %s", err, none.Hint)
		}
		startup.Say("not saved: %s: %v", path, err)
	case counts.Lost > 0:
		startup.Say("saved without %s that could not be read", door.Count(counts.Lost, "item"))
		fallthrough
	default:
		startup.Say("saved: %s in %s (%d bytes, %.2f s)", door.Count(counts.Written, "item"), path, counts.Bytes, took.Seconds())
	}
}

// save writes a dump to a file in the directory of path, and renames it to path when it is on the disk; or to the
// path that it returns.
func (s *Server) save(path string, deadline time.Time) (saved string, counts dump.Counts, err error) {
	select {
	case <-s.fixturesLoaded:
	default:
		return path, counts, errors.New("the fixtures are still being loaded")
	}
	if s.fixturesFailed(path) {
		path += "~" // the file that was not loaded is kept
		startup.Say("%s was not loaded, and is kept: the cache is saved in %s", startup.SaveFile(), path)
	}
	if err := replaceable(path); err != nil {
		return path, counts, err
	}
	source, err := s.engine.Source()
	if err != nil {
		return path, counts, err
	}
	// It may have been left by a memcached that was killed, or made by another user: the cache is not written into a
	// file with another owner and mode.
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return path, counts, err
	}
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return path, counts, err
	}
	defer file.Close()
	counts, err = dump.Dump(source, nil, punctual{file, deadline}, dump.Options{}, dump.Hooks{Fetch: source.Fetch})
	if err == nil {
		err = file.Sync()
	}
	if err == nil && !time.Now().Before(deadline) {
		err = errLate
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
	}
	return path, counts, err
}

// replaceable returns an error if path is there and is no regular file, which a rename would replace: a device, a pipe.
func replaceable(path string) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	return nil
}

// fixturesFailed reports whether there is a file at path, and fixtures were not loaded completely.
func (s *Server) fixturesFailed(path string) bool {
	s.mu.Lock()
	loaded := s.status.Fixtures
	s.mu.Unlock()
	if loaded == nil || loaded.Complete {
		return false
	}
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// punctual is a Writer that fails after a deadline.
type punctual struct {
	io.Writer
	deadline time.Time
}

func (w punctual) Write(p []byte) (int, error) {
	if !time.Now().Before(w.deadline) {
		return 0, errLate
	}
	return w.Writer.Write(p)
}

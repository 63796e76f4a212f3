package main

/*
const char *save_file(void);
int save_limit(void);
void save_await(void);
void save_done(void);
*/
import "C"

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
)

// errLate ends a save that takes too long.
var errLate = errors.New("it takes too long (MEMCACHED_BACKDOOR_SAVE_LIMIT)")

// saveFile is where the cache is saved, "" nowhere.
func saveFile() string {
	if path := C.GoString(C.save_file()); path != "" {
		return filepath.Clean(path)
	}
	return ""
}

// saveOnExit waits until memcached is told to end, saves the cache, and lets it end.
func (b *backdoor) saveOnExit() {
	defer rescue("saving: ")
	path, limit := saveFile(), time.Duration(C.save_limit())*time.Second
	if limit == 0 {
		say("MEMCACHED_BACKDOOR_SAVE_LIMIT is not a number of seconds, from 1: 60 are taken")
		limit = time.Minute
	}
	if err := unix.Access(filepath.Dir(path), unix.W_OK); err != nil {
		say("the cache cannot be saved: %s: %v", filepath.Dir(path), err)
	}
	if reason := b.engine.neverDumps(); reason != "" {
		say("the cache cannot be saved: %s", reason)
	}
	C.save_await()
	// Whichever comes first says what became of the save, and lets memcached end: its end, or that of its time, for a disk
	// may keep a write for ever.
	var once sync.Once
	end := func(report func()) {
		once.Do(func() {
			defer C.save_done()
			report()
		})
	}
	defer end(func() {})
	began := time.Now()
	time.AfterFunc(limit, func() {
		end(func() { say("not saved: %s: %v", path, errLate) })
	})
	saved, counts, err := b.save(path, began.Add(limit))
	end(func() { reportSave(saved, counts, err, time.Since(began)) })
}

// reportSave says what became of a save.
func reportSave(path string, counts dump.Counts, err error, took time.Duration) {
	switch {
	case err != nil:
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", e.Op, e.Err) // the file that it names is gone
		}
		if refusal, ok := errors.AsType[*door.Error](err); ok && refusal.Hint != "" {
			err = fmt.Errorf("%w; hint: %s", err, refusal.Hint)
		}
		say("not saved: %s: %v", path, err)
	case counts.Lost > 0:
		say("saved without %s that could not be read", door.Count(counts.Lost, "item"))
		fallthrough
	default:
		say("saved: %s in %s (%d bytes, %.2f s)", door.Count(counts.Written, "item"), path, counts.Bytes, took.Seconds())
	}
}

// save writes a dump beside path, or beside the one that it returns instead, which takes its place
// when it is on the disk.
func (b *backdoor) save(path string, deadline time.Time) (saved string, counts dump.Counts, err error) {
	select {
	case <-b.preloaded:
	default:
		return path, counts, errors.New("the fixtures are still being loaded")
	}
	if b.preloadFailed(path) {
		path += "~" // what could not be loaded is kept
		say("%s was not loaded, and is kept: the cache is saved beside it, in %s", saveFile(), path)
	}
	store, refusal := b.engine.walkable()
	if refusal != nil {
		return path, counts, refusal
	}
	// One that a killed memcached has left goes, and so does whatever somebody else has put
	// there: into a file of his, with a mode of his, the cache does not belong.
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return path, counts, err
	}
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return path, counts, err
	}
	defer file.Close()
	counts, err = dump.Dump(store, punctual{file, deadline}, store.fetch, dump.Options{})
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
		return path, counts, err
	}
	// The name is to survive a crash, too; the file is there in any case.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return path, counts, nil
}

// preloadFailed says that there is something at path which was to be loaded and was not.
func (b *backdoor) preloadFailed(path string) bool {
	b.mu.Lock()
	preload := b.status.Preload
	b.mu.Unlock()
	if preload == nil || preload.Complete {
		return false
	}
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// punctual is a Writer up to a deadline.
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

package main

import (
	"fmt"
	"io/fs"
	"os"
)

// rejectFiles are what memcached writes rejected rows to, and why they were; nil: it
// does not.
type rejectFiles struct{ rows, reasons *os.File }

// createRejects makes FILE and FILE.log; "" is nil. What stands in a file already may be
// rows that nobody has looked at yet, or the input itself: it is not written to.
func createRejects(name string) (*rejectFiles, error) {
	if name == "" {
		return nil, nil
	}
	var r rejectFiles
	for _, f := range []struct {
		name string
		to   **os.File
	}{{name, &r.rows}, {name + ".log", &r.reasons}} {
		file, err := createEmpty(f.name)
		if err != nil {
			r.close(true)
			return nil, err
		}
		*f.to = file
	}
	return &r, nil
}

func createEmpty(name string) (*os.File, error) {
	// To open a named pipe would be to wait for its reader.
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", name)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fileError(name, err)
	}
	info, err := file.Stat()
	if err != nil {
		err = fileError(name, err)
	} else if info.Size() > 0 {
		err = hintError{fmt.Errorf("%s: %w", name, fs.ErrExist), "there is something in it: name another file, or remove it"}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (r *rejectFiles) files() []*os.File {
	if r == nil {
		return nil
	}
	return []*os.File{r.rows, r.reasons}
}

// close closes the files. If memcached writes no more it removes those in which there
// is nothing.
func (r *rejectFiles) close(done bool) {
	for _, f := range r.files() {
		if f == nil {
			continue
		}
		if info, err := f.Stat(); done && err == nil && info.Size() == 0 {
			_ = os.Remove(f.Name()) // an empty one that stays does no harm
		}
		f.Close()
	}
}

package main

import (
	"fmt"
	"io/fs"
	"os"
)

// rejectFiles are the files to which memcached writes rejected rows and their reasons; nil:
// there are none.
type rejectFiles struct{ rows, reasons *os.File }

// createRejects makes FILE and FILE.log, which close closes; "": nil. A file that is not empty is
// an error: it may be the input, or have the rejects of an earlier load.
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
	// Opening a named pipe would block until it has a reader.
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
		err = hintError{fmt.Errorf("%s: %w", name, fs.ErrExist), "it is not empty: name another file, or remove it"}
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

// close closes the files. If memcached is done with them, it removes the empty ones.
func (r *rejectFiles) close(done bool) {
	for _, f := range r.files() {
		if f == nil {
			continue
		}
		if info, err := f.Stat(); done && err == nil && info.Size() == 0 {
			_ = os.Remove(f.Name()) // if it fails, an empty file stays
		}
		f.Close()
	}
}

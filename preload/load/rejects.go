package load

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"memcached-backdoor/preload/meta"
)

// ErrWrite says that the rejected rows could not be written.
var ErrWrite = errors.New("writing the rejects")

// An Output is a file that a load writes.
type Output interface {
	io.Writer
	// Empty reports whether nothing is written in it yet.
	Empty() bool
}

// rejects writes rejected rows and the reasons for them; nil does not.
type rejects struct {
	rows, reasons *bufio.Writer
	header        []byte // is written before the first row
	empty         bool   // the file has no header yet
	openLine      bool   // the last byte of rows was not a line feed
	last          int64  // the offset of the last row that was written
}

func newRejects(rows, reasons Output) *rejects {
	if rows == nil {
		return nil
	}
	return &rejects{rows: bufio.NewWriterSize(rows, 64<<10), reasons: bufio.NewWriterSize(reasons, 64<<10), empty: rows.Empty(), last: -1}
}

// setHeader makes the rejects have the input's header, so that they can be loaded again.
func (r *rejects) setHeader(row []byte) {
	if r != nil && r.empty {
		r.header = append(r.header, row...)
	}
}

// write writes a row, or the beginning of one, and the reason for which it was rejected.
func (r *rejects) write(rejected reject, row []byte) error {
	if r == nil {
		return nil
	}
	if r.header != nil {
		if err := r.more(r.header, true); err != nil {
			return err
		}
		r.header = nil
	}
	key := rejected.key[:min(len(rejected.key), meta.KeyMax)]
	_, err := fmt.Fprintf(r.reasons, "%d\t%d\t%s\t%s\n", rejected.line, rejected.column, rejected.reason.With(rejected.detail), strconv.Quote(string(key)))
	if rejected.offset == r.last {
		return writeError(err) // another of its items was rejected: the row is written already
	}
	r.last = rejected.offset
	return cmp.Or(writeError(err), r.more(row, !rejected.streamed()))
}

// more writes more of a row; done says that this is its end.
func (r *rejects) more(row []byte, done bool) error {
	if r == nil {
		return nil
	}
	_, err := r.rows.Write(row)
	if len(row) > 0 {
		r.openLine = row[len(row)-1] != '\n'
	}
	if done && r.openLine && err == nil {
		r.openLine = false
		err = r.rows.WriteByte('\n') // the input's last line had none
	}
	return writeError(err)
}

// flush writes what is buffered.
func (r *rejects) flush() error {
	if r == nil {
		return nil
	}
	return cmp.Or(writeError(r.rows.Flush()), writeError(r.reasons.Flush()))
}

func writeError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrWrite, err)
}

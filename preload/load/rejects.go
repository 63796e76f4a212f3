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
	// Empty says that nothing stands in it yet.
	Empty() bool
}

// rejects writes rejected rows; nil, it does not.
type rejects struct {
	rows, reasons *bufio.Writer
	header        []byte // to be written before the first row
	empty         bool   // the file has no header yet
	open          bool   // the last byte was no line feed
	line          uint64 // of the last row that was written
}

func newRejects(rows, reasons Output) *rejects {
	if rows == nil {
		return nil
	}
	return &rejects{rows: bufio.NewWriterSize(rows, 64<<10), reasons: bufio.NewWriterSize(reasons, 64<<10), empty: rows.Empty()}
}

// setHeader makes the rejects have the input's header, so that they can be loaded again.
func (r *rejects) setHeader(row []byte) {
	if r != nil && r.empty {
		r.header = append(r.header, row...)
	}
}

// write writes a row, or the beginning of one, and why it was rejected.
func (r *rejects) write(why reject, row []byte) error {
	if r == nil {
		return nil
	}
	if r.header != nil {
		if err := r.more(r.header, true); err != nil {
			return err
		}
		r.header = nil
	}
	_, err := fmt.Fprintf(r.reasons, "%d\t%d\t%s\t%s\n", why.line, why.column, why.reason, strconv.Quote(string(why.key[:min(len(why.key), meta.KeyMax)])))
	if why.many && why.line == r.line {
		return writeError(err) // the row stands there already, because of another of its items
	}
	r.line = why.line
	return cmp.Or(writeError(err), r.more(row, !why.streamed()))
}

// more writes more of a row; done says that it ends with that.
func (r *rejects) more(row []byte, done bool) error {
	if r == nil {
		return nil
	}
	_, err := r.rows.Write(row)
	if len(row) > 0 {
		r.open = row[len(row)-1] != '\n'
	}
	if done && r.open && err == nil {
		r.open = false
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

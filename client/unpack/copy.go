package unpack

import (
	"bytes"
	"io"
)

const (
	// copyBytes is how many bytes are copied at once.
	copyBytes = 256 << 10
	// lineMax is the length in bytes of the longest line that is written as a whole.
	lineMax = 64 << 20
)

// CopyLines copies r, whole lines at once: if r fails, what it has returned of a line is not written, for the reader of w
// would take it for a row, with the beginning of a value. The last line need not have a line end.
func CopyLines(w io.Writer, r io.Reader) error {
	buffer, filled := make([]byte, copyBytes), 0
	for {
		n, err := r.Read(buffer[filled:])
		whole := bytes.LastIndexByte(buffer[filled:filled+n], '\n') + 1
		if whole > 0 {
			whole += filled
		}
		filled += n
		if err == io.EOF || filled == lineMax {
			whole = filled
		}
		if whole > 0 {
			if _, err := w.Write(buffer[:whole]); err != nil {
				return err
			}
			filled = copy(buffer, buffer[whole:filled])
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if filled == len(buffer) {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
	}
}

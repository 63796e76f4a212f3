package record

import "bytes"

// A frame finds the end of the row at the beginning of the input. It is called again with more of the same input.
type frame interface {
	// next returns the size of the row, and that of its content, without the line end; size 0: it is not complete.
	// eof says that no more input comes behind data.
	next(data []byte, eof bool) (content, size int)
	// drop says that the next call has no longer data, the beginning of an incomplete row, in front.
	drop(data []byte)
}

// lines is the frame of rows that end with a line feed.
type lines struct {
	scanned int // bytes without a line feed
}

func (l *lines) next(data []byte, eof bool) (content, size int) {
	n := bytes.IndexByte(data[l.scanned:], '\n')
	switch {
	case n >= 0:
		content, size = l.scanned+n, l.scanned+n+1
	case eof:
		content, size = len(data), len(data)
	default:
		l.scanned = len(data)
		return 0, 0
	}
	l.scanned = 0
	return content, size
}

func (l *lines) drop(data []byte) { l.scanned = max(l.scanned-len(data), 0) }

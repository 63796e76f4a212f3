package record

import "bytes"

// A frame finds the end of the row at the beginning of the input.  It is asked again
// with more of the input, as long as that begins with the same bytes.
type frame interface {
	// next returns the size of the row and of its content, without the end of its line;
	// size 0: it is not complete.  end says that no more comes behind data.
	next(data []byte, end bool) (content, size int)
	// drop says that data, the beginning of an incomplete row, is not given again.
	drop(data []byte)
}

// lines is the frame of rows that end with a line feed.
type lines struct {
	scanned int // bytes in which there is none
}

func (l *lines) next(data []byte, end bool) (content, size int) {
	n := bytes.IndexByte(data[l.scanned:], '\n')
	switch {
	case n >= 0:
		content, size = l.scanned+n, l.scanned+n+1
	case end:
		content, size = len(data), len(data)
	default:
		l.scanned = len(data)
		return 0, 0
	}
	l.scanned = 0
	return content, size
}

func (l *lines) drop(data []byte) { l.scanned = max(l.scanned-len(data), 0) }

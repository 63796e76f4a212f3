package load

import "bytes"

// A Position is a place in a file, where a row begins.
type Position struct {
	Offset int64  // bytes before it
	Lines  uint64 // line feeds before it
}

var lineFeed = []byte{'\n'}

// pass goes on behind p.
func (at *Position) pass(p []byte) {
	at.Offset += int64(len(p))
	at.Lines += uint64(bytes.Count(p, lineFeed))
}

// resume makes the load go on where it is to, unless a header must be read first.
func (l *loader) resume() error {
	if l.options.From == (Position{}) || l.options.Record.Header {
		return nil
	}
	l.at = l.options.From
	return l.source.SeekTo(l.at.Offset)
}

// jump goes on behind the header. What was read with it is forgotten.
func (l *loader) jump() error {
	l.at = l.options.From
	l.filled, l.parsed, l.end = 0, 0, false
	return l.source.SeekTo(l.at.Offset)
}

package load

import "bytes"

// A Position is a place in a file, where a row begins.
type Position struct {
	Offset int64  // bytes before it
	Lines  uint64 // line feeds before it
}

var lineFeed = []byte{'\n'}

// advance moves the position behind p, which begins there.
func (at *Position) advance(p []byte) {
	at.Offset += int64(len(p))
	at.Lines += uint64(bytes.Count(p, lineFeed))
}

// resume makes the load begin at Options.From, unless it has to read a header first.
func (l *loader) resume() error {
	if l.options.From == (Position{}) || l.options.Record.Header {
		return nil
	}
	l.position = l.options.From
	l.parser.Resume()
	return l.source.SeekTo(l.position.Offset)
}

// seekBehindHeader makes the load go on at Options.From when it has read the header. What was read with that is
// discarded.
func (l *loader) seekBehindHeader() error {
	l.position = l.options.From
	l.filled, l.parsed, l.eof = 0, 0, false
	return l.source.SeekTo(l.position.Offset)
}

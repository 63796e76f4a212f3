package load

import (
	"bytes"

	"memcached-backdoor/preload/record"
)

// A Position is a place in a file, where a row begins.
type Position struct {
	Offset int64        // bytes before it
	Lines  uint64       // line feeds before it
	State  record.State // of the parser there
}

var lineFeed = []byte{'\n'}

// advance moves the position behind p, which begins there.
func (at *Position) advance(p []byte) {
	at.Offset += int64(len(p))
	at.Lines += uint64(bytes.Count(p, lineFeed))
}

// resume makes the load begin at Options.From, unless it has to read what the input begins with first.
func (l *loader) resume() error {
	if l.options.From == (Position{}) {
		return nil
	}
	if l.leading = l.parser.Leading(); l.leading {
		return nil
	}
	l.position = l.options.From
	l.line = l.position.Offset
	l.parser.Resume(l.position.State)
	return l.source.SeekTo(l.position.Offset)
}

// seekBehindLead makes the load go on at Options.From when it has read what the input begins with. That, and what was
// read with it, is discarded.
func (l *loader) seekBehindLead() error {
	l.leading = false
	l.position = l.options.From
	l.line = l.position.Offset
	l.parser.Resume(l.position.State)
	l.filled, l.parsed, l.eof = 0, 0, false
	return l.source.SeekTo(l.position.Offset)
}

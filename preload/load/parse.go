package load

import (
	"bytes"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
)

// commands has the batch's command for each of the record's.
var commands = [...]batch.Command{record.Set: batch.Set, record.Add: batch.Add, record.Replace: batch.Replace}

// parse adds the complete rows behind parsed to the current batch, as many as it takes.
func (l *loader) parse() error {
	for !l.full() && !l.limited {
		data := l.current.Data()[l.parsed:l.filled]
		if l.skipping {
			if err := l.skipRest(data); err != nil || l.skipping {
				return err
			}
			continue
		}
		if len(data) == 0 {
			return nil
		}
		if l.parses++; l.parses%rowsPerCheck == 0 {
			if err := l.lookForClient(); err != nil {
				return err
			}
		}
		kind := l.parser.Next(data, l.eof, &l.row)
		switch kind {
		case record.More:
			return nil
		case record.Failed:
			return l.row.Err
		}
		if l.row.Header {
			l.rejects.setHeader(data[:l.row.Size])
		}
		if l.leading && !l.parser.Leading() {
			return l.seekBehindLead()
		}
		kind = l.choose(kind, data)
		o := origin{line: l.position.Lines + 1, offset: l.position.Offset, from: uint32(l.parsed), to: uint32(l.parsed + l.row.Size)}
		l.fromLine()
		if l.row.Left == 0 {
			l.position.Offset += int64(l.row.Size)
			l.position.Lines += uint64(l.row.Lines)
			l.parsed += l.row.Size
			if l.row.Lines > 0 {
				l.beginLine(data[:l.row.Size])
			}
		}
		if err := l.enter(kind, o); err != nil {
			return err
		}
	}
	return nil
}

// beginLine notes where the line begins that p ends in; the position is behind p.
func (l *loader) beginLine(p []byte) {
	if n := bytes.LastIndexByte(p, '\n'); n >= 0 {
		l.line = l.position.Offset - int64(len(p)-1-n)
	}
}

// fromLine makes the row's Column that of its first line: the row may begin behind others.
func (l *loader) fromLine() {
	if l.row.Column > 0 {
		l.row.Column += int(l.position.Offset - l.line)
	}
}

// enter adds the row that was parsed to the current batch.
func (l *loader) enter(kind record.Kind, o origin) error {
	switch kind {
	case record.Nothing:
		return nil
	case record.Skip:
		if l.row.Reason == record.Expired && l.row.Command != record.Add {
			// In memcached its key would not be there any more.
			if err := l.current.expire(&l.row, o); err != nil {
				return err
			}
		} else {
			l.current.skip(&l.row)
		}
	case record.Reject:
		if err := l.current.reject(&l.row, o); err != nil {
			return err
		}
		l.rejected++
	case record.Item:
		if err := l.current.add(&l.row, commands[l.row.Command], o); err != nil {
			return err
		}
	}
	l.rows++
	if kind == record.Reject && l.maxErrors.Exceeded(l.rejected, l.rows, false) {
		l.limit()
	}
	return nil
}

// limit ends the input here. What was parsed is still stored.
func (l *loader) limit() {
	l.limited, l.eof = true, true
	if l.current != nil {
		l.filled = l.parsed
	}
}

// makeRoom makes room for more of a row of which the data is full; a row that has more than RowMax bytes is cut.
func (l *loader) makeRoom() error {
	data := l.current.Data()
	if len(data) <= l.parser.RowMax() {
		return l.current.Resize(min(2*len(data), l.parser.RowMax()+1))
	}
	return l.cut(data)
}

// cut rejects a row of which data is the beginning: it is too long for any item. If its key is known, the store
// rejects it, and takes out the key's old value.
func (l *loader) cut(data []byte) error {
	kind := l.parser.Cut(data, &l.row)
	if l.leading { // an earlier load has accounted for it
		l.filled, l.parsed, l.skipping = 0, 0, true
		return nil
	}
	l.row.Value.Len = 0 // it has an end that is not read
	kind = l.choose(kind, data)
	l.fromLine()
	if (kind == record.Item || l.row.Known) && l.row.Key.Made == nil {
		l.row.Key.Made = bytes.Clone(l.row.Key.Of(data)) // data will be overwritten
	}
	o := origin{line: l.position.Lines + 1, offset: l.position.Offset}
	l.unwritten = kind == record.Skip
	if l.rejects != nil && !l.unwritten {
		// The rows before it come first.
		for len(l.inFlight) > 0 {
			if err := l.wait(); err != nil {
				return err
			}
		}
		r := reject{origin: o, reason: l.row.Reason, detail: l.row.Detail, column: l.row.Column, key: l.row.Key.Of(data)}
		if kind == record.Item {
			r.reason = unstored.TooLarge
		}
		if err := l.rejects.write(r, data); err != nil {
			return err
		}
	}
	l.cutAt = l.position
	l.position.advance(data)
	l.beginLine(data)
	l.filled, l.parsed, l.skipping = 0, 0, true
	return l.enter(kind, o)
}

// skipRest skips what data has of the rest of a row that was cut.
func (l *loader) skipRest(data []byte) error {
	n, done := l.parser.Skip(data, l.eof)
	l.position.advance(data[:n])
	l.beginLine(data[:n])
	var err error
	if !l.leading && !l.unwritten {
		err = l.rejects.more(data[:n], done)
	}
	l.skipping = !done
	if l.parsed += n; l.skipping {
		// data was all that there is.
		l.filled -= n
		l.parsed -= n
	}
	return err
}

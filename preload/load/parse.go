package load

import (
	"bytes"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
)

// commands are the batch's names of the record's.
var commands = [...]batch.Command{record.Set: batch.Set, record.Add: batch.Add, record.Replace: batch.Replace}

// parse takes the complete rows behind parsed, as many as the work takes.
func (l *loader) parse() error {
	for !l.full() && !l.limited {
		data := l.work.Data()[l.parsed:l.filled]
		if l.skips {
			if err := l.skip(data); err != nil || l.skips {
				return err
			}
			continue
		}
		if len(data) == 0 {
			return nil
		}
		kind := l.parser.Next(data, l.end, &l.row)
		switch kind {
		case record.More:
			return nil
		case record.Failed:
			return l.row.Err
		case record.End:
			l.end = true
			l.parsed = l.filled
			return nil
		case record.Nothing:
			if l.row.Header {
				l.rejects.setHeader(data[:l.row.Size])
				if l.options.From != (Position{}) {
					return l.jump()
				}
			}
		}
		o := origin{line: l.at.Lines + 1, from: uint32(l.parsed), to: uint32(l.parsed + l.row.Size), many: l.many || l.row.Left > 0}
		if l.many = l.row.Left > 0; !l.many {
			l.at.Offset += int64(l.row.Size)
			l.at.Lines += uint64(l.row.Lines)
			l.parsed += l.row.Size
		}
		if err := l.enter(kind, o); err != nil {
			return err
		}
	}
	return nil
}

// enter adds the row that was parsed to the work.
func (l *loader) enter(kind record.Kind, o origin) error {
	switch kind {
	case record.Nothing:
		return nil
	case record.Skip:
		if l.row.Reason == record.Expired && l.row.Command != record.Add {
			// What memcached would make of it is that its key is not there any more.
			if err := l.work.expire(&l.row, o); err != nil {
				return err
			}
		} else {
			l.work.skip(&l.row)
		}
	case record.Reject:
		if err := l.work.reject(&l.row, o); err != nil {
			return err
		}
		l.bad++
	case record.Item:
		if err := l.work.add(&l.row, commands[l.row.Command], o); err != nil {
			return err
		}
	}
	l.rows++
	if kind == record.Reject && l.maxErrors.Exceeded(l.bad, l.rows, false) {
		l.limit()
	}
	return nil
}

// limit ends the input here.  What was parsed is still stored.
func (l *loader) limit() {
	l.limited, l.end = true, true
	if l.work != nil {
		l.filled = l.parsed
	}
}

// makeRoom is called when the data is full of the beginning of one row.
func (l *loader) makeRoom() error {
	data := l.work.Data()
	if len(data) <= l.parser.RowMax() {
		return l.work.Resize(min(2*len(data), l.parser.RowMax()+1))
	}
	return l.giveUp(data)
}

// giveUp rejects a row of which data is the beginning: no item has room for it.  Where
// its key is known it is the store that rejects it, and takes the key's old value out.
func (l *loader) giveUp(data []byte) error {
	kind := l.parser.Cut(data, &l.row)
	if (kind == record.Item || l.row.Known) && l.row.Key.Made == nil {
		l.row.Key.Made = bytes.Clone(l.row.Key.Of(data)) // data will be overwritten
	}
	o := origin{line: l.at.Lines + 1}
	if l.rejects != nil {
		// The rows before it come first.
		for len(l.flying) > 0 {
			if err := l.wait(); err != nil {
				return err
			}
		}
		r := reject{origin: o, reason: l.row.Reason, column: l.row.Column, key: l.row.Key.Of(data)}
		if kind == record.Item {
			r.reason = TooLarge
		}
		if err := l.rejects.write(r, data); err != nil {
			return err
		}
	}
	l.given = l.at
	l.at.pass(data)
	l.filled, l.parsed, l.skips = 0, 0, true
	return l.enter(kind, o)
}

// skip leaves out what belongs to a row that was given up.
func (l *loader) skip(data []byte) error {
	n, done := l.parser.Skip(data, l.end)
	l.at.pass(data[:n])
	err := l.rejects.more(data[:n], done)
	l.skips = !done
	if l.parsed += n; l.skips {
		// Nothing else is behind what was parsed.
		l.filled -= n
		l.parsed -= n
	}
	return err
}

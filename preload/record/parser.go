package record

import (
	"bytes"
	"fmt"

	"memcached-backdoor/preload/meta"
)

// format parses the rows of one format.
type format interface {
	frame
	// parse parses the content of a row.
	parse(content []byte, row *Row) Kind
	// cut parses the beginning of a row, of which the rest is skipped.
	cut(beginning []byte, row *Row) Kind
}

// A Parser parses the rows of an input, one after the other.
type Parser struct {
	options   Options
	format    format
	look      *look // at the beginning of the input; nil: it is over
	bom       bool  // the input may begin with a byte order mark here
	marked    bool  // it did
	multiline bool  // rows may have line feeds in them
	rowMax    int
	hashed    uint64 // items whose keys were hashed
}

var lineFeed = []byte{'\n'}

// A noter is a format that may have something to say about the input.
type noter interface{ notes() []string }

// Notes are sentences about the rows that were parsed: what a person should know of how they were read.
func (p *Parser) Notes() (notes []string) {
	if p.marked && p.options.beginsWithData() {
		notes = append(notes, "a byte order mark (EF BB BF) before the first row was taken off")
	}
	if n, ok := p.format.(noter); ok {
		notes = append(notes, n.notes()...)
	}
	if p.hashed > 0 {
		notes = append(notes, fmt.Sprintf("keys that were longer than %d bytes and were hashed: %d", meta.KeyMax, p.hashed))
	}
	return notes
}

// beginsWithData reports whether the input begins with what may be any bytes: no header, no brace and no command.
func (o *Options) beginsWithData() bool {
	return !o.Header && o.Format != JSONL && o.Format != Memcached && o.Format != Dump
}

// RowMax is the length of the longest row, in bytes; a longer one is to be cut.
func (p *Parser) RowMax() int { return p.rowMax }

// Next parses the row at the beginning of data, which is not empty. eof says that no more input comes behind it. After
// More, and after a row that has items Left, it is called with the same bytes, and perhaps more behind them; after
// anything else with what follows row.Size.
func (p *Parser) Next(data []byte, eof bool, row *Row) Kind {
	*row = Row{}
	if p.look != nil {
		switch known, err := p.look.foreign(data, eof, p.rowMax); {
		case err != nil:
			return row.fail(err)
		case !known:
			return More
		}
		p.look = nil
	}
	mark := 0
	if p.bom {
		switch mark = byteOrderMark(data); {
		case mark > 0 && mark == len(data):
			if !eof {
				return More
			}
			row.Size = mark
			return Nothing
		case mark < 0 && !eof:
			return More
		}
		mark = max(mark, 0)
		p.marked = mark > 0
	}
	content, size := p.format.next(data[mark:], eof)
	if size == 0 {
		return More
	}
	kind := p.format.parse(data[mark:][:content], row)
	if kind == Item && p.options.ValueType != "" {
		kind = p.options.checkType(row, data[mark:])
	}
	p.bom = p.bom && row.Left > 0 // the row's next item has the mark in front, too
	switch {
	case p.multiline:
		row.Lines = bytes.Count(data[mark:][:size], lineFeed)
	case size > content:
		row.Lines++
	}
	if kind == Item && row.hashed {
		p.hashed++
	}
	row.Size, row.Content = mark+size, mark+content
	row.Key.At += mark
	row.Value.At += mark
	if row.Column > 0 {
		row.Column += mark
	}
	return kind
}

// byteOrderMark is the length of the mark at the beginning of data; -1: not known yet.
func byteOrderMark(data []byte) int {
	const mark = "\xef\xbb\xbf"
	switch {
	case bytes.HasPrefix(data, []byte(mark)):
		return len(mark)
	case len(data) < len(mark) && bytes.HasPrefix([]byte(mark), data):
		return -1
	}
	return 0
}

// Cut parses data, the beginning of a row that has more than RowMax bytes. If its key is known, it is an Item whose
// value is Oversize. Skip is called next, with what is behind data.
func (p *Parser) Cut(data []byte, row *Row) Kind {
	*row = Row{}
	mark := 0
	if p.bom {
		mark = max(byteOrderMark(data), 0)
		p.bom = false
	}
	kind := p.format.cut(data[mark:], row)
	row.Key.At += mark
	row.Oversize = kind == Item
	p.format.drop(data[mark:])
	return kind
}

// An ender is a frame whose row may have ended where data begins, which only data tells.
type ender interface{ ended() bool }

// Skip returns how many bytes of data belong to the row that was cut; done says that it ends with them.
func (p *Parser) Skip(data []byte, eof bool) (n int, done bool) {
	if len(data) == 0 {
		return 0, eof
	}
	_, size := p.format.next(data, eof)
	if e, ok := p.format.(ender); size > 0 || ok && e.ended() {
		return size, true
	}
	p.format.drop(data)
	return len(data), false
}

// Leading reports whether the next row is one that says how those behind it are parsed: a header, or the first row of
// CSV.
func (p *Parser) Leading() bool {
	t, ok := p.format.(*table)
	return ok && (t.options.Header && t.names == nil || t.first != nil && t.options.Delimiter == "")
}

// Incomplete reports whether the input is a truncated dump, or a truncated JSON array.
func (p *Parser) Incomplete() bool {
	switch f := p.format.(type) {
	case *dumped:
		return !f.complete
	case *objects:
		return f.array == openArray
	}
	return false
}

package record

import "bytes"

// format takes the rows of one format apart.
type format interface {
	frame
	// parse says what the row's content is.
	parse(content []byte, row *Row) Kind
	// cut says what can be said of a row of which only the beginning is there.
	cut(beginning []byte, row *Row) Kind
}

// A Parser takes rows off an input, one after the other.
type Parser struct {
	format format
	marked bool // the input may begin with a byte order mark
	broken bool // rows may have line feeds in them
	rowMax int
}

var lineFeed = []byte{'\n'}

// RowMax is how long a row can be, in bytes, that is worth waiting for.
func (p *Parser) RowMax() int { return p.rowMax }

// Next says what stands at the beginning of data, which is not empty.  end says that no
// more comes behind it.  After More it is asked again, with the same bytes and
// more, and so it is after a row that has items Left; after anything else with what
// follows row.Size.
func (p *Parser) Next(data []byte, end bool, row *Row) Kind {
	*row = Row{}
	mark := 0
	if p.marked {
		switch mark = byteOrderMark(data); {
		case mark > 0 && mark == len(data):
			if !end {
				return More
			}
			row.Size = mark
			return Nothing
		case mark < 0 && !end:
			return More
		}
		mark = max(mark, 0)
	}
	content, size := p.format.next(data[mark:], end)
	if size == 0 {
		return More
	}
	kind := p.format.parse(data[mark:][:content], row)
	p.marked = p.marked && row.Left > 0 // the mark is in front of the next item, too
	switch {
	case p.broken:
		row.Lines = bytes.Count(data[mark:][:size], lineFeed)
	case size > content:
		row.Lines = 1
	}
	row.Size, row.Content = mark+size, mark+content
	row.Key.At += mark
	row.Value.At += mark
	if row.Column > 0 {
		row.Column += mark
	}
	return kind
}

// byteOrderMark is how long the mark is at the beginning of data; -1: that is not
// known yet.
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

// Cut gives a row up that has more than RowMax bytes, of which data has the first.  Its
// key may be known: then it is an Item whose value is Oversize.  The rest of it is for Skip,
// which is called next, with what is behind data.
func (p *Parser) Cut(data []byte, row *Row) Kind {
	*row = Row{}
	mark := 0
	if p.marked {
		mark = max(byteOrderMark(data), 0)
		p.marked = false
	}
	kind := p.format.cut(data[mark:], row)
	row.Key.At += mark
	row.Oversize = kind == Item
	p.format.drop(data[mark:])
	return kind
}

// Skip says how many bytes of data belong to the row that was cut; done, that it ends
// with them.
func (p *Parser) Skip(data []byte, end bool) (n int, done bool) {
	if len(data) == 0 {
		return 0, end
	}
	if _, size := p.format.next(data, end); size > 0 {
		return size, true
	}
	p.format.drop(data)
	return len(data), false
}

// raw is the format of the article: lines of a key, a tab and a value.
type raw struct {
	lines
	options Options
}

// NoTab is what can be wrong with such a line.
const NoTab Reason = "no tab between key and value"

func (r *raw) parse(line []byte, row *Row) Kind {
	tab := bytes.IndexByte(line, '\t')
	if tab < 0 {
		row.Key = Bytes{Len: len(line)}
		return row.reject(NoTab, 0)
	}
	row.Key = Bytes{Len: tab}
	if reason, at := badKey(line[:tab]); reason != "" {
		return row.reject(reason, at)
	}
	row.Value = Bytes{At: tab + 1, Len: len(line) - tab - 1}
	row.Oversize = row.Value.Len > r.options.ValueMax
	row.Command, row.Flags, row.TTL = r.options.command, r.options.Flags, r.options.TTL
	return Item
}

func (r *raw) cut(line []byte, row *Row) Kind { return r.parse(line, row) }

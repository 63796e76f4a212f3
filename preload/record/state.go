package record

// A State is what the rows before a place in the input have shown of how those behind it are parsed. The zero State is
// that of the input's beginning.
type State struct {
	proven bool // of CSV: backslashes are data
	inside bool // of psql: the rows of a table have begun
	second bool // of psql: it is not the first table
}

// State is the state behind the rows that were parsed.
func (p *Parser) State() (s State) {
	if t, ok := p.format.(*table); ok {
		s.proven = t.quoted != nil && t.quoted.proven
		s.inside, s.second = !t.outside, t.second
	}
	return s
}

// Resume says, before the first row or behind one that was [Parser.Leading], that what comes next is not where the last
// row ended: it is a row, whatever it looks like, and the state there is s. If the parser is Leading, it is too early.
func (p *Parser) Resume(s State) {
	p.look, p.bom = nil, false
	switch f := p.format.(type) {
	case *objects:
		f.array = maybeArray
	case *table:
		f.first = nil
		f.outside, f.second = !s.inside, s.second
		if f.quoted != nil && s.proven {
			f.quoted.proven = true
		}
	}
}

package record

import (
	"bytes"
	"strconv"
)

// The reasons to reject a mock.
const (
	TwiceMember Reason = "the object has the member twice"
	BadExpired  Reason = "expired is neither true nor false"
	BadStale    Reason = "stale is neither true nor false"
	BadWon      Reason = "won is neither true nor false"
	TwoExpiries Reason = "expired, and a time to live or a date"
	BadCAS      Reason = "the CAS unique is not a number from 1 to 18446744073709551615"
	NoCAS       Reason = "no CAS unique can be chosen: memcached runs with -C, or takes none by protocol (before 1.6.27)"
	BadSize     Reason = "the size is neither a number of bytes nor [least, most]"
	SizedValue  Reason = "both a value and a size"
	BadSeed     Reason = "the seed is not a number from 0 to 18446744073709551615"
	BadCount    Reason = "the count is not a number from 1 to 18446744073709551615"
	NoPlace     Reason = "there is no {n} in the key of a row with a count"
)

// mockMembers are the members of mocks, which are items as no database has them: expired, stale or won, with a chosen
// CAS unique, with a synthetic value, and several from one row.
var mockMembers = []string{"expired", "cas", "size", "seed", "count", "stale", "won"}

// Their indexes.
const (
	mockExpired = iota
	mockCAS
	mockSize
	mockSeed
	mockCount
	mockStale
	mockWon
)

// mock is what the members of a row say, and how many of its items are made.
type mock struct {
	expired     bool
	stale, won  bool
	cas, seed   uint64
	sized       bool   // the value is synthetic
	least, most uint64 // its size in bytes
	counted     bool   // there is a count
	count, n    uint64 // how many items, and the number of the last one, from 1
}

// left reports whether more items are to be made from the row.
func (m *mock) left() bool { return m.n < m.count }

// place is replaced by the number of the item, of several.
var place = []byte("{n}")

// firstMock makes the first item of a row that has members of mocks.
func (o *objects) firstMock(line []byte, row *Row) Kind {
	o.mock = mock{count: 1}
	if reason, at := o.readMock(line); reason != "" {
		o.mock = mock{}
		return o.rejectMock(reason, line, at, row)
	}
	kind := o.nextMock(line, row)
	if kind != Item && row.Reason != Expired {
		// The row is rejected or skipped, not its first item.
		o.mock, row.Left = mock{}, 0
	}
	return kind
}

// rejectMock says which text is wrong, if it is one.
func (o *objects) rejectMock(reason Reason, line []byte, at int, row *Row) Kind {
	switch reason {
	case TwoExpiries, SizedValue, NoCAS, NoStale:
		return row.reject(reason, at)
	case TwiceMember:
		name, _ := scanString(line, at-1)
		return row.rejectFor(reason, at, "%q", nameOf(line, name))
	}
	for _, f := range o.fields {
		if f.at == at {
			return row.rejectNear(reason, line[:f.end], at)
		}
	}
	return row.reject(reason, at)
}

// nextMock makes the next item. What scan has found in the line is still valid.
func (o *objects) nextMock(line []byte, row *Row) Kind {
	m := &o.mock
	m.n++
	row.Left = m.count - m.n
	if kind := o.keyText(row, line, o.fields); kind != Item {
		return kind
	}
	if m.counted && !o.numbered(&row.Key, line) {
		return row.reject(NoPlace, o.fields[o.keyField(o.fields)].at)
	}
	if row.Key.Len > o.options.ValueMax { // not all its places have the number
		return row.reject(KeyTooLong, o.fields[o.key.first()].at)
	}
	if kind := o.checkKey(row, line, o.fields); kind != Item {
		return kind
	}
	if kind := o.mockValue(line, row); kind != Item {
		return kind
	}
	kind := o.rest(row, line, o.fields)
	if m.expired {
		row.TTL = Past
	}
	row.CAS, row.Stale, row.Won = m.cas, m.stale, m.won
	return kind
}

func (o *objects) mockValue(line []byte, row *Row) Kind {
	m := &o.mock
	if m.sized {
		o.filler.begin(m.seed, row.Key.Of(line))
		size := o.filler.draw(m.least, m.most)
		if row.Oversize = size > uint64(o.options.ValueMax); row.Oversize {
			return Item
		}
		from := len(o.made)
		o.made = o.filler.append(o.made, int(size))
		row.Value = made(o.made[from:len(o.made):len(o.made)])
		return Item
	}
	kind := o.recordValue(line, row)
	if kind == Item && m.counted && !o.isBinary() && o.options.Decode == "" {
		if f := o.fields[o.value.first()]; isString(line, f) {
			o.numbered(&row.Value, line)
		} else {
			row.Value = o.copied(row.Value.Of(line))
		}
		row.Oversize = row.Value.Len > o.options.ValueMax
	}
	return kind
}

// numbered puts the item's number in each place of a text; placed says whether the text has one. The text is copied in
// any case: a batch has as many bytes as its items.
func (o *objects) numbered(b *Bytes, line []byte) (placed bool) {
	text, from := b.Of(line), len(o.made)
	for len(o.made)-from <= o.options.ValueMax { // the text may have very many places
		before, after, found := bytes.Cut(text, place)
		if !found {
			break
		}
		o.made = strconv.AppendUint(append(o.made, before...), o.mock.n, 10)
		text, placed = after, true
	}
	o.made = append(o.made, text...)
	*b = made(o.made[from:len(o.made):len(o.made)])
	return placed
}

func (o *objects) copied(p []byte) Bytes {
	from := len(o.made)
	o.made = append(o.made, p...)
	return made(o.made[from:len(o.made):len(o.made)])
}

// readMock reads the members of a mock; with a reason, at is the offset of the one that is rejected.
func (o *objects) readMock(line []byte) (reason Reason, at int) {
	if o.repeated > 0 {
		return TwiceMember, o.repeated
	}
	m := &o.mock
	for _, mark := range []struct {
		member int
		to     *bool
		reason Reason
	}{{mockExpired, &m.expired, BadExpired}, {mockStale, &m.stale, BadStale}, {mockWon, &m.won, BadWon}} {
		if !o.has(mark.member) {
			continue
		}
		f := o.member(mark.member)
		text := string(line[f.at:f.end])
		if isString(line, f) || text != "true" && text != "false" {
			return mark.reason, f.at
		}
		*mark.to = text == "true"
	}
	switch {
	case m.expired && (present(o.fields, o.ttl) || present(o.fields, o.expires)):
		return TwoExpiries, o.member(mockExpired).at
	case m.stale && o.options.NoStale:
		return NoStale, o.member(mockStale).at
	}
	if f := o.member(mockSize); o.has(mockSize) {
		if isString(line, f) {
			return BadSize, f.at
		}
		if m.least, m.most, m.sized = sizes(line[f.at:f.end]); !m.sized {
			return BadSize, f.at
		}
		if present(o.fields, o.value.first()) || present(o.fields, o.base64) {
			return SizedValue, f.at
		}
	}
	for _, number := range []struct {
		member int
		to     *uint64
		least  uint64
		reason Reason
	}{{mockCAS, &m.cas, 1, BadCAS}, {mockSeed, &m.seed, 0, BadSeed}, {mockCount, &m.count, 1, BadCount}} {
		if !o.has(number.member) {
			continue
		}
		word, at := o.word(line, o.fields, o.mocks+number.member)
		n, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil || n < number.least {
			return number.reason, max(at, o.member(number.member).at)
		}
		*number.to = n
	}
	if m.counted = o.has(mockCount); m.cas != 0 && o.options.NoCAS {
		return NoCAS, o.member(mockCAS).at
	}
	return "", 0
}

func (o *objects) member(member int) field { return o.fields[o.mocks+member] }

// has reports whether a mock's member is there and not null.
func (o *objects) has(member int) bool { return present(o.fields, o.mocks+member) }

func isString(line []byte, f field) bool { return f.at > 0 && line[f.at-1] == '"' }

// sizes parses a size, or [least, most]; text is not empty.
func sizes(text []byte) (least, most uint64, ok bool) {
	from, to := text, text
	if text[0] == '[' {
		from, to, _ = bytes.Cut(text[1:len(text)-1], []byte{','})
	}
	least, ok = bytesOf(from)
	most, ok2 := bytesOf(to)
	return least, most, ok && ok2 && least <= most
}

func bytesOf(text []byte) (uint64, bool) {
	if text = bytes.TrimSpace(text); len(text) > wordMax {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text), 10, 63)
	return n, err == nil
}

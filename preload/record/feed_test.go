package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
)

// found is a row that a parser has found, or a part of the input that is not a row.
type found struct {
	kind     Kind
	key      string
	value    string
	oversize bool
	command  Command
	flags    uint32
	ttl      int64
	cas      uint64
	marks    [2]bool // stale and won
	left     uint64
	reason   Reason
	column   int
	err      string

	size, content int
}

func item(key, value string) found { return found{kind: Item, key: key, value: value} }

func large(key string) found { return found{kind: Item, key: key, oversize: true} }

func reject(reason Reason, column int) found {
	return found{kind: Reject, reason: reason, column: column}
}

func skip(reason Reason) found { return found{kind: Skip, reason: reason} }

func failed(message string) found { return found{kind: Failed, err: message} }

var (
	nothing = found{kind: Nothing}
)

// feeder is an input on its way to a parser.
type feeder struct {
	t      testing.TB
	parser *Parser
	max    int // Options.ValueMax
	input  []byte
	at, to int // the part of it that is there
	piece  func() int
}

// itemsMax is how many items a row may make here; no more of them are made.
const itemsMax = 100

// feed parses the input as a load does that gets it in pieces; no row has room for more
// than RowMax bytes and one. Each call gets another copy, so that the parser cannot use the
// bytes of the call before.
func (f *feeder) feed() (rows []found) {
	for {
		if f.at == f.to && !f.grow() {
			return rows
		}
		data := bytes.Clone(f.input[f.at:f.to])
		var row Row
		kind := f.parser.Next(data, f.end(), &row)
		if kind == More {
			if f.grow() {
				continue
			}
			if f.end() {
				f.t.Fatalf("more is wanted behind the end: %q", data)
			}
			rows = append(rows, f.cutRow(data))
			continue
		}
		rows = append(rows, f.found(kind, &row, data))
		if kind == Failed || row.Left > itemsMax {
			return rows
		}
		if row.Left == 0 {
			f.at += row.Size
		} else {
			rows[len(rows)-1].size = 0
			f.grow()
		}
	}
}

// grow adds more of the input, if there is more and room for it.
func (f *feeder) grow() bool {
	to := min(f.to+f.piece(), len(f.input), f.at+f.parser.RowMax()+1)
	more := to > f.to
	f.to = max(f.to, to)
	return more
}

func (f *feeder) end() bool { return f.to == len(f.input) }

// cutRow cuts a row and skips the rest of it.
func (f *feeder) cutRow(data []byte) found {
	var row Row
	kind := f.parser.Cut(data, &row)
	row.Size, row.Content = len(data), len(data)
	if kind != Item && kind != Reject || kind == Item && !row.Oversize {
		f.t.Fatalf("a cut row is of kind %d, oversize %t", kind, row.Oversize)
	}
	g := f.found(kind, &row, data)
	for f.at = f.to; ; {
		f.grow()
		n, done := f.parser.Skip(bytes.Clone(f.input[f.at:f.to]), f.end())
		if n < 0 || n > f.to-f.at || !done && n < f.to-f.at {
			f.t.Fatalf("skipped %d of %d bytes, done %t", n, f.to-f.at, done)
		}
		f.at += n
		g.size += n
		if done {
			g.content = g.size // not known
			return g
		}
		if f.end() && f.at == f.to {
			f.t.Fatal("the row does not end with the input")
		}
	}
}

// found checks a row and copies it.
func (f *feeder) found(kind Kind, row *Row, data []byte) found {
	f.t.Helper()
	if kind != Failed && row.Size <= 0 || row.Size > len(data) || row.Content < 0 || row.Content > row.Size {
		f.t.Fatalf("size %d and content %d of %q", row.Size, row.Content, data)
	}
	for _, b := range []Bytes{row.Key, row.Value} {
		if b.Made != nil && b.Len != len(b.Made) {
			f.t.Fatalf("%d bytes made are said to be %d", len(b.Made), b.Len)
		}
		if b.Made == nil && (b.At < 0 || b.Len < 0 || b.At+b.Len > row.Content) {
			f.t.Fatalf("%d bytes at %d of the %d of %q", b.Len, b.At, row.Content, data)
		}
	}
	g := found{kind: kind, key: string(row.Key.Of(data)), left: row.Left, size: row.Size, content: row.Content}
	switch kind {
	case Item:
		if !validKey(g.key) && !(row.Binary && g.key != "" && len(g.key) <= meta.KeyMax) {
			f.t.Fatalf("the key %q of %q", g.key, data)
		}
		if !row.Oversize {
			g.value = string(row.Value.Of(data))
		}
		if len(g.value) > f.max || row.TTL < 0 || row.TTL > TTLMax && row.TTL != Past || row.Reason != "" {
			f.t.Fatalf("%d bytes, to live %d s, reason %q", len(g.value), row.TTL, row.Reason)
		}
		g.oversize, g.command, g.flags, g.ttl, g.cas = row.Oversize, row.Command, row.Flags, row.TTL, row.CAS
		g.marks = [2]bool{row.Stale, row.Won}
	case Reject:
		if row.Reason == "" || row.Column < 1 || row.Column > row.Content+1 {
			f.t.Fatalf("reason %q at byte %d of %q", row.Reason, row.Column, data)
		}
		g.reason, g.column = row.Reason, row.Column
	case Skip:
		if row.Reason != NullValue && row.Reason != Expired {
			f.t.Fatalf("%q is no reason to skip %q", row.Reason, data)
		}
		if row.Reason == Expired && !validKey(g.key) && !row.Binary {
			f.t.Fatalf("what has expired has the key %q", g.key)
		}
		g.reason = row.Reason
	case Failed:
		var err *option.Error
		if !errors.As(row.Err, &err) || err.Message == "" {
			f.t.Fatalf("failed because of %#v", row.Err)
		}
		g.err = err.Message
	case Nothing:
	default:
		f.t.Fatalf("kind %d", kind)
	}
	return g
}

// validKey is what memcached's protocol.txt says of keys.
func validKey(key string) bool {
	control := func(r rune) bool { return r <= ' ' || r == 0x7f }
	return key != "" && len(key) <= meta.KeyMax && !slices.ContainsFunc([]rune(key), control)
}

// parse parses the input at once, byte by byte and in pieces, with the same result.
// A long input is parsed in pieces instead of bytes.  rowMax is the parser's if it is 0.
func parse(t testing.TB, o Options, rowMax int, input string) []found {
	t.Helper()
	if o.ValueMax == 0 {
		o.ValueMax = 1 << 20
	}
	random := rand.New(rand.NewPCG(uint64(len(input)), 1))
	feed := func(piece func() int) []found {
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if rowMax > 0 {
			p.rowMax = rowMax
			p.look = nil // it ends where the longest row does
		}
		f := &feeder{t: t, parser: p, max: o.ValueMax, input: []byte(input), piece: piece}
		rows := f.feed()
		size := 0
		for _, row := range rows {
			size += row.size
		}
		last := len(rows) > 0 && rows[len(rows)-1].kind == Failed
		if !last && !tooMany(rows) && size != len(input) {
			t.Fatalf("the rows have %d bytes, the input %d", size, len(input))
		}
		return rows
	}
	for {
		began := time.Now().Unix()
		rows := feed(func() int { return len(input) })
		how, other := "", []found(nil)
		for _, again := range []struct {
			name  string
			piece func() int
		}{
			{"byte by byte", func() int { return 1 + len(input)>>11 }},
			{"in small pieces", func() int { return 1 + len(input)>>11 + random.IntN(7) }},
			{"in pieces", func() int { return 1 + random.IntN(1+len(input)/2) }},
		} {
			if how, other = again.name, feed(again.piece); !slices.Equal(rows, other) {
				break
			}
		}
		switch {
		case slices.Equal(rows, other):
			return rows
		case time.Now().Unix() == began: // else what expires may have had another time to live
			t.Fatalf("%q\nat once    %+v\n%s %+v", input, rows, how, other)
		}
	}
}

// tooMany reports whether the parsing has ended in a row that makes too many items.
func tooMany(rows []found) bool { return len(rows) > 0 && rows[len(rows)-1].left > itemsMax }

// A parserTest is an input and what is found in it.
type parserTest struct {
	name    string
	options Options
	input   string
	want    []found
}

// now is the time in run's tests, whose clock does not advance.
const now = 946684800

// run runs tests; options without a format get this one.
func run(t *testing.T, format Format, tests []parserTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.options.Format == "" {
				test.options.Format = format
			}
			synctest.Test(t, func(t *testing.T) {
				check(t, test.input, parse(t, test.options, 0, test.input), test.want)
			})
		})
	}
}

// check compares rows with those that are wanted.  Of a row that is not stored the key is
// compared if one is wanted.
func check(t *testing.T, input string, rows, want []found) {
	t.Helper()
	for i := range rows {
		rows[i].size, rows[i].content = 0, 0
		if rows[i].kind != Item && i < len(want) && want[i].key == "" {
			rows[i].key = ""
		}
	}
	if !slices.Equal(rows, want) {
		t.Errorf("%q\n got %+v\nwant %+v", input, rows, want)
	}
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/meta"
)

// getting prints items as they come. Its methods are called by the goroutine that reads what memcached writes, until that
// has ended.
type getting struct {
	asked    [][]byte // keys
	answered int      // of them: the next ones are still to come
	found    uint64
	missing  [][]byte // keys that have no item
	lost     [][]byte // keys whose values could not be read
	unknown  [][]byte // keys of which nothing is known, not even whether there is an item

	out      *os.File
	called   string // out, in messages
	terminal bool   // binary values are not for it
	asJSON   bool   // one document, instead of a line for each of several items
	meta     bool
	values   bool // they come with the items
	begun    bool // of the document
}

// errBinary ends a get of a value that a terminal cannot show.
var errBinary = hintError{errors.New("the value is binary, and may disturb the terminal"), "--output FILE writes it to a file, and --output - means the terminal"}

// read reads the format Details.
func (g *getting) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, pipeSize)
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return nil // if the line is not complete, the reply has the reason
		}
		var i dump.Listed
		if err != nil || i.Parse(line[:len(line)-1]) != nil || i.Size > itemMax {
			return errListed
		}
		i.Key = bytes.Clone(i.Key) // of the reader's buffer
		if err := g.answer(&i); err != nil {
			return err
		}
		if i.Gone {
			continue
		}
		if !g.values && i.Total == 0 && !meta.Fits(i.Key) { // by protocol, and no command can have the key
			g.unknown = append(g.unknown, i.Key)
			continue
		}
		if err := g.item(&i, in); err != nil {
			return err
		}
	}
}

// item prints an item, whose value, if there is one, comes next.
func (g *getting) item(i *dump.Listed, in *bufio.Reader) error {
	size := int64(i.Size)
	if len(g.asked) == 1 && !g.asJSON && !g.terminal && g.values {
		if _, err := io.CopyN(g.out, in, size); err != nil {
			return g.failed(err)
		}
		return valueEnd(in)
	}
	var value []byte
	if g.values {
		value = make([]byte, size)
		if _, err := io.ReadFull(in, value); err != nil {
			return g.failed(err)
		}
		if err := valueEnd(in); err != nil {
			return err
		}
	}
	switch {
	case g.asJSON, len(g.asked) > 1:
		return g.print(i, value)
	case g.meta:
		return g.write(facts(i, time.Now().Unix()))
	case isBinary(value):
		return errBinary
	}
	return g.write(value)
}

func (g *getting) write(text []byte) error {
	_, err := g.out.Write(text)
	return g.failed(err)
}

// failed is an error of reading or writing a value. For what memcached has not sent in full, the reply has the reason.
func (g *getting) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errListed
	}
	return fileError(g.called, err)
}

// valueEnd reads the line feed behind a value.
func valueEnd(in *bufio.Reader) error {
	if b, err := in.ReadByte(); err != nil || b != '\n' {
		return errListed
	}
	return nil
}

// isBinary reports whether a value is no text, or has control characters, to which a terminal may obey.
func isBinary(value []byte) bool {
	return !utf8.Valid(value) || bytes.ContainsFunc(value, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}

// gotItem is what is printed of an item in JSON. A load reads it again, without --meta.
type gotItem struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   []byte  `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
	Flags       uint64  `json:"flags"`
	Expires     int64   `json:"expires,omitempty"` // seconds since 1970; absent: never
	*gotMeta
}

// gotMeta is what is printed in addition with --meta.
type gotMeta struct {
	Size      uint64 `json:"size"`       // bytes of the value
	TTL       *int64 `json:"ttl"`        // seconds; null: it never expires
	Idle      int64  `json:"idle"`       // seconds since it was stored, or was read and memcached noted that
	CAS       uint64 `json:"cas"`        // 0: it has none
	SlabClass uint64 `json:"slab_class"` // 0: not known
	Extstore  bool   `json:"extstore"`
	Stale     bool   `json:"stale"`
	Won       bool   `json:"won"`
}

// got makes what is printed. value is nil if there is none.
func (g *getting) got(i *dump.Listed, value []byte, now int64) *gotItem {
	o := &gotItem{Flags: i.Flags, Expires: i.Expires}
	if key := string(i.Key); meta.IsText(i.Key) && utf8.Valid(i.Key) {
		o.Key = &key
	} else {
		o.KeyBase64 = i.Key
	}
	switch text := string(value); {
	case value == nil:
	case utf8.Valid(value):
		o.Value = &text
	default:
		o.ValueBase64 = value
	}
	if g.meta {
		o.gotMeta = &gotMeta{
			Size: i.Size, Idle: left(now, i.Used), CAS: i.CAS, SlabClass: i.Class, Extstore: i.Extstore, Stale: i.Stale, Won: i.Won,
		}
		if i.Expires > 0 {
			ttl := left(i.Expires, now)
			o.TTL = &ttl
		}
	}
	return o
}

// print prints an item in JSON: as a line, or as an element of the document.
func (g *getting) print(i *dump.Listed, value []byte) error {
	var text bytes.Buffer
	if g.asJSON {
		text.WriteString(g.before())
	}
	if err := newEncoder(&text).Encode(g.got(i, value, time.Now().Unix())); err != nil {
		return err
	}
	if g.asJSON {
		text.Truncate(text.Len() - 1) // the line feed: a comma may follow
	}
	return g.write(text.Bytes())
}

// before is what is before an element of the document.
func (g *getting) before() string {
	if g.begun {
		return ",\n    "
	}
	g.begun = true
	return "{\n  \"items\": [\n    "
}

// gotEnd is what follows the items in the document.
type gotEnd struct {
	Missing      []string    `json:"missing,omitempty"` // keys as quoted Go strings
	Lost         []string    `json:"lost,omitempty"`    // keys whose values could not be read
	Seconds      float64     `json:"seconds"`
	Engine       door.Engine `json:"engine"`
	EngineReason string      `json:"engine_reason,omitempty"`
	Error        string      `json:"error,omitempty"`
}

// end ends the document, and returns the error that the command ends with.
func (g *getting) end(counts *door.Dump, err error) error {
	end := gotEnd{Missing: quotedKeys(g.missing), Lost: quotedKeys(g.lost), Seconds: counts.Seconds, Engine: counts.Engine, EngineReason: counts.EngineReason}
	if err != nil {
		end.Error = err.Error()
	}
	var text bytes.Buffer
	if printed := printJSONTo(&text, end); printed != nil {
		return errors.Join(err, printed)
	}
	items := "\n  ],"
	if !g.begun {
		items = "{\n  \"items\": [],"
	}
	return errors.Join(err, g.write(append([]byte(items), bytes.TrimPrefix(text.Bytes(), []byte("{"))...)))
}

func quotedKeys(keys [][]byte) []string {
	var all []string
	for _, key := range keys {
		all = append(all, fmt.Sprintf("%q", key))
	}
	return all
}

// facts are lines about an item. now is in seconds since 1970.
func facts(i *dump.Listed, now int64) []byte {
	date := func(seconds int64) string { return time.Unix(seconds, 0).Format("2006-01-02 15:04:05 MST") }
	expires := "never"
	if i.Expires > 0 {
		expires = fmt.Sprintf("%s, in %s", date(i.Expires), span(left(i.Expires, now)))
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		name, value string
		has         bool
	}{
		{"key", shownKey(i.Key), true},
		{"size", door.Count(i.Size, "byte"), true},
		{"flags", fmt.Sprint(i.Flags), true},
		{"expires", expires, true},
		{"last use", fmt.Sprintf("%s, %s ago, or later", date(i.Used), span(left(now, i.Used))), true},
		{"CAS unique", fmt.Sprint(i.CAS), i.CAS > 0},
		{"CAS unique", "none (-C)", i.CAS == 0},
		{"slab class", fmt.Sprint(i.Class), i.Class > 0},
		{"extstore", "the value is on disk", i.Extstore},
		{"stale", "yes: it is served until a client has made it anew", i.Stale},
		{"won", "yes: a client was told to make it anew", i.Won},
	} {
		if line.has {
			fmt.Fprintf(w, "%s\t%s\n", line.name, line.value)
		}
	}
	_ = w.Flush() // into memory
	return text.Bytes()
}

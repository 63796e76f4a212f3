package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
)

var exportRows = flag.Int("rows", 2000, "the tests of what databases export: how many rows are drawn for each table")

// exportSeed is the same for all tables.
var exportSeed = sync.OnceValue(func() uint64 {
	if *mixedSeed != 0 {
		return *mixedSeed
	}
	return uint64(time.Now().UnixNano())
})

// The rows of a database are these: texts that a format may get wrong, by name (hostile), a NULL, keys that memcached
// does not take, and as many rows as were asked for, of which everything is drawn.

// A charset says what a column can hold.
type charset int

const (
	anyByte     charset = iota // binary strings
	utf8Text                   // every character
	utf8SansNUL                // PostgreSQL has no NUL in a text, and sqlite3 writes none
)

// drawRows draws the rows of a table. The seed is in the test's log.
func drawRows(t *testing.T, holds charset) contents {
	t.Helper()
	t.Logf("-rows %d -seed %d", *exportRows, exportSeed())
	d := drawer{rand.New(rand.NewPCG(exportSeed(), uint64(holds))), holds, nil}
	texts := hostile()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		d.texts = append(d.texts, texts[name])
	}
	rows := contents{
		"sql-null": nil,
		"":         []byte("its key is empty"),
		"most":     d.text(valueMax("most")),
		"too-much": d.text(valueMax("too-much") + 1),
	}
	for name, text := range texts {
		rows[name] = []byte(text)
	}
	if holds == anyByte {
		rows["latin1"] = []byte("Gr\xfc\xdfe\\\xff")
		rows["all"] = make([]byte, 256)
		for i := range rows["all"] {
			rows["all"][i] = byte(i)
		}
	}
	if holds != utf8SansNUL {
		rows["nul"] = []byte("a\x00b\x00")
	}
	for i := range *exportRows {
		key := d.key(i)
		value := d.value(key)
		if badKey(key) != "" && value == nil {
			value = []byte{} // which of the two is wrong is a matter of taste
		}
		rows[key] = value
	}
	return rows
}

// valueMax is the length of the longest value that an item of 1 MB has room for, behind its header, its CAS unique and its key
// with a NUL, and before a line end (memcached's items.c: item_make_header).
func valueMax(key string) int { return 1<<20 - 48 - 8 - (len(key) + 1) - 2 }

// badKey is the reason for which a key is rejected; "": it is not.
func badKey(key string) record.Reason {
	switch {
	case key == "":
		return record.EmptyKey
	case len(key) > 250:
		return record.KeyTooLong
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return record.KeyByte
	}
	return ""
}

// A drawer draws rows.
type drawer struct {
	*rand.Rand
	holds charset
	texts []string // hostile ones
}

// pieces mean something to a format, or look like what does.
var pieces = []string{
	"\n", "\r", "\r\n", "\t", " ", "  ", ",", ";", "|", `"`, `""`, `'`, `\`, `\\`, `\n`, `\t`, `\r`, `\0`, `\N`, `\.`, `\"`, `\'`, `\x41`, `\101`,
	`\u0041`, `\ud83d`, `\b`, `\Z`, "\n\\.\n", "\n\\N\n", "NULL", "null", "NaN", "true", "0", "-1", "1.50", "1e5", "0x1f", "007", "1,5", "2024-02-30",
	"{", "}", "{}", "{{", "[", "]", ":", `{"key":"k","value":"v"}`, `","`, "k\tv\n", "k,v\n", "set k 0 0 1\r\nv\r\n", "END\r\n", "%s", "$1", "${HOME}", "`", "--", "<b>",
	"&amp;", "sep=;\n", "COPY t FROM stdin;\n", "é", "e\u0301", "\u00a0", "\u0085", "\u2028", "\ufeff", "\ufffd", "\uffff", "🗒", "👩‍🚀", "世界", "\U0010ffff",
	"\x01", "\x08", "\x0b", "\x0c", "\x1a", "\x1b[0m", "\x1e", "\x1f", "\x7f", "a", "value", "Grüße",
}

// piece is one of them, or any byte or character that the column holds.
func (d *drawer) piece() string {
	for {
		var text string
		switch n := d.IntN(8); {
		case n < 5:
			return pieces[d.IntN(len(pieces))]
		case n == 5:
			text = string(rune(d.IntN(0x80)))
		case d.holds == anyByte:
			text = string([]byte{byte(d.IntN(0x100))})
		default:
			text = string(rune(d.IntN(0x110000) >> d.IntN(12))) // half of a surrogate pair becomes U+FFFD
		}
		if text != "\x00" || d.holds != utf8SansNUL {
			return text
		}
	}
}

// text draws one of a length in bytes.
func (d *drawer) text(size int) []byte {
	var text []byte
	for len(text) < size {
		piece := d.piece()
		if len(text)+len(piece) <= size {
			text = append(text, piece...)
		} else if size-len(text) < 4 {
			text = append(text, '\\')
		}
		// What is long repeats itself now and then, as rows do.
		if len(text) > 1000 && 2*len(text) <= size {
			text = append(text, text...)
		}
	}
	return text
}

func (d *drawer) value(key string) []byte {
	switch d.IntN(20) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2, 3, 4:
		return []byte(d.piece())
	case 5:
		if text := d.texts[d.IntN(len(d.texts))]; len(text) < 10_000 {
			return []byte(text)
		}
	case 6:
		return d.text(d.IntN(3000))
	}
	if d.IntN(1000) == 0 {
		return d.text(d.IntN(valueMax(key) + 1))
	}
	var text []byte
	for range d.IntN(12) {
		text = append(text, d.piece()...)
	}
	return text
}

// key draws the key of a row, by whose number it differs from the others. One in fifty is not a key for memcached.
func (d *drawer) key(i int) string {
	if d.IntN(2) == 0 {
		return fmt.Sprint("k:", i)
	}
	good := func() string {
		var text string
		for range d.IntN(4) {
			if m := pieces[d.IntN(len(pieces))]; badKey(m) == "" {
				text += m
			}
		}
		return text
	}
	// In the first row a byte order mark would be taken off.
	key := strings.TrimLeft(fmt.Sprint(good(), "-", i, "-", good()), "\ufeff")
	switch d.IntN(50) {
	case 0:
		bad := []string{" ", "\t", "\n", "\r", "\r\n", "\x01", "\x1f", "\x7f", "\x0b"}
		key += bad[d.IntN(len(bad))] + good()
	case 1:
		key += strings.Repeat("x", max(250-len(key), 0)) // the longest
	case 2:
		key += strings.Repeat("x", max(251-len(key), 0))
	}
	return key
}

// A dialect is a way in which a database's program writes rows, and the options by which the client reads them.
type dialect struct {
	export *exec.Cmd
	load   []string
	want   contents // what is to be stored, by keys; nil is a row that is to be skipped
	// read takes the column that want has from what is stored; nil: want has all of it.
	read func(stored string) string
}

// loaded loads what each dialect writes into a memcached of its own. No value differs from the database's: a row is right,
// or is refused with a reason.
func loaded(t *testing.T, dialects map[string]dialect) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t), "-m", "1024")
			want, reasons, items := d.want.outcome()
			l := s.pipe(d.export, want, d.load...)
			if !maps.Equal(l.Reasons, reasons) {
				t.Errorf("%v, want %v", l.Reasons, reasons)
			}
			s.reads(items, d.read)
			t.Logf("%d rows: %d stored, %d rejected, %d skipped, %d bytes", l.Rows, l.Stored, l.Rejected, l.Skipped, l.Bytes)
		})
	}
}

// outcome is what is to become of rows: what is counted, why rows are rejected or skipped, and what is stored.
func (rows contents) outcome() (account, map[string]uint64, map[string]string) {
	counts, reasons, items := account{rows: rows.count()}, map[string]uint64{}, map[string]string{}
	for key, value := range rows {
		reason := badKey(key)
		switch {
		case reason != "":
			counts.rejected++
		case value == nil:
			counts.skipped++
			reason = record.NullValue
		case len(value) > valueMax(key):
			counts.rejected++
			reason = unstored.TooLarge
		default:
			counts.stored++
			items[key] = string(value)
			continue
		}
		reasons[string(reason)]++
	}
	return counts, reasons, items
}

// null are the rows with something for NULL.
func (rows contents) null(text string) contents {
	other := maps.Clone(rows)
	for key, value := range other {
		if value == nil {
			other[key] = []byte(text)
		}
	}
	return other
}

// withoutNull are the rows that are not NULL.
func (rows contents) withoutNull() contents {
	other := maps.Clone(rows)
	maps.DeleteFunc(other, func(_ string, value []byte) bool { return value == nil })
	return other
}

// skipping are the rows without those whose value is a text.
func (rows contents) skipping(text string) contents {
	other := maps.Clone(rows)
	for key, value := range other {
		if value != nil && string(value) == text {
			other[key] = nil
		}
	}
	return other
}

// under are the rows with what their keys begin with.
func (rows contents) under(prefix string) contents {
	other := contents{}
	for key, value := range rows {
		other[prefix+key] = value
	}
	return other
}

// equal says that two are the same rows, byte for byte.
func (rows contents) equal(other contents) bool {
	return maps.EqualFunc(rows, other, func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) })
}

// member takes a member's text from a JSON object.
func member(name string) func(stored string) string {
	return func(stored string) string {
		var object map[string]*string
		if err := json.Unmarshal([]byte(stored), &object); err != nil {
			return fmt.Sprintf("%v: %s", err, stored)
		}
		if object[name] == nil {
			return jsonNull
		}
		return *object[name]
	}
}

// jsonNull is what a member without a text is read as.
const jsonNull = "no text"

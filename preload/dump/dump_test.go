package dump

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/walk"
)

// items are a source whose walk meets two items at a time.
type items []walk.Item

func (s items) Walk(o walk.Options) (walk.Walker, error) { return &walker{s, o, 0}, nil }

type walker struct {
	items
	options walk.Options
	at      int
}

func (w *walker) Next(each func(*walk.Item) error) error {
	if w.at == len(w.items) {
		return io.EOF
	}
	for range min(2, len(w.items)-w.at) {
		i := w.items[w.at]
		w.at++
		if w.options.KeysOnly {
			i.Value = nil
		}
		i.Size = len(w.items[w.at-1].Value)
		if err := each(&i); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) Part() float64 { return float64(w.at) / float64(len(w.items)) }
func (w *walker) Close()        {}

var some = items{
	{Key: []byte("plain"), Value: []byte("value"), TTL: -1},
	{Key: []byte("empty"), Value: []byte{}, TTL: 100, Flags: 1<<32 - 1},
	{Key: []byte("binary value"[:6]), Value: []byte("\x00\xff\r\nmn\r\nms a 1\r\n"), TTL: -1, Flags: 5},
	{Key: []byte("ключ"), Value: []byte(`"quoted", and \ escaped`), TTL: 3600},
}

// marks are items that are stale, and whose tokens were won.
var marks = items{
	{Key: []byte("stale"), Value: []byte("value"), TTL: -1, Stale: true},
	{Key: []byte("both"), Value: []byte("\r\nmd both I q\r\n"), TTL: 3600, Stale: true, Won: true},
	{Key: []byte("won"), Value: []byte{}, TTL: -1, Won: true},
	{Key: []byte("brief"), Value: []byte("value"), TTL: 3600, Flags: 7, Won: true},
}

func dumped(t *testing.T, source walk.Source, o Options) (string, Counts) {
	t.Helper()
	var out bytes.Buffer
	counts, err := Dump(source, nil, &out, o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if counts.Unwritten() != 0 || counts.Bytes != uint64(out.Len()) || counts.Part != 1 {
		t.Errorf("%+v, %d bytes", counts, out.Len())
	}
	return out.String(), counts
}

// read parses a text as a load would.
func read(t *testing.T, text string, o record.Options) (rows []string, complete bool) {
	t.Helper()
	o.ValueMax = 1 << 20
	p, err := record.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for data := []byte(text); len(data) > 0; {
		var row record.Row
		switch kind := p.Next(data, true, &row); kind {
		case record.Item:
			rows = append(rows, shown(&row, data))
		case record.Nothing:
		default:
			t.Fatalf("%d at %.100q: %s", kind, data, row.Reason)
		}
		data = data[row.Size:]
	}
	return rows, !p.Incomplete()
}

func shown(row *record.Row, data []byte) string {
	return fmt.Sprintf("%s=%q f%d t%d %t %t", row.Key.Of(data), row.Value.Of(data), row.Flags, row.TTL, row.Stale, row.Won)
}

// What is dumped in any format is read again unchanged.
func TestDumpAgain(t *testing.T) {
	wanted := func(source items, marked bool) (want []string) {
		for _, i := range source {
			want = append(want, fmt.Sprintf("%s=%q f%d t%d %t %t", i.Key, i.Value, i.Flags, max(i.TTL, 0), marked && i.Stale, marked && i.Won))
		}
		return want
	}
	for _, tt := range []struct {
		format Format
		record record.Options
		source items
	}{
		{"", record.Options{Format: record.Dump}, slices.Concat(some, marks)},
		{MS, record.Options{Format: record.Memcached}, some},
		{JSONL, record.Options{Format: record.JSONL}, slices.Concat(some, marks)},
		{CSV, record.Options{Format: record.CSV, Header: true, Key: "key", Value: "value", FlagsColumn: "flags", ExpiresColumn: "expires"}, slices.Concat(some, marks)},
	} {
		want := wanted(tt.source, tt.format != CSV)
		// Times to live have become dates: they may be a second less.
		for try := range 3 {
			text, counts := dumped(t, tt.source, Options{Format: tt.format})
			if unmarked := counts.Unmarked == uint64(len(marks)); unmarked != (tt.format == CSV) {
				t.Errorf("%s: %+v", tt.format, counts)
			}
			got, complete := read(t, text, tt.record)
			if !complete {
				t.Errorf("%s: it is not complete", tt.format)
			}
			if fmt.Sprint(got) == fmt.Sprint(want) {
				break
			}
			if try == 2 {
				t.Errorf("%s:\n%s\nwant\n%s\nof %s", tt.format, got, want, text)
			}
		}
	}
}

// The format is that of memcached's commands, to the byte.
func TestCommands(t *testing.T) {
	now := time.Now().Unix()
	for _, tt := range []struct {
		item walk.Item
		want string
	}{
		{walk.Item{Key: []byte("k"), Value: []byte("v"), TTL: -1}, "ms k 1 O%08x q\r\nv\r\n"},
		{walk.Item{Key: []byte("k"), Value: []byte{}, TTL: 0}, fmt.Sprintf("ms k 0 T%d O%%08x q\r\n\r\n", now)},
		{walk.Item{Key: []byte("a b"), Value: []byte("v"), TTL: -1, Flags: 7}, "ms YSBi 1 b F7 O%08x q\r\nv\r\n"},
		{walk.Item{Key: make([]byte, 189), Value: []byte("v"), TTL: -1, Flags: 7}, "ms - 1 K" + strings.Repeat("AAAA", 63) + " F7 O%08x q\r\nv\r\n"},
	} {
		head, _, _ := strings.Cut(tt.want, " O")
		want := fmt.Sprintf(strings.ReplaceAll(tt.want, "%%", "%"), meta.Checksum([]byte(head), tt.item.Value, nil))
		if got := string((&commands{}).item(nil, &tt.item, now)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	marked := string((&commands{}).item(nil, &walk.Item{Key: []byte("a b"), Value: []byte("v"), TTL: -1, Stale: true, Won: true}, now))
	behind := "md YSBi b I q\r\nmg YSBi b u\r\n"
	if want := fmt.Sprintf("ms YSBi 1 b O%08xXZ q\r\nv\r\n%s", meta.Checksum([]byte("ms YSBi 1 b"), []byte("v"), []byte(behind)), behind); marked != want {
		t.Errorf("%q, want %q", marked, want)
	}
	// CRC-32C of "123456789", as usually published (RFC 3720, appendix B.4, has others).
	if sum := meta.Checksum([]byte("1234"), []byte("567"), []byte("89")); sum != 0xe3069283 {
		t.Errorf("%08x", sum)
	}
}

// Any single bit that is flipped is noticed: no other row is read.
func TestBits(t *testing.T) {
	text, _ := dumped(t, slices.Concat(some, marks), Options{})
	good, _ := read(t, text, record.Options{Format: record.Dump})
	known := map[string]bool{}
	for _, row := range good {
		known[row] = true
	}
	for bit := range 8 * len(text) {
		data := []byte(text)
		data[bit/8] ^= 1 << (bit % 8)
		p, err := record.New(record.Options{Format: record.Dump, ValueMax: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for len(data) > 0 {
			var row record.Row
			if p.Next(data, true, &row) == record.Item {
				what := shown(&row, data)
				whole++
				if !known[what] && row.TTL == 0 { // with a date it may be a second less
					t.Fatalf("bit %d: %s", bit, what)
				}
			}
			data = data[row.Size:]
		}
		if whole == len(good) && !p.Incomplete() && !harmless(text, bit) {
			t.Fatalf("bit %d of %q is changed, and that is not noticed", bit, text[max(0, bit/8-20):][:30])
		}
	}
}

// harmless reports whether a bit may be flipped, such as that of the case of a checksum's letter.
func harmless(text string, bit int) bool {
	line := text[strings.LastIndex(text[:bit/8+1], "\n")+1:]
	at := bit/8 - (len(text) - len(line))
	o := strings.Index(line, " O")
	return o >= 0 && at > o+1 && at < o+len(" O01234567")
}

func TestKeysOnly(t *testing.T) {
	for format, want := range map[Format]string{
		"":    "plain\nempty\nbinary\n%D0%BA%D0%BB%D1%8E%D1%87\n",
		JSONL: `{"key":"plain","size":5}` + "\n",
		CSV:   "key,size,flags,expires\n\"plain\",5,0,0\n",
	} {
		if got, _ := dumped(t, some, Options{Format: format, KeysOnly: true}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	wanted, err := filter.New(filter.Options{MinTTL: 101})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	counts, err := Dump(some, wanted, &out, Options{KeysOnly: true}, Hooks{})
	if want := "plain\nbinary\n%D0%BA%D0%BB%D1%8E%D1%87\n"; err != nil || out.String() != want || counts.Filtered != 1 || counts.Written != 3 {
		t.Errorf("%q, %+v, %v", out.String(), counts, err)
	}
}

// Items in extstore are fetched; those that cannot be are counted and named, and the dump is not complete.
func TestExternal(t *testing.T) {
	source := items{
		{Key: []byte("here"), Value: []byte("1"), TTL: -1},
		{Key: []byte("far"), TTL: -1, External: true},
		{Key: []byte("lost"), TTL: -1, External: true},
		{Key: []byte("deleted"), TTL: -1, External: true},
	}
	var out bytes.Buffer
	fetch := func(items []*walk.Item) error {
		for _, i := range items {
			switch string(i.Key) {
			case "far":
				i.Value, i.External = []byte("fetched"), false
			case "deleted":
				i.Gone = true
			}
		}
		return nil
	}
	counts, err := Dump(source, nil, &out, Options{}, Hooks{Fetch: fetch})
	if err != nil || counts.Items != 3 || counts.Written != 2 || counts.Lost != 1 || fmt.Sprint(counts.Keys) != "[lost]" {
		t.Errorf("%+v, %v", counts, err)
	}
	if text := out.String(); !strings.Contains(text, "fetched\r\n") || strings.HasSuffix(text, "mn\r\n") {
		t.Errorf("%q", text)
	}
	failed := errors.New("failed")
	counts, err = Dump(source, nil, &out, Options{}, Hooks{Fetch: func([]*walk.Item) error { return failed }})
	if !errors.Is(err, failed) || counts.Items == 0 || counts.Unwritten() != counts.Items {
		t.Errorf("%+v, %v", counts, err)
	}
	if got, counts := dumped(t, source, Options{KeysOnly: true}); got != "here\nfar\nlost\ndeleted\n" || counts.Lost != 0 {
		t.Errorf("%q, %+v", got, counts)
	}
}

// Readers of JSON and CSV read what was written.
func TestOracles(t *testing.T) {
	text, _ := dumped(t, some, Options{Format: JSONL})
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var row struct {
			Key, Value string
			Base64     []byte `json:"value_base64"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Key != string(some[n].Key) || row.Value+string(row.Base64) != string(some[n].Value) {
			t.Errorf("%+v", row)
		}
	}
	text, _ = dumped(t, some, Options{Format: CSV})
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for n, row := range rows[1:] {
		// encoding/csv reads a carriage return and a line feed as a line feed.
		if row[0] != string(some[n].Key) || row[1] != strings.ReplaceAll(string(some[n].Value), "\r\n", "\n") {
			t.Errorf("%q", row)
		}
	}
}

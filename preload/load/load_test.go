package load

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/record"
)

// poorStore is a store that has no memory for keys that begin with "no", and room for values of 1000 bytes.
type poorStore struct{ stored *strings.Builder }

func (poorStore) BinaryKeyMax() int                              { return 250 }
func (poorStore) HasCAS() bool                                   { return true }
func (poorStore) HasStale() bool                                 { return true }
func (poorStore) ItemSizeMax() uint64                            { return 1000 }
func (poorStore) ItemSize(nkey int, _ uint32, nvalue int) uint64 { return uint64(nkey + nvalue) }
func (s poorStore) Open() (batch.Sink, error)                    { return s, nil }
func (poorStore) Close()                                         {}

func (s poorStore) Submit(b *batch.Batch) {
	for i := range b.Len() {
		value, fits := b.Value(i)
		switch {
		case b.Row(i).Command == batch.Expire:
			fmt.Fprintf(s.stored, "-%s,", b.Key(i))
			b.Settle(i, batch.Expired)
		case !fits:
			b.Settle(i, batch.TooLarge)
		case bytes.HasPrefix(b.Key(i), []byte("no")):
			b.Settle(i, batch.NoMemory)
		default:
			fmt.Fprintf(s.stored, "%s=%d,", b.Key(i), len(value))
			b.Settle(i, batch.Stored)
		}
	}
	b.Finish(nil)
}

// Look finds all keys but those that end with "gone".
func (poorStore) Look(b *batch.Batch) {
	for i := range b.Len() {
		outcome := batch.Stored
		if bytes.HasSuffix(b.Key(i), []byte("gone")) {
			outcome = batch.Missing
		}
		b.Settle(i, outcome)
	}
	b.Finish(nil)
}

// file is an Output in memory.
type file struct{ bytes.Buffer }

func (f *file) Empty() bool { return f.Len() == 0 }

// loadText loads text and checks that every row is accounted for.
func loadText(t *testing.T, input string, options Options) (stored string, counts Counts, err error) {
	t.Helper()
	var kept strings.Builder
	options.RejectsKept = 10
	counts, err = Load(poorStore{&kept}, text{strings.NewReader(input)}, options)
	if counts.Rows != counts.Stored+counts.Rejected+counts.Skipped {
		t.Errorf("the counts do not add up: %+v", counts)
	}
	return kept.String(), counts, err
}

func TestRejects(t *testing.T) {
	long := strings.Repeat("x", 3<<20) // longer than a batch's data, and than any item
	for _, tt := range []struct {
		name, input     string
		options         record.Options
		stored          string
		rejects, reason string
	}{
		{
			name: "none", input: "a\t1\nb\t2", stored: "a=1,b=1,",
		},
		{
			name: "all", input: "a\nb", rejects: "a\nb\n",
			reason: "1\t1\tno tab between key and value\t\"a\"\n2\t1\tno tab between key and value\t\"b\"\n",
		},
		{
			name: "in the order of the input", input: "no1\t1\na b\t1\nc\t3\nno2\t2\n\t\n", stored: "c=1,", rejects: "no1\t1\na b\t1\nno2\t2\n\t\n",
			reason: "1\t0\tout of memory in memcached\t\"no1\"\n2\t2\tspace or control byte in the key\t\"a b\"\n" +
				"4\t0\tout of memory in memcached\t\"no2\"\n5\t1\tempty key\t\"\"\n",
		},
		{
			name: "too long, between others", input: "no1\t1\nbig\t" + long + "\nno2\t2\nc\t3\n", stored: "c=1,",
			rejects: "no1\t1\nbig\t" + long + "\nno2\t2\n",
			reason: "1\t0\tout of memory in memcached\t\"no1\"\n2\t0\tvalue too large for memcached's item size limit (-I)\t\"big\"\n" +
				"3\t0\tout of memory in memcached\t\"no2\"\n",
		},
		{
			name: "too long, at the end", input: "c\t3\nbig\t" + long, stored: "c=1,", rejects: "big\t" + long + "\n",
			reason: "2\t0\tvalue too large for memcached's item size limit (-I)\t\"big\"\n",
		},
		{
			name: "too long without a key", input: long + "\nc\t3\n", stored: "c=1,", rejects: long + "\n",
			reason: "1\t1\tno tab between key and value\t\"" + long[:250] + "\"\n",
		},
		{
			name: "with the header, and on several lines", options: record.Options{Format: record.CSV, Header: true},
			input:  "k,v\r\na,\"1\n2\"\r\nno1,\"x\ny\"\r\nb,2,3\r\nc,\"\n\"\nd\n",
			stored: "a=3,c=1,", rejects: "k,v\r\nno1,\"x\ny\"\r\nb,2,3\r\nd\n",
			reason: "4\t0\tout of memory in memcached\t\"no1\"\n6\t5\tmore columns than expected: 3 instead of 2\t\"\"\n9\t2\tfewer columns than expected: 1 instead of 2\t\"\"\n",
		},
		{
			name: "of commands", options: record.Options{Format: record.Memcached},
			input:  "set a 0 0 3\r\n1\n2\r\nset no1 0 0 2\r\n\r\n\r\nset b 0 0 2000\r\n" + long[:2000] + "\r\nset c 0 0 0\r\n\r\n",
			stored: "a=3,c=0,", rejects: "set no1 0 0 2\r\n\r\n\r\nset b 0 0 2000\r\n" + long[:2000] + "\r\n",
			reason: "4\t0\tout of memory in memcached\t\"no1\"\n7\t0\tvalue too large for memcached's item size limit (-I)\t\"b\"\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rows, reasons file
			stored, counts, err := loadText(t, tt.input, Options{Record: tt.options, Rejects: &rows, Reasons: &reasons})
			if err != nil {
				t.Fatal(err)
			}
			if stored != tt.stored {
				t.Errorf("stored %q, want %q", stored, tt.stored)
			}
			if got := rows.String(); got != tt.rejects {
				t.Errorf("rejects are\n%.500q, want\n%.500q", got, tt.rejects)
			}
			if got := reasons.String(); got != tt.reason {
				t.Errorf("reasons are\n%.500s, want\n%.500s", got, tt.reason)
			}
			if n := strings.Count(tt.reason, "\n"); counts.Rejected != uint64(n) || len(counts.Rejects) != n {
				t.Errorf("%d rejected, %d listed, want %d", counts.Rejected, len(counts.Rejects), n)
			}
		})
	}
}

// What was rejected can be loaded again, with the same result.
func TestRejectsAgain(t *testing.T) {
	options := record.Options{Format: record.CSV, Header: true, Key: "k", Value: "json"}
	var first, second, reasons file
	input := "k,v\n" + strings.Repeat("a,1\nno,2\nb\n\"c\" ,\nno3,\"\n\"\n", 5000)
	if _, _, err := loadText(t, input, Options{Record: options, Rejects: &first, Reasons: &reasons}); err != nil {
		t.Fatal(err)
	}
	_, counts, err := loadText(t, first.String(), Options{Record: options, Rejects: &second, Reasons: &reasons})
	if err != nil || counts.Rejected != 4*5000 || counts.Rows != counts.Rejected {
		t.Errorf("%+v, %v", counts, err)
	}
	if first.String() != second.String() {
		t.Error("the rejects of the rejects are others")
	}
}

type full struct{ file }

var errFull = errors.New("no space left")

func (*full) Write([]byte) (int, error) { return 0, errFull }

// A load whose rejects cannot be written fails.
func TestRejectsFull(t *testing.T) {
	for _, input := range []string{"a\n", strings.Repeat("a\n", 100000)} {
		var reasons file
		_, counts, err := loadText(t, input, Options{Rejects: &full{}, Reasons: &reasons})
		if !errors.Is(err, ErrWrite) || !errors.Is(err, errFull) || counts.Rejected == 0 {
			t.Errorf("%+v, %v", counts, err)
		}
	}
}

func TestMaxErrors(t *testing.T) {
	row := func(n int, bad func(int) bool) string {
		var b strings.Builder
		for i := range n {
			if bad(i) {
				b.WriteString("bad\n")
			} else {
				fmt.Fprintf(&b, "k%d\tv\n", i)
			}
		}
		return b.String()
	}
	tenth := func(i int) bool { return i%10 == 9 }
	for _, tt := range []struct {
		name, input, limit string
		rows, rejected     uint64
		limited            bool
	}{
		{"none allowed, none there", "a\t1\n", "0", 1, 0, false},
		{"none allowed", "a\t1\nb\nc\t3\n", "0", 2, 1, true},
		{"as many as are allowed", row(100, tenth), "10", 100, 10, false},
		{"one more", row(100, tenth), "9", 100, 10, true},
		{"one more, in the middle", row(100000, tenth), "9", 100, 10, true},
		{"a part", row(100000, tenth), "10%", 100000, 10000, false},
		{"more than a part", row(100000, tenth), "9.9%", 1000, 100, true},
		{"more than a part of few rows", row(20, tenth), "9%", 20, 2, true},
		{"rows that the store rejects", row(9, tenth) + "no1\t\nno2\t\n", "1", 11, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, counts, err := loadText(t, tt.input, Options{Limits: limits.Options{MaxErrors: tt.limit}})
			if err != nil || counts.Rows != tt.rows || counts.Rejected != tt.rejected || counts.Limited != tt.limited {
				t.Errorf("%+v, %v", counts, err)
			}
		})
	}
}

// A row that is longer than any item may be the last one that is read.
func TestLimitInLongRow(t *testing.T) {
	for _, long := range []int{1 << 20, 2 << 20, 5 << 20} {
		input := "a b\t" + strings.Repeat("x", long) + "\nk\tv\n"
		stored, counts, err := loadText(t, input, Options{Limits: limits.Options{MaxErrors: "0"}})
		if err != nil || stored != "" || counts.Rows != 1 || counts.Rejected != 1 || !counts.Limited {
			t.Errorf("%d bytes: %q, %+v, %v", long, stored, counts, err)
		}
	}
}

// An option that does not fit the input ends the load before a row is stored.
func TestWrongOption(t *testing.T) {
	stored, counts, err := loadText(t, "a,b\n1,2\n", Options{Record: record.Options{Format: record.CSV, Header: true, Key: "c"}})
	if _, ok := errors.AsType[*option.Error](err); !ok || stored != "" || counts.Rows != 0 {
		t.Errorf("%q stored, %+v, %v", stored, counts, err)
	}
}

// A load that was interrupted resumes there, and no row is left out or stored twice.
func TestResume(t *testing.T) {
	for name, test := range map[string]struct {
		options    record.Options
		first, row string // of the input, and a format of the others
	}{
		"array": {record.Options{Format: record.JSONL}, "[", `{"key":"%s","value":"v"},`},
		"tsv":   {options: record.Options{Format: record.TSV}, row: "%s\tv\n"},
		"raw":   {row: "%s\tv\n"},
		"dump":  {record.Options{Format: record.CSV}, "key,value,flags,expires\n", "%s,v,0,0\n"},
		"csv":   {record.Options{Format: record.CSV, Header: true, Null: record.NullEmpty}, "key,value\n", "%s,\"a\nb\"\n"},
		// Behind the first row nothing shows what separates columns.
		"sep":       {record.Options{Format: record.CSV}, "sep=|\n", "%s|v\n"},
		"semicolon": {record.Options{Format: record.CSV, Key: "1", Value: "2"}, "first;v\n", "%s,;v,w\n"},
		// What shows that backslashes are data is in the second row.
		"backslashes":              {record.Options{Format: record.CSV}, "a,b\nc,\"d\"\"\"\n", "%s,\"a\\\nb\"\n"},
		"backslashes, a delimiter": {record.Options{Format: record.CSV, Delimiter: ","}, "a,b\nc,\"d\"\"\"\n", "%s,\"a\\\nb\"\n"},
		// Behind the rows of psql's first table.
		"comments": {record.Options{Format: record.PSQL, Key: "1", Value: "1"}, "a\n", "--%s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			options := test.options
			var input strings.Builder
			input.WriteString(test.first)
			bad := "bad\n"
			switch options.Format {
			case record.JSONL:
				bad = `{"key":"bad"},`
			case record.PSQL:
				bad = "b ad\n"
			}
			long := strings.Repeat("x", 2<<20) // is cut, and ends a batch
			for i := range 30000 {
				key := fmt.Sprint(i)
				if i%5000 == 0 && i > 0 { // the load resumes here: this is no byte order mark
					key = "\xef\xbb\xbf" + key
				}
				if name == "raw" && i == 20000 {
					fmt.Fprintf(&input, "%s\t%s\n", key, long)
				} else {
					fmt.Fprintf(&input, test.row, key)
				}
				if i%5000 == 4999 {
					input.WriteString(bad)
				}
			}
			if options.Format == record.JSONL {
				input.WriteString("]")
			}
			whole, all, err := loadText(t, input.String(), Options{Record: options})
			if err != nil {
				t.Fatal(err)
			}
			var pieces string
			var rows, rejected uint64
			at := Position{}
			for n := 0; ; n++ {
				piece, counts, err := loadText(t, input.String(), Options{Record: options, From: at, Limits: limits.Options{MaxErrors: "0"}})
				if err != nil {
					t.Fatal(err)
				}
				pieces += piece
				rows += counts.Rows
				rejected += counts.Rejected
				for _, r := range counts.Rejects {
					if r.Line <= at.Lines {
						t.Errorf("line %d is rejected in a load that resumes behind line %d", r.Line, at.Lines)
					}
				}
				if !counts.Limited {
					break
				}
				if at = counts.Position; n > 10 {
					t.Fatal("it does not come to an end")
				}
			}
			if pieces != whole || rows != all.Rows || rejected != all.Rejected {
				t.Errorf("%d rows, %d rejected, %d bytes of keys; at once %d, %d, %d", rows, rejected, len(pieces), all.Rows, all.Rejected, len(whole))
			}
		})
	}
}

// What the input begins with may be too long to be read, and is accounted for already.
func TestResumeBehindLongRow(t *testing.T) {
	first := "a b;" + strings.Repeat("x", 3<<20) + "\n"
	input := first + "k,;v\nl,;w\n"
	var bad, reasons file
	options := Options{Record: record.Options{Format: record.CSV, Key: "1", Value: "2"}, From: Position{Offset: int64(len(first)), Lines: 1}, Rejects: &bad, Reasons: &reasons}
	stored, counts, err := loadText(t, input, options)
	if err != nil || stored != "k=2,l=2," || counts.Rows != 2 || bad.String() != "" {
		t.Errorf("%q, %+v, %v, rejects %q", stored, counts, err, bad.String())
	}
}

// The rows that are looked for at the end are all, or some of them, each with the same probability.
func TestGone(t *testing.T) {
	for _, tt := range []struct {
		rows, gone int // of each 10
		all        bool
	}{
		{100, 0, true}, {100, 10, true}, {4000, 3, true}, {300000, 3, false}, {300000, 0, false},
	} {
		var input strings.Builder
		for i := range tt.rows {
			suffix := ""
			// The first rows are gone, as in a cache that evicts the oldest items.
			if i < tt.rows*tt.gone/10 {
				suffix = "gone"
			}
			fmt.Fprintf(&input, "k%d%s\tv\n", i, suffix)
		}
		sample := NewSample()
		if _, _, err := loadText(t, input.String(), Options{Sample: sample}); err != nil {
			t.Fatal(err)
		}
		g, err := sample.Look(poorStore{})
		if err != nil || g == nil {
			t.Fatalf("%+v, %v", g, err)
		}
		part := float64(g.Missing) / float64(g.Looked) * 10
		if g.All != tt.all || g.All && g.Looked != uint64(tt.rows) || g.All && part != float64(tt.gone) {
			t.Errorf("%d of %d rows are gone, all %t; want %d of 10, all %t", g.Missing, g.Looked, g.All, tt.gone, tt.all)
		}
		// Four standard deviations of a sample of 4096 are 0.3 of 10.
		if part < float64(tt.gone)-0.3 || part > float64(tt.gone)+0.3 {
			t.Errorf("%.2f of 10 rows are gone, want %d", part, tt.gone)
		}
	}
}

// A row that has expired takes out its key's old value if memcached would.
func TestExpired(t *testing.T) {
	stored, counts, err := loadText(t, "set a 0 -1 1\r\n1\r\nadd b 0 -1 1\r\n1\r\nreplace c 0 -1 1\r\n1\r\nset d 0 0 1\r\n1\r\n",
		Options{Record: record.Options{Format: record.Memcached}})
	if err != nil || stored != "-a,-c,d=1," || counts.Skipped != 3 || counts.Reasons[record.Expired] != 3 {
		t.Errorf("%q, %+v, %v", stored, counts, err)
	}
}

// Rows that have expired are not gone.
func TestGoneExpires(t *testing.T) {
	sample := NewSample()
	if _, _, err := loadText(t, "agone\t1\nbgone\t1\n", Options{Record: record.Options{TTL: 1}, Sample: sample}); err != nil {
		t.Fatal(err)
	}
	if g, err := sample.Look(poorStore{}); err != nil || g != nil {
		t.Errorf("%+v, %v", g, err)
	}
}

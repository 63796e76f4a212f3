package load

import (
	"io"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
	"memcached-backdoor/preload/walk"
)

// dumpOf is a dump of items.
func dumpOf(t *testing.T, items ...walk.Item) string {
	t.Helper()
	var out strings.Builder
	if _, err := dump.Dump(itemsOf(items), nil, &out, dump.Options{}, dump.Hooks{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// itemsOf are a cache of few items.
type itemsOf []walk.Item

func (s itemsOf) Walk(walk.Options) (walk.Walker, error) { return &fewWalker{s}, nil }

type fewWalker struct{ left itemsOf }

func (w *fewWalker) Next(each func(*walk.Item) error) error {
	for at := range w.left {
		if err := each(&w.left[at]); err != nil {
			return err
		}
	}
	return io.EOF
}

func (*fewWalker) Part() float64 { return 1 }
func (*fewWalker) Close()        {}

// A client that goes is noticed between two rows, each of which takes long to choose.
func TestChooseGone(t *testing.T) {
	wanted, err := filter.New(filter.Options{Regex: strings.Repeat(".?", 1000) + "$"})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 1000
	looks := 0
	counts, err := Load(taker{}, gone{text{strings.NewReader(strings.Repeat(strings.Repeat("k", 250)+"\t\n", rows))}, &looks}, Options{Wanted: wanted})
	if err != nil || !counts.Canceled || counts.Rows != 0 || looks != 1 {
		t.Errorf("%+v, %v, looked %d times", counts, err, looks)
	}
}

// gone is a text whose client goes as soon as all of it is read.
type gone struct {
	text
	looks *int
}

func (g gone) Wait(input bool, done int, limit time.Duration) (Ready, error) {
	if limit == 0 {
		*g.looks++
		return Ready{Gone: true}, nil
	}
	return g.text.Wait(input, done, limit)
}

// A row that is not among those that were asked for is skipped, whatever else is to be said of it: nothing is stored,
// removed or written to the rejects for it.
func TestChoose(t *testing.T) {
	long := strings.Repeat("x", 3<<20) // longer than a batch's data, and than any item
	of := func(key, value string, ttl int64) walk.Item {
		return walk.Item{Key: []byte(key), Value: []byte(value), TTL: ttl}
	}
	dumped := dumpOf(t, of("a:1", "1", -1), of("a:2", "22", 100), of("b:1", "333", 5), of("a:3", long, -1), of("b:2", long, -1), of("a:end", "", -1))
	damaged := strings.Replace(dumped, "\r\n333\r\n", "\r\n334\r\n", 1)
	gone := "set a 0 -1 1\r\n1\r\nset b 0 -1 1\r\n1\r\nset c x 0 1\r\n1\r\nset d x 0 1\r\n1\r\n"
	for _, test := range []struct {
		name, input string
		format      record.Format
		prefix      string // of the keys that the rows get
		wanted      filter.Options
		stored      string
		rejects     string // the keys in their log
		skipped     uint64
	}{
		{"all", dumped, record.Dump, "", filter.Options{}, "a:1=1,a:2=2,b:1=3,a:end=0,", "a:3 b:2", 0},
		{"by a prefix, long ones too", dumped, record.Dump, "", filter.Options{Prefix: "a:"}, "a:1=1,a:2=2,a:end=0,", "a:3", 2},
		{"by their own keys", dumped, record.Dump, "x", filter.Options{Prefix: "b:"}, "xb:1=3,", "xb:2", 4},
		{"by a pattern", dumped, record.Dump, "", filter.Options{Match: "?:2"}, "a:2=2,", "b:2", 4},
		{"by a regular expression", dumped, record.Dump, "", filter.Options{Regex: "^a:[12]"}, "a:1=1,a:2=2,", "", 4},
		{"by size", dumped, record.Dump, "", filter.Options{MinSize: 3}, "b:1=3,", "a:3 b:2", 3},
		{"by life", dumped, record.Dump, "", filter.Options{MinTTL: 50}, "a:1=1,a:2=2,a:end=0,", "a:3 b:2", 1},
		{"by having no end", dumped, record.Dump, "", filter.Options{NeverExpires: true}, "a:1=1,a:end=0,", "a:3 b:2", 2},
		{"a damaged one has no key", damaged, record.Dump, "", filter.Options{Prefix: "a:"}, "a:1=1,a:2=2,a:end=0,", " a:3", 1},
		{"what has expired or is bad", gone, record.Memcached, "", filter.Options{Prefix: "a"}, "-a,", "", 3},
		{"what is bad", gone, record.Memcached, "", filter.Options{Prefix: "c"}, "-c,", "c", 3},
		{"what has expired does not live for long", gone, record.Memcached, "", filter.Options{MinTTL: 1, Match: "[ab]"}, "", "", 4},
		{"lines", "a\t1\nb\t22\nc\n", record.Raw, "", filter.Options{MinSize: 2}, "b=2,", "c", 1},
		{"a long line", "a\t1\nb\t" + long + "\n", record.Raw, "", filter.Options{MinSize: 1 << 20}, "", "b", 1},
		{"a long line of another", "b\t" + long + "\na\t1\n", record.Raw, "", filter.Options{Prefix: "a"}, "a=1,", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			wanted, err := filter.New(test.wanted)
			if err != nil {
				t.Fatal(err)
			}
			var rows, reasons file
			stored, counts, err := loadText(t, test.input, Options{
				Record: record.Options{Format: test.format, KeyPrefix: test.prefix}, Wanted: wanted, Rejects: &rows, Reasons: &reasons,
			})
			if err != nil || stored != test.stored || counts.Reasons[unstored.Unwanted] != test.skipped || counts.Skipped < test.skipped {
				t.Errorf("%q, %+v, %v", stored, counts, err)
			}
			var keys []string
			for _, line := range strings.Split(strings.TrimSuffix(reasons.String(), "\n"), "\n") {
				if at := strings.LastIndexByte(line, '\t'); at >= 0 {
					keys = append(keys, strings.Trim(line[at+1:], `"`))
				}
			}
			if got := strings.Join(keys, " "); got != test.rejects {
				t.Errorf("the rejects are %q", reasons.String())
			}
			if n := strings.Count(rows.String(), long); n != strings.Count(reasons.String(), "too l") {
				t.Errorf("%d long rows among the rejects", n)
			}
		})
	}
}

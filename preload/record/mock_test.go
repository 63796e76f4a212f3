package record

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
)

// items are n items of a row, which make makes.
func items(n int, make func(n int) found) (all []found) {
	for i := 1; i <= n; i++ {
		row := make(i)
		row.left = uint64(n - i)
		all = append(all, row)
	}
	return all
}

func TestMock(t *testing.T) {
	t.Parallel()
	row := func(members string) string { return `{"key":"k","value":"v",` + members + "}\n" }
	counted := func(n int) found { return item(fmt.Sprint("k", n), fmt.Sprintf("v%d%d", n, n)) }
	longKey := strings.Repeat("k", meta.KeyMax-1)
	large := strings.Repeat("{n}", 8<<10)
	run(t, JSONL, []parserTest{
		{name: "expired", input: row(`"expired":true`) + row(`"expired":false`) + row(`"expired":null`),
			want: []found{{kind: Item, key: "k", value: "v", ttl: Past}, item("k", "v"), item("k", "v")}},
		{name: "expired, and no time to live", input: row(`"expired":true,"ttl":null`) + row(`"expired":false,"ttl":7`),
			want: []found{{kind: Item, key: "k", value: "v", ttl: Past}, {kind: Item, key: "k", value: "v", ttl: 7}}},
		{name: "expired, whatever --ttl says", options: Options{TTL: 7}, input: row(`"expired":true`), want: []found{{kind: Item, key: "k", value: "v", ttl: Past}}},
		{name: "expired, and a time", input: row(`"expired":true,"ttl":0`) + row(`"expires":9,"expired":true`),
			want: []found{reject(TwoExpiries, 34), reject(TwoExpiries, 46)}},
		{name: "expired is no text", input: row(`"expired":"true"`) + row(`"expired":[]`) + row(`"expired":""`), want: []found{reject(BadExpired, 35), reject(BadExpired, 34), reject(BadExpired, 35)}},
		{name: "stale and won", input: row(`"stale":true`) + row(`"won":true,"stale":false`) + row(`"stale":true,"won":true,"expired":false`) + row(`"stale":null`),
			want: []found{marked("k", true, false), marked("k", false, true), marked("k", true, true), item("k", "v")}},
		{name: "stale, where there is no mark", options: Options{NoStale: true}, input: row(`"stale":true`) + row(`"stale":false,"won":true`), want: []found{reject(NoStale, 32), marked("k", false, true)}},
		{name: "cas", input: row(`"cas":1`) + row(`"cas":"18446744073709551615"`) + row(`"cas":null`),
			want: []found{{kind: Item, key: "k", value: "v", cas: 1}, {kind: Item, key: "k", value: "v", cas: 1<<64 - 1}, item("k", "v")}},
		{name: "no cas", input: row(`"cas":18446744073709551616`) + row(`"cas":-1`) + row(`"cas":1.5`) + row(`"cas":true`) + row(`"cas":""`) + row(`"cas":"\ud800"`),
			want: []found{reject(BadCAS, 30), reject(BadCAS, 30), reject(BadCAS, 30), reject(BadCAS, 30), reject(BadCAS, 31), reject(BadCAS, 31)}},
		{name: "size", input: `{"key":"k","size":0,"value":null}` + "\n", want: []found{item("k", "")}},
		{name: "size, too large", input: `{"key":"k","size":9223372036854775807}` + "\n" + `{"key":"k","size":[2000000,3000000]}` + "\n", want: []found{{kind: Item, key: "k", oversize: true}, {kind: Item, key: "k", oversize: true}}},
		{name: "no size", input: `{"key":"k","size":"1"}` + "\n" + `{"key":"k","size":[2,1]}` + "\n" + `{"key":"k","size":[1,2,3]}` + "\n" + `{"key":"k","size":[]}` + "\n" + `{"key":"k","size":9223372036854775808}` + "\n" + `{"key":"k","size":""}` + "\n",
			want: []found{reject(BadSize, 20), reject(BadSize, 19), reject(BadSize, 19), reject(BadSize, 19), reject(BadSize, 19), reject(BadSize, 20)}},
		{name: "size and value_base64", input: `{"key":"k","size":1,"value_base64":"AA=="}` + "\n", want: []found{reject(SizedValue, 19)}},
		{name: "count", input: `{"key":"k{n}","value":"v{n}{n}","count":3}` + "\n" + row(`"flags":1`), want: append(items(3, counted), found{kind: Item, key: "k", value: "v", flags: 1})},
		{name: "count, at the end of an array behind a mark", input: mark + `[{"count":2,"key":"{n}","value":"v{n}{n}"}]`, want: append(append([]found{nothing}, items(2, func(n int) found { return item(fmt.Sprint(n), counted(n).value) })...), nothing)},
		{name: "count, with escapes", input: `{"key":"\u006b{n}","value":"\u0076{\u006e}{n}","count":2}` + "\n", want: items(2, counted)},
		{name: "count, everything else", input: `{"key":"k{n}","value":"v{n}{n}","count":2,"flags":7,"cas":9,"expired":true}` + "\n", want: items(2, func(n int) found {
			row := counted(n)
			row.flags, row.cas, row.ttl = 7, 9, Past
			return row
		})},
		{name: "count, no text", input: `{"key":"k{n}","value":{"{n}":1},"count":2}` + "\n", want: items(2, func(n int) found { return item(fmt.Sprint("k", n), `{"{n}":1}`) })},
		{name: "count, binary", input: `{"key":"k{n}","value_base64":"e259","count":2}` + "\n", want: items(2, func(n int) found { return item(fmt.Sprint("k", n), "{n}") })},
		{name: "count, expired already", input: `{"key":"k{n}","value":"v","ttl":-1,"count":2}` + "\n", want: items(2, func(n int) found { return found{kind: Skip, reason: Expired} })},
		{name: "count, NULL", input: `{"key":"k{n}","value":null,"count":2}` + "\n", want: []found{skip(NullValue)}},
		{name: "count, too large", options: Options{ValueMax: 16 << 10}, input: `{"key":"k{n}","value":"` + large + `","count":2}` + "\n", want: items(2, func(n int) found {
			return item(fmt.Sprint("k", n), strings.ReplaceAll(large, "{n}", fmt.Sprint(n)))
		})},
		{name: "count, of one", input: `{"key":"{n}","value":"","count":1}` + "\n", want: []found{item("1", "")}},
		{name: "no count", input: `{"key":"{n}","value":"{n}"}` + "\n", want: []found{item("{n}", "{n}")}},
		{name: "bad counts", input: `{"key":"k{n}","value":"v","count":1e3}` + "\n" + `{"key":"k{n}","value":"v","count":99999999999999999999}` + "\n", want: []found{reject(BadCount, 35), reject(BadCount, 35)}},
		{name: "a key that is always too long", input: `{"key":"` + longKey + `kk{n}","value":"v","count":9}` + "\n", want: []found{reject(KeyTooLong, 9)}},
		{name: "a key that becomes too long", input: `{"key":"` + longKey + `{n}","value":"v","count":11}` + "\n", want: items(11, func(n int) found {
			if n > 9 {
				return reject(KeyTooLong, 9)
			}
			return item(fmt.Sprint(longKey, n), "v")
		})},
		{name: "in other layouts", options: Options{Key: "key"}, input: row(`"count":0,"cas":0,"size":[],"expired":7`), want: []found{item("k", "v")}},
		{name: "the whole row", options: Options{Value: "json"}, input: row(`"count":2`), want: []found{item("k", `{"key":"k","value":"v","count":2}`)}},
	})
}

// TestCutMock: a row with a count that is cut has no key.
func TestCutMock(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	input := `{"count":9,"key":"k{n}","value":"` + long + `"}` + "\n" + `{"key":"k{n}","count":1,"size":1}` + "\n"
	rows := parse(t, Options{Format: JSONL}, 40, input)
	if len(rows) != 2 || rows[0].reason != TooLong || rows[1].key != "k1" || len(rows[1].value) != 1 {
		t.Errorf("%+v", rows)
	}
}

// valueOf is the value of the item that a row makes.
func valueOf(t *testing.T, row string) string {
	t.Helper()
	rows := parse(t, Options{Format: JSONL}, 0, row)
	if len(rows) != 1 || rows[0].kind != Item {
		t.Fatalf("%s: %+v", row, rows)
	}
	return rows[0].value
}

// A synthetic value depends on seed and key only, and does not change between versions.
func TestFiller(t *testing.T) {
	t.Parallel()
	const plain = `{"key":"k1","size":1000,"seed":7}`
	value := valueOf(t, plain)
	if again := valueOf(t, `{"seed":7,"count":1,"key":"k{n}","size":1000}`); again != value {
		t.Error("the same key and seed have another filler")
	}
	for _, other := range []string{`{"key":"k2","size":1000,"seed":7}`, `{"key":"k1","size":1000,"seed":8}`, `{"key":"k1","size":1000}`} {
		if valueOf(t, other) == value {
			t.Errorf("%s has the filler of %s", other, plain)
		}
	}
	if got, want := value[:24], `?95:Of8bHn7ATVK;_\WDoLmL`; got != want {
		t.Errorf("the filler begins with %q, and once did with %q", got, want)
	}
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	w.Write([]byte(valueOf(t, `{"key":"k1","size":100000}`)))
	w.Close()
	if n := packed.Len(); n < 70000 {
		t.Errorf("100000 bytes of filler are compressed to %d", n)
	}
	var sizes []int
	for n := range 1000 {
		sizes = append(sizes, len(valueOf(t, fmt.Sprintf(`{"key":"k%d","size":[3,6]}`, n))))
	}
	for size := 3; size <= 6; size++ {
		if n := len(sizes) - len(slices.DeleteFunc(slices.Clone(sizes), func(s int) bool { return s == size })); n < 200 || n > 300 {
			t.Errorf("%d of 1000 values have %d bytes", n, size)
		}
	}
}

func BenchmarkFiller(b *testing.B) {
	for _, size := range []int{100, 2000, 100 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var f filler
			var dst []byte
			b.SetBytes(int64(size))
			for b.Loop() {
				f.begin(1, []byte("fill:1234567"))
				dst = f.append(dst[:0], size)
			}
		})
	}
}

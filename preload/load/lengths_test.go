package load

import (
	"maps"
	"strings"
	"testing"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
)

// Every row that was stored is counted with its length, and no other.
func TestLengths(t *testing.T) {
	sample := NewSample()
	rows := "a\t1\nbad\nb\t2\nno\tmemory\nc\t" + strings.Repeat("x", 90) + "\nbig\t" + strings.Repeat("x", 1001) + "\n"
	if _, _, err := loadText(t, rows, Options{Sample: sample}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadText(t, "a\t1\n", Options{Sample: sample, Record: record.Options{Flags: 7}}); err != nil {
		t.Fatal(err)
	}
	want := map[Length]uint64{{Bytes: 2}: 2, {Bytes: 91}: 1, {Bytes: 2, Flags: true}: 1}
	if got := maps.Collect(sample.Lengths.All()); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Long rows have few different lengths, none of them too small; a large one has its key's.
func TestLongLengths(t *testing.T) {
	lengths := make(map[Length]bool)
	for bytes := shortRow; bytes < 1<<20; bytes++ {
		got := lengthOf(10, bytes-10, true)
		if got.Bytes < bytes || got.Bytes > bytes+bytes/shortRow || (got.Key == 10) != (bytes >= largeRow) || !got.Flags {
			t.Fatalf("%d is %+v", bytes, got)
		}
		lengths[got] = true
	}
	if n := len(lengths); n > 9*shortRow {
		t.Errorf("%d lengths", n)
	}
}

// A batch of rows of all lengths up to the bound is counted to the last one.
func TestLengthsBound(t *testing.T) {
	b, err := batch.New(-1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	var l Lengths
	const n = shortRow + 100
	for i := range n {
		b.Add(batch.Row{NKey: 1, NValue: i})
		b.Settle(i, batch.Stored)
	}
	l.add(b)
	seen := 0
	for length, rows := range l.All() {
		if rows != 1 || length.Bytes < 1 || length.Bytes > n {
			t.Errorf("%d of %+v", rows, length)
		}
		seen++
	}
	if seen != n {
		t.Errorf("%d lengths, want %d", seen, n)
	}
}

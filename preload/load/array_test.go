package load

import (
	"strings"
	"testing"

	"memcached-backdoor/preload/record"
)

// Rows on one line have their own rejects, in their order and with their own bytes, which can be loaded again.
func TestArrayOnOneLine(t *testing.T) {
	rows := []string{
		`{"key":"a","value":"1"}`,
		`{"key":"no","value":"2"}`,
		`{"key":"b c","value":"3"}`,
		`{"key":"no{n}","value":"4","count":2}`,
		`{"key":"x{n}","value":5,"ttl":"x","count":2}`,
		`{"key":"no","value":"6"}`,
		`{"key":"d","value":"7"}`,
	}
	const reason = "1\t0\tout of memory in memcached\t"
	var bad, reasons file
	stored, counts, err := loadText(t, "["+strings.Join(rows, ",")+"]", Options{Record: record.Options{Format: record.JSONL}, Rejects: &bad, Reasons: &reasons})
	if err != nil || stored != "a=1,d=1," || counts.Rejected != 6 || counts.Incomplete {
		t.Errorf("%q, %+v, %v", stored, counts, err)
	}
	if want := strings.Join(rows[1:6], ",\n") + ",\n"; bad.String() != want {
		t.Errorf("rejects are\n%swant\n%s", bad.String(), want)
	}
	var log []string
	for line := range strings.Lines(reasons.String()) {
		if line != reason+"\"no\"\n" && line != reason+"\"no1\"\n" && line != reason+"\"no2\"\n" {
			log = append(log, line)
		}
	}
	if want := "1\t60\t" + string(record.KeyByte) + "\t\"b c\"\n"; len(log) != 2 || log[0] != want {
		t.Errorf("reasons are %q, the first should be %q", log, want)
	}
	again, counts, err := loadText(t, strings.ReplaceAll(bad.String(), `"no`, `"yes`), Options{Record: record.Options{Format: record.JSONL}})
	if err != nil || again != "yes=1,yes1=1,yes2=1,yes=1," || counts.Incomplete {
		t.Errorf("again %q, %+v, %v", again, counts, err)
	}
}

// A load that is resumed in the middle of an array reads its rest.
func TestArrayResumed(t *testing.T) {
	const first = `[{"key":"a","value":"1"},`
	input := first + `{"key":"b c","value":"2"}, {"key":"d","value":"3"}`
	for _, end := range []string{"]\n", ""} {
		options := Options{Record: record.Options{Format: record.JSONL}, From: Position{Offset: int64(len(first))}}
		stored, counts, err := loadText(t, input+end, options)
		if err != nil || stored != "d=1," || counts.Rejected != 1 || counts.Incomplete != (end == "") {
			t.Errorf("%q: %q, %+v, %v", end, stored, counts, err)
		}
		if want := (Position{Offset: int64(len(input + end)), Lines: uint64(strings.Count(end, "\n"))}); counts.Position != want {
			t.Errorf("%q: ended at %+v, want %+v", end, counts.Position, want)
		}
	}
}

// Objects over several lines have the numbers of their first lines.
func TestObjectsOverLines(t *testing.T) {
	input := "{\n  \"key\": \"a\",\n  \"value\": 1\n}\n{\n  \"key\": \"b c\",\n  \"value\": 2\n}, {\n  \"key\": \"d\"\n}\n" + `{"key":"e","value":3}`
	var bad, reasons file
	stored, counts, err := loadText(t, input, Options{Record: record.Options{Format: record.JSONL}, Rejects: &bad, Reasons: &reasons})
	if err != nil || stored != "-d,a=1,e=1," && stored != "a=1,-d,e=1," || len(counts.Rejects) != 2 {
		t.Fatalf("%q, %+v, %v", stored, counts, err)
	}
	for i, want := range []Reject{{Line: 5, Column: 14}, {Line: 8, Column: 4}} {
		if got := counts.Rejects[i]; got.Line != want.Line || got.Column != want.Column {
			t.Errorf("%+v, want line %d, byte %d", got, want.Line, want.Column)
		}
	}
}

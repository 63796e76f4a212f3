package load

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
)

// A row of several items that are rejected is among the rejects once, and each item with its reason.
func TestSeveralItemsRejects(t *testing.T) {
	const (
		before = `{"key":"no","value":"v"}` + "\n"
		none   = `{"key":"no{n}","value":"v","count":3}` + "\n"
		after  = `{"key":"ok{n}","value":"v","count":2}` + "\n"
	)
	some := `{"key":"` + strings.Repeat("k", meta.KeyMax-4) + `{n}","value":"v","count":10001}` + "\n"
	var rows, reasons file
	stored, counts, err := loadText(t, before+none+some+after, Options{Record: record.Options{Format: record.JSONL}, Rejects: &rows, Reasons: &reasons})
	if err != nil {
		t.Fatal(err)
	}
	if counts.Rows != 1+3+10001+2 || counts.Rejected != 1+3+2 {
		t.Errorf("%+v", counts)
	}
	if got := rows.String(); got != before+none+some {
		t.Errorf("rejects are %q", got)
	}
	log := reasons.String()
	for _, want := range []string{"1\t0\tout of memory in memcached\t\"no\"\n", "2\t0\tout of memory in memcached\t\"no3\"\n", "3\t9\tkey longer than 250 bytes\t"} {
		if !strings.Contains(log, want) {
			t.Errorf("reasons are %q, without %q", log, want)
		}
	}
	if n := strings.Count(log, "\n"); n != 6 {
		t.Errorf("%d reasons", n)
	}
	if !strings.HasSuffix(stored, "ok1=1,ok2=1,") {
		t.Errorf("stored %q at the end", stored[max(0, len(stored)-40):])
	}
	if end := (Position{Offset: int64(len(before + none + some + after)), Lines: 4}); counts.Position != end {
		t.Errorf("ended at %+v, want %+v", counts.Position, end)
	}
}

// trickle is a source that returns some bytes at a time, and whose client goes after left calls of Wait.
type trickle struct {
	*strings.Reader
	left *int // below 0: it stays
}

func (s trickle) Left() int64 { return int64(s.Len()) }

func (s trickle) SeekTo(offset int64) error {
	_, err := s.Reader.Seek(offset, io.SeekStart)
	return err
}

func (s trickle) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 1+rand.IntN(50))]) }

func (s trickle) Wait(input bool, _ int, limit time.Duration) (Ready, error) {
	*s.left--
	return Ready{Input: input, Done: limit != 0, Gone: *s.left == 0}, nil
}

// A load is interrupted in a row of very many items, whatever becomes of them, and resumes at that row.
func TestSeveralItemsBrokenOff(t *testing.T) {
	const first = `{"key":"first","value":""}` + "\n"
	for name, row := range map[string]string{
		"stored":    `{"key":"{n}","size":[1,9],"count":18446744073709551615}`,
		"no memory": `{"key":"no{n}","value":"{n}","count":1000000000000}`,
		"rejected":  `{"key":"` + strings.Repeat("k", meta.KeyMax-1) + `{n}","value":"","count":1000000000000}`,
		"expired":   `{"key":"{n}","value":"","ttl":-1,"count":1000000000000}`,
	} {
		t.Run(name, func(t *testing.T) {
			var rows, reasons file
			left := 50
			source := trickle{strings.NewReader(first + row), &left}
			counts, err := Load(poorStore{new(strings.Builder)}, source, Options{Record: record.Options{Format: record.JSONL}, Rejects: &rows, Reasons: &reasons})
			if err != nil {
				t.Fatal(err)
			}
			if !counts.Canceled || counts.Rows < 2 || counts.Rows > 100*8192 || counts.check() != nil {
				t.Errorf("%+v", counts)
			}
			if want := (Position{Offset: int64(len(first)), Lines: 1}); counts.Position != want {
				t.Errorf("it resumes at %+v, want %+v", counts.Position, want)
			}
		})
	}
}

// The limit of rejected rows holds within a row, too.
func TestSeveralItemsLimited(t *testing.T) {
	row := `{"key":"` + strings.Repeat("k", meta.KeyMax-2) + `{n}","value":"","count":1000000000000}` + "\n"
	var rows, reasons file
	stored, counts, err := loadText(t, row, Options{Record: record.Options{Format: record.JSONL}, Limits: limits.Options{MaxErrors: "20"}, Rejects: &rows, Reasons: &reasons})
	if err != nil || !counts.Limited || counts.Stored != 99 || counts.Rejected != 21 {
		t.Errorf("%+v, %v", counts, err)
	}
	if n := strings.Count(stored, ","); n != 99 || rows.String() != row || strings.Count(reasons.String(), "\n") != 21 {
		t.Errorf("%d stored, rejects %q", n, rows.String())
	}
	if counts.Position != (Position{}) {
		t.Errorf("it resumes at %+v", counts.Position)
	}
}

// A row that moves from one batch to the next is the same there.
func TestSeveralItemsBatches(t *testing.T) {
	const n = 30000
	left := -1
	row := `{"key":"k{n}","value":"` + strings.Repeat("x", 90) + `","count":` + fmt.Sprint(n) + "}\n"
	var stored strings.Builder
	counts, err := Load(poorStore{&stored}, trickle{strings.NewReader(row + row[:len(row)-1]), &left}, Options{Record: record.Options{Format: record.JSONL}})
	if err != nil || counts.Stored != 2*n {
		t.Fatalf("%+v, %v", counts, err)
	}
	var want strings.Builder
	for i := range 2 * n {
		fmt.Fprintf(&want, "k%d=90,", i%n+1)
	}
	if stored.String() != want.String() {
		t.Error("not the items that the row makes")
	}
}

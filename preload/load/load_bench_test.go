package load

import (
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/batch"
)

// taker is a store that settles every row at once: what is measured is the rest of a load.
type taker struct{}

func (taker) BinaryKeyMax() int                              { return 250 }
func (taker) HasCAS() bool                                   { return true }
func (taker) HasStale() bool                                 { return true }
func (taker) ItemSizeMax() uint64                            { return 1 << 20 }
func (taker) ItemSize(nkey int, _ uint32, nvalue int) uint64 { return uint64(nkey + nvalue) }
func (t taker) Open() (batch.Sink, error)                    { return t, nil }
func (taker) Close()                                         {}

func (taker) Submit(b *batch.Batch) {
	for i := range b.Len() {
		b.Settle(i, batch.Stored)
	}
	b.Finish(nil)
}

func (t taker) Look(b *batch.Batch) { t.Submit(b) }

// text is a source that is always ready.
type text struct{ *strings.Reader }

func (t text) Left() int64 { return int64(t.Len()) }

func (t text) SeekTo(offset int64) error {
	_, err := t.Reader.Seek(offset, io.SeekStart)
	return err
}

func (t text) Wait(input bool, _ int, _ time.Duration) (Ready, error) {
	return Ready{Input: input, Done: !input}, nil
}

func BenchmarkLoad(b *testing.B) {
	for _, size := range []int{10, 100, 4 << 10, 100 << 10} {
		b.Run("value="+strconv.Itoa(size), func(b *testing.B) {
			const bytes = 16 << 20
			row := "user_1234567\t" + strings.Repeat("x", size) + "\n"
			rows := bytes / len(row)
			content := strings.Repeat(row, rows)
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				counts, err := Load(taker{}, text{strings.NewReader(content)}, Options{})
				if err != nil || counts.Stored != uint64(rows) {
					b.Fatalf("%d of %d rows, %v", counts.Stored, rows, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}

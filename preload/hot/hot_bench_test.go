package hot

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// counted is a log that is only asked for its counters.
type counted struct{ Log }

func (counted) Served() (Served, error) { return Served{}, nil }

// lookups are n lines of a log, of keys by Zipf's law.
func lookups(n int) (all [][]byte) {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 999_999)
	for len(all) < n/1000 {
		var lines []byte
		for range 1000 {
			lines = fmt.Appendf(lines, "ts=1732740000.123456 gid=1234567 type=item_get key=user%%3A%d status=found clsid=5 cfd=31 size=100\n", z.Uint64())
		}
		all = append(all, lines)
	}
	return all
}

// BenchmarkCount is what a line of the log costs the library, in ns.
func BenchmarkCount(b *testing.B) {
	lines := lookups(200_000)
	s := &search{options: Options{By: ByRequests}, hooks: Hooks{}, log: counted{}, sketch: newSketch(counters, ByRequests), pending: newPending(), began: time.Now()}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 1000 {
		s.count(lines[i/1000%len(lines)])
		if i%2000 == 0 {
			_ = s.fold(false)
		}
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The first 20 of a million keys, whose requests follow Zipf's law, are found, and their rates are nearly the true ones.
func TestHotZipf(t *testing.T) {
	s := start(t, stock(t), "-m", "512")
	s.fill(1_000_000, "--key", "key:{n}", "--size", "100")
	load := s.zipf(4, 200_000)
	defer load.stop()
	before := load.counts()
	d := s.hot("--duration", "5s", "--sample", "100000", "--limit", "25")
	truth := load.since(before)
	t.Logf("%d requests in %.1f s, %d seen, %d lines dropped", d.Requests, d.Seconds, d.Seen, d.Dropped)
	all := 0.0
	for _, n := range truth {
		all += n
	}
	ranks := make([]int, len(truth))
	for i := range ranks {
		ranks[i] = i
	}
	slices.SortFunc(ranks, func(a, b int) int { return int(truth[b] - truth[a]) })
	for _, k := range ranks[:20] {
		key, want := fmt.Sprintf("key:%d", k), truth[k]/all*float64(d.Requests)/d.Seconds
		found := slices.IndexFunc(d.Keys, func(f hotKey) bool { return f.Key == key })
		if found < 0 {
			t.Errorf("%s, with %.0f requests/s, is not found", key, want)
			continue
		}
		if got := d.Keys[found]; !near(got.Requests, want, 0.1) {
			t.Errorf("%s: %.0f requests/s ± %.0f, and %.0f in truth", key, got.Requests, got.Error, want)
		}
	}
}

// zipfLoad asks for keys by Zipf's law.
type zipfLoad struct {
	asked [][]uint32 // by client, of each key
	stop  func()
}

// zipf begins a load of clients that ask for rate keys in a second, of key:1 to key:1000000; 0: as many as they can.
func (s *server) zipf(clients, rate int) *zipfLoad {
	const keys, pipelined = 1_000_000, 100
	l := &zipfLoad{asked: make([][]uint32, clients)}
	var stopped atomic.Bool
	var running sync.WaitGroup
	for i := range clients {
		conn, err := net.Dial(s.network(), s.socket)
		if err != nil {
			s.t.Fatal(err)
		}
		asked := make([]uint32, keys+1)
		l.asked[i] = asked
		running.Go(func() {
			defer conn.Close()
			z := rand.NewZipf(rand.New(rand.NewPCG(uint64(i), 1)), 1.01, 1, keys-1)
			// Drawn before: to draw takes longer than to ask. Batches come in any order.
			batches := make([][]int, 2000)
			for b := range batches {
				for range pipelined {
					batches[b] = append(batches[b], int(z.Uint64())+1)
				}
			}
			var out, in []byte
			in = make([]byte, 1<<16)
			next := time.Now()
			for !stopped.Load() {
				batch := batches[rand.IntN(len(batches))]
				out = out[:0]
				for _, k := range batch {
					out = fmt.Appendf(out, "get key:%d\r\n", k)
				}
				if _, err := conn.Write(append(out, "mn\r\n"...)); err != nil {
					s.t.Error(err)
					return
				}
				for n := 0; !bytes.HasSuffix(in[:n], []byte("MN\r\n")); {
					n = copy(in, in[max(0, n-4):n])
					m, err := conn.Read(in[n:])
					if err != nil {
						s.t.Error(err)
						return
					}
					n += m
				}
				for _, k := range batch {
					atomic.AddUint32(&asked[k], 1)
				}
				if rate > 0 {
					next = next.Add(time.Duration(float64(pipelined*clients) / float64(rate) * 1e9))
					time.Sleep(time.Until(next))
				}
			}
		})
	}
	l.stop = func() { stopped.Store(true); running.Wait() }
	return l
}

// counts is how often each key was asked for so far.
func (l *zipfLoad) counts() []float64 {
	all := make([]float64, len(l.asked[0]))
	for _, asked := range l.asked {
		for k := range asked {
			all[k] += float64(atomic.LoadUint32(&asked[k]))
		}
	}
	return all
}

// since is how often each key was asked for since some counts.
func (l *zipfLoad) since(before []float64) []float64 {
	now := l.counts()
	for k := range now {
		now[k] -= before[k]
	}
	return now
}

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// A value that takes a dump several slices is whole in each dump, and there once, also where memcached itself lets its
// hash table grow while it is copied.
func TestDumpOfLargeValuesWhileTableGrows(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n, doublings = 20, 4
		value := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", i), (1<<18+i)/2) } // 1 MB and more
		s := newServer(t, h.program, "-m", "1024", "-I", "16m", "-t", "2", "-o", "hashpower=13")
		s.preload = built(t, "backdoor-faulty.so") // with its invariants checked
		s.start()
		s.waitDoor()
		var rows bytes.Buffer
		for i := range n {
			fmt.Fprintf(&rows, "large:%d\t%s\n", i, value(i))
		}
		if l := s.load(door.Request{}, rows.Bytes()); l.Stored != n {
			t.Fatalf("%+v", l)
		}

		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for dumps := 0; ctx.Err() == nil || dumps == 0; dumps++ {
					out, outcome := s.dumping(door.Request{Filter: door.Filter{Prefix: "large:"}})
					seen := make(map[string]int)
					complete := eachDumped(t, out, func(key, data []byte, _ uint64, _ int64) {
						var i int
						seen[string(key)]++
						if _, err := fmt.Sscanf(string(key), "large:%d", &i); err != nil || !bytes.Equal(data, value(i)) {
							t.Errorf("%s has %d bytes, not those that were stored", key, len(data))
						}
					})
					for i := range n {
						if times := seen[fmt.Sprint("large:", i)]; times != 1 {
							t.Errorf("large:%d is there %d times", i, times)
						}
					}
					if reply := outcome(); reply.Dump == nil || reply.Dump.Written != n || !complete {
						t.Errorf("%+v, complete %v", reply, complete)
					}
				}
			})
		}
		for range doublings {
			s.outgrow()
		}
		cancel()
		wg.Wait()
		if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
			t.Errorf("memcached ended with %v\n%s", status, s.output.String())
		}
	})
}

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// A load with a rate is not faster, and complete, also where the rows before the end of a batch's time are the last.
func TestRate(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		for _, test := range []struct {
			rows int
			rate uint64
		}{{1500, 1000}, {3, 5}, {40_000, 40_000}} {
			load := server.load(door.Request{Limits: door.Limits{Rate: test.rate}}, rowsOf("rate", test.rows))
			if load.Rows != uint64(test.rows) || load.Stored != uint64(test.rows) {
				t.Errorf("%d of %d rows are stored", load.Stored, test.rows)
			}
			// It may make up for 50 ms in which it was late, and its last batch, of 10 ms or one row, has no time to fill.
			least := float64(test.rows-1)/float64(test.rate) - 0.06
			if load.Seconds < least {
				t.Errorf("%d rows at %d a second took %.3f s, want %.3f at least", test.rows, test.rate, load.Seconds, least)
			}
			key, value := rowOf("rate", test.rows-1)
			if got := server.get(key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
		}
	})
}

// Rows that fill a batch's room before its time has come wait for it, whole.
func TestRateOfLargeValues(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		const rows = 30
		valueOf := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 300_000+i) }
		var all bytes.Buffer
		for i := range rows {
			fmt.Fprintf(&all, "large_%d\t%s\n", i, valueOf(i))
		}
		for _, request := range []door.Request{{Limits: door.Limits{Rate: 1000}}, {Limits: door.Limits{Rate: 100}}, {Limits: door.Limits{Gentle: true}}} {
			if load := server.load(request, all.Bytes()); load.Rows != rows || load.Stored != rows {
				t.Errorf("%+v: %d rows read, %d stored, want %d", request, load.Rows, load.Stored, rows)
			}
			for i := range rows {
				if server.get(fmt.Sprintf("large_%d", i)) != valueOf(i) {
					t.Errorf("%+v: large_%d is not what was loaded", request, i)
				}
			}
		}
	})
}

// A load that waits for its time ends when its client goes.
func TestRateCanceled(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		conn, err := door.Dial(server.door)
		if err != nil {
			t.Fatal(err)
		}
		request := door.Request{Version: door.Protocol, Op: door.OpLoad, Limits: door.Limits{Rate: 1}}
		if err := conn.Call(request, fileOf(t, rowsOf("slow", 3600))); err != nil {
			t.Fatal(err)
		}
		wait(t, "the first row", func() error {
			if key, _ := rowOf("slow", 0); server.stat("", "curr_items") == 0 {
				return fmt.Errorf("%s is not there", key)
			}
			return nil
		})
		conn.Close()
		wait(t, "the load's end", func() error {
			if status := server.waitDoor(); status.Active != 0 || status.Stored == 0 {
				return fmt.Errorf("%d loads run, %d rows are stored", status.Active, status.Stored)
			}
			return nil
		})
		if n := server.stat("", "curr_items"); n > 60 {
			t.Errorf("%d rows are stored, at one a second", n)
		}
	})
}

// A gentle load rests between its small batches, and lets the others pass.
func TestGentle(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		const rows, batch = 200_000, 64
		gentle := make(chan door.Reply, 1)
		file := fileOf(t, rowsOf("gentle", rows))
		go func() {
			reply, err := call(server.door, door.Request{Op: door.OpLoad, Limits: door.Limits{Gentle: true}}, file)
			if err != nil {
				t.Error(err)
			}
			gentle <- reply
		}()
		wait(t, "the load's begin", func() error {
			if status := server.waitDoor(); status.Active != 1 {
				return fmt.Errorf("%d loads run", status.Active)
			}
			return nil
		})
		if load := server.load(door.Request{}, rowsOf("other", 10_000)); load.Stored != 10_000 {
			t.Errorf("%d of the other's rows are stored", load.Stored)
		}
		select {
		case reply := <-gentle:
			t.Errorf("the gentle load was done first: %+v", reply.Load)
		default:
			reply := <-gentle
			if reply.Load == nil || reply.Load.Stored != rows {
				t.Fatalf("of %d rows are stored: %+v", rows, reply)
			}
			if least := time.Millisecond * (rows/batch - 1); reply.Load.Seconds < least.Seconds() {
				t.Errorf("it took %.3f s, want %v at least", reply.Load.Seconds, least)
			}
		}
		for _, i := range []int{0, batch, rows - 1} {
			key, value := rowOf("gentle", i)
			if got := server.get(key); got != value {
				t.Errorf("%s is %q, want %q", key, got, value)
			}
		}
	})
}

package e2e

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// resident is how much of memcached is in memory, in kB (proc(5): VmRSS).
func (s *server) resident() int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	kB, err := strconv.Atoi(string(regexp.MustCompile(`VmRSS:\s*(\d+) kB`).FindSubmatch(text)[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	return kB
}

// rests waits until memcached has as few threads and descriptors as it had, but for some threads that Go may keep,
// and not 3 MB more memory.
func (s *server) rests(threads, descriptors, resident int) {
	s.t.Helper()
	wait(s.t, "what the calls took", func() error {
		t, d, r := s.count("task"), s.count("fd"), s.resident()
		if t > threads+5 || d > descriptors || r > resident+3*1024 {
			return fmt.Errorf("%d threads, %d descriptors, %d kB; %d, %d, %d before", t, d, r, threads, descriptors, resident)
		}
		return nil
	})
}

// knock connects to the door and says nothing.
func knock(s *server) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("unixpacket", s.door)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// Calls that wait have no threads, and ended calls leave nothing.
func TestCallsThatWait(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		many := func(each func()) {
			var all sync.WaitGroup
			for range 30 {
				all.Go(each)
			}
			all.Wait()
		}
		slow := func() {
			var l door.Reply
			var err error
			// A call that sends nothing for a moment, for want of a processor, makes room for others: it is made again.
			for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); {
				rows := pipeOf(t, []byte(strings.Repeat("key\tvalue\n", 20)))
				l, err = call(s.door, door.Request{Op: door.OpLoad, Limits: door.Limits{Rate: 100}}, rows)
				rows.Close()
				if l.Error == nil || l.Error.Code != door.CodeBusy {
					break
				}
			}
			if err != nil || l.Load == nil || l.Load.Stored != 20 {
				t.Errorf("%+v, %v", l, err)
			}
		}
		slow()
		threads, descriptors, resident := s.count("task"), s.descriptors(), s.resident()
		for range 5 {
			var silent []net.Conn
			for range 30 {
				silent = append(silent, knock(s))
			}
			if now := s.count("task"); now > threads+8 {
				t.Errorf("%d threads with silent connections, %d before", now, threads)
			}
			for _, conn := range silent {
				conn.Close()
			}
			many(slow)
		}
		s.rests(threads, descriptors, resident)
	})
}

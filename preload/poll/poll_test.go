package poll

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe makes a pipe whose ends are closed with the test.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// threads counts this process's threads.
func threads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// waiters is how many Waits there are.
func waiters() int {
	poller.mu.Lock()
	defer poller.mu.Unlock()
	return len(poller.waiting)
}

// A thousand Waits take no threads; each is woken by its descriptor only.
func TestNoThreads(t *testing.T) {
	const n = 1000
	before := threads(t)
	type result struct{ i, n int }
	ended := make(chan result, n)
	var writers [n]int
	for i := range n {
		r, w := pipe(t)
		writers[i] = w
		go func() {
			set := []unix.PollFd{{Fd: -1, Events: unix.POLLIN}, {Fd: int32(r), Events: unix.POLLIN}}
			got, err := Wait(set, nil, -1)
			if err != nil || set[0].Revents != 0 || set[1].Revents != unix.POLLIN {
				t.Errorf("%+v, %v", set, err)
			}
			ended <- result{i, got}
		}()
	}
	for waiters() < n {
		time.Sleep(time.Millisecond)
	}
	if now := threads(t); now > before+10 {
		t.Errorf("%d threads, %d before", now, before)
	}
	for i := range n {
		unix.Write(writers[i], []byte{1})
		if got := <-ended; got.i != i || got.n != 1 {
			t.Fatalf("%+v is woken by the write to %d", got, i)
		}
	}
	if left := waiters(); left != 0 {
		t.Errorf("%d still wait", left)
	}
}

func TestLimit(t *testing.T) {
	r, w := pipe(t)
	set := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}, {Fd: int32(w), Events: unix.POLLIN}}
	for _, limit := range []time.Duration{0, time.Microsecond, 5 * time.Millisecond} {
		began := time.Now()
		if n, err := Wait(set, nil, limit); n != 0 || err != nil {
			t.Errorf("%v: %d, %v", limit, n, err)
		}
		if took := time.Since(began); took < limit {
			t.Errorf("%v: it took %v", limit, took)
		}
	}
}

func TestWake(t *testing.T) {
	r, _ := pipe(t)
	wake := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { close(wake) })
	if n, err := Wait([]unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}, wake, -1); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A descriptor that cannot be watched is an error, and leaves nothing behind.
func TestErrors(t *testing.T) {
	r, w := pipe(t)
	set := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}, {Fd: int32(r), Events: unix.POLLIN}}
	if _, err := Wait(set, nil, -1); err == nil {
		t.Error("one descriptor was watched twice")
	}
	unix.Write(w, []byte{1})
	if n, err := Wait(set[:1], nil, -1); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if left := waiters(); left != 0 {
		t.Errorf("%d still wait", left)
	}
}

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// hotDocument is what hot --json says.
type hotDocument struct {
	By   string
	Keys []hotKey `json:"keys"`
	door.HotKeys
	Interrupted bool
}

type hotKey struct {
	Key                            string // "" if it is not UTF-8
	Requests, Bytes, Misses, Error float64
}

// hot is what hot finds.
func (s *server) hot(args ...string) (d hotDocument) {
	s.t.Helper()
	s.printed(&d, 0, append([]string{"hot"}, args...)...)
	return d
}

// asking sends commands again and again until stop is called, and reads as many lines of answers each time. It pauses in between.
func (s *server) asking(commands string, answers int, pause time.Duration) (stop func()) {
	s.t.Helper()
	conn, err := net.Dial(s.network(), s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	var stopped atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		defer conn.Close()
		in := bufio.NewReader(conn)
		for !stopped.Load() {
			if _, err := conn.Write([]byte(commands)); err != nil {
				s.t.Error(err)
				return
			}
			for range answers {
				if _, err := in.ReadSlice('\n'); err != nil {
					s.t.Error(err)
					return
				}
			}
			time.Sleep(pause)
		}
	})
	return func() { stopped.Store(true); running.Wait() }
}

// Each request counts once, whatever it is.
func TestHot(t *testing.T) {
	eachShape(t, func(t *testing.T, shape shape) {
		s := start(t, shape.program)
		s.said("set user:1 0 0 1000\r\n" + strings.Repeat("v", 1000) + "\r\nset n 0 0 1\r\n1\r\n")
		descriptors := s.descriptors()
		stop := s.asking(strings.Repeat("get user:1\r\n", 50)+ // 3 lines each
			strings.Repeat("mg user:2\r\n", 20)+ // misses
			strings.Repeat("set user:3 0 0 10\r\n0123456789\r\n", 10)+
			"incr n 1\r\ndecr n 1\r\ntouch n 0\r\ngat 0 n\r\nmd gone\r\nms AP8K 1 b\r\nv\r\n",
			150+20+10+1+1+1+3+1+1, 5*time.Millisecond)
		d := s.hot("--duration", "1s")
		// A request is logged before it counts: each of the 4 workers may be between the two.
		if d.Seen == 0 || d.Seen > d.Requests+4 || len(d.Keys) == 0 {
			t.Fatalf("%+v", d)
		}
		rounds := d.Keys[0].Requests / 50
		for _, want := range []hotKey{
			{Key: "user:1", Requests: 50, Bytes: 50_000}, {Key: "user:2", Requests: 20, Misses: 20}, {Key: "user:3", Requests: 10, Bytes: 100},
			{Key: "n", Requests: 4, Bytes: 4}, {Requests: 1, Bytes: 1}, {Key: "gone", Requests: 1, Misses: 1},
		} {
			i := slices.IndexFunc(d.Keys, func(k hotKey) bool { return k.Key == want.Key })
			if i < 0 {
				t.Errorf("%q is not found", want.Key)
				continue
			}
			// A round may be cut at the beginning and at the end, and the first value of a key is stored over none.
			got := d.Keys[i]
			if !near(got.Requests, want.Requests*rounds, 0.1) || !near(got.Bytes, want.Bytes*rounds, 0.1) || !near(got.Misses, want.Misses*rounds, 0.1) {
				t.Errorf("%+v of %.1f rounds, want %+v", got, rounds, want)
			}
		}
		if p := s.hot("--duration", "500ms", "--prefixes", "--by", "misses"); len(p.Keys) < 1 || p.Keys[0].Key != "user:" || !near(p.Keys[0].Misses*4, p.Keys[0].Requests, 0.1) {
			t.Errorf("%+v", p)
		}
		stop()
		wait(t, "memcached to log nothing more", func() error {
			if n := s.stats("")["log_watchers"]; n != "0" {
				return fmt.Errorf("%s watchers", n)
			}
			if n := s.descriptors(); n > descriptors {
				return fmt.Errorf("%d descriptors, and %d before", n, descriptors)
			}
			return nil
		})
		s.lives()
	})
}

// A report has the hot keys if they are asked for.
func TestReportHot(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.said("set user:1 0 0 1\r\nv\r\n")
	defer s.asking("get user:1\r\nget <b>\r\n", 4, time.Millisecond)()
	file := filepath.Join(s.dir, "cache.html")
	if _, errOut, status := s.client(nil, "report", "--hot", "500ms", file); status != 0 {
		t.Fatal(errOut)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), `<section id="hot-section"`)
	for _, key := range []string{"user:1", "&lt;b&gt;"} {
		if !regexp.MustCompile(`<bdi>` + key + `</bdi></th><td>[1-9]`).MatchString(section) {
			t.Errorf("%s is not among the hot keys: %s", key, section)
		}
	}
}

func near(got, want, part float64) bool { return math.Abs(got-want) <= part*want }

// memcached's log of stores is not read: the logger of 1.6.41 to 1.6.45 crashes when it has an "ms" whose value is too large.
func TestHotTooLarge(t *testing.T) {
	program := filepath.Join(built(t, "hosts"), "source/1.6.45/plain/memcached")
	if _, err := os.Stat(program); err != nil {
		t.Skip("`make test-hosts` builds 1.6.45, and runs it")
	}
	t.Parallel()
	s := start(t, program, "-I", "2k", "-o", "slab_chunk_max=1")
	defer s.asking(strings.Repeat("ms big 5000\r\n"+strings.Repeat("v", 5000)+"\r\nget a\r\nset b 0 0 1\r\n1\r\n", 10), 30, time.Millisecond)()
	if d := s.hot("--duration", "1s"); d.Seen == 0 || len(d.Keys) != 3 {
		t.Errorf("%+v", d)
	}
	s.lives()
}

// A memcached that shows no log, or not to this client, says why.
func TestHotRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		program string
		args    []string
		want    string
	}{
		"watch":  {stock(t), []string{"-W"}, "memcached does not show its log of requests (-W)\nhint: start memcached without -W\n"},
		"binary": {stock(t), []string{"-B", "binary"}, "it closes the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.program, tt.args...)
			s.start()
			wait(t, "the door", func() error {
				_, err := call(s.door, door.Request{Op: door.OpStatus})
				return err
			})
			out, errOut, status := s.client(nil, "hot", "--duration", "1s")
			if status != 11 || out != "" || !strings.HasPrefix(errOut, "error: memcached's log of requests cannot be read: ") || !strings.Contains(errOut, tt.want) {
				t.Errorf("status %d: %s%s", status, out, errOut)
			}
		})
	}
}

// Two clients at once would cost twice as much: the second one is refused, until the first has gone.
func TestHotOnce(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	first := s.begin(door.Request{Op: door.OpHot, Hot: door.Hot{Duration: 3600}})
	wait(t, "the first client", func() error {
		if s.stats("")["log_watchers"] != "1" {
			return errors.New("it does not watch")
		}
		return nil
	})
	if out, errOut, status := s.client(nil, "hot"); status != 1 || out != "" || !strings.HasPrefix(errOut, "error: another client reads memcached's log of requests\n") {
		t.Errorf("status %d: %s%s", status, out, errOut)
	}
	first.Close()
	wait(t, "the first client's end", func() error {
		if out, errOut, status := s.client(nil, "hot", "--duration", "100ms"); status != 0 {
			return fmt.Errorf("status %d: %s%s", status, out, errOut)
		}
		return nil
	})
}

// What was found is shown, too, if an error ends the look: here others have taken all places at the log in a pause.
func TestHotFailsLate(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	defer s.asking(strings.Repeat("get a\r\n", 100), 100, time.Millisecond)()
	var out, errOut string
	status := -1
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out, errOut, status = s.client(nil, "hot", "--sample", "1000", "--duration", "1m")
	}()
	wait(t, "a burst", func() error {
		if s.stats("")["log_watchers"] != "1" {
			return errors.New("it does not watch")
		}
		return nil
	})
	for watchers := 0; watchers < 20; {
		conn, err := net.Dial(s.network(), s.socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "watch evictions\r\n")
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if answer == "OK\r\n" {
			watchers++
			defer conn.Close()
		} else { // during a burst
			conn.Close()
		}
	}
	<-ended
	if status != 11 || !strings.Contains(out, "  a\n") || !strings.Contains(out, " lines of the log dropped\n") || !strings.HasSuffix(errOut, "as many watchers as it takes\nhint: end one of the others\n") {
		t.Errorf("status %d: %s%s", status, out, errOut)
	}
}

// memcached closes an idle connection, also that of a search that pauses for longer.
func TestHotLongPauses(t *testing.T) {
	t.Parallel()
	s := newServer(t, stock(t), "-o", "idle_timeout=1")
	s.onPort("127.0.0.1", "-l", "127.0.0.1")
	s.start()
	s.waitDoor()
	defer s.asking(strings.Repeat("get a\r\n", 100), 100, 10*time.Millisecond)()
	if d := s.hot("--sample", "20", "--duration", "4s"); len(d.Keys) != 1 || !near(d.Keys[0].Requests, float64(d.Requests)/d.Seconds, 0.01) {
		t.Errorf("%+v", d)
	}
}

// What a native load, dump or change looks up is in memcached's log as if clients had asked. Nothing is looked at meanwhile, so the figures
// are those of clients; and each job begins, and ends, as without.
func TestHotBesideJobs(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t), "-m", "256")
	defer s.asking("get user:1\r\n", 1, time.Millisecond)()
	s.fill(10_000, "--key", "filled:{n}", "--size", "5000")
	var stopped atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !stopped.Load() {
			for _, job := range [][]string{
				{"dump", os.DevNull}, {"fill", "--count", "100000", "--key", "made:{n}"}, {"delete", "--prefix", "made:", "--yes"}, {"touch", "--prefix", "filled:", "--ttl", "1h", "--yes"},
			} {
				if out, errOut, status := s.client(nil, job...); status != 0 {
					t.Errorf("%q: status %d: %s%s", job, status, out, errOut)
				}
				time.Sleep(100 * time.Millisecond) // clients are looked at in between
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
	d := s.hot("--duration", "3s")
	stopped.Store(true)
	running.Wait()
	if len(d.Keys) != 1 || d.Keys[0].Key != "user:1" || !near(d.Keys[0].Requests, float64(d.Requests)/d.Seconds, 0.1) || d.Paused == 0 || d.Paused > d.Seconds {
		t.Errorf("%+v", d)
	}
}

// Watches end under load, with a full buffer: before 1.6.45 memcached uses a watcher that it has freed if its connection fails then.
func TestHotUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t), "-o", "watcher_logbuf_size=4,worker_logbuf_size=64")
	for range 3 {
		defer s.asking(strings.Repeat("get a\r\n", 500), 500, 0)()
	}
	for range 3 {
		if d := s.hot("--duration", "1s", "--sample", "1000"); d.Requests == 0 || d.Seen == 0 {
			t.Errorf("%+v", d)
		}
	}
	s.lives()
}

// BenchmarkHot is what hot leaves of memcached's throughput, by intervals of a second with and without it in turns.
func BenchmarkHot(b *testing.B) {
	s := start(b, stock(b), "-m", "512")
	s.fill(1_000_000, "--key", "key:{n}", "--size", "100")
	load := s.zipf(4, 0)
	defer load.stop()
	gets := func() float64 { return float64(s.stat("", "cmd_get")) }
	interval := func() float64 {
		began, before := time.Now(), gets()
		time.Sleep(time.Second)
		return (gets() - before) / time.Since(began).Seconds()
	}
	watchers := func(what, want string) {
		wait(b, what, func() error {
			if n := s.stats("")["log_watchers"]; n != want {
				return fmt.Errorf("%s watchers", n)
			}
			return nil
		})
	}
	var with, without []float64
	for b.Loop() {
		without = append(without, interval())
		call := s.begin(door.Request{Op: door.OpHot, Hot: door.Hot{Duration: 3600}})
		watchers("the first burst", "1")
		watchers("its end", "0")
		with = append(with, interval())
		call.Close()
		watchers("the end of hot", "0")
	}
	median := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	b.ReportMetric(median(without), "requests/s")
	b.ReportMetric(median(with)/median(without), "left")
}

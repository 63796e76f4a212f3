package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
)

// copied is what copy --json prints.
type copied struct {
	Items, Copied, Rejected, Skipped, Filtered, Lost, Left uint64
	Reasons                                                map[string]uint64
	Gone                                                   *door.Gone
	To                                                     string
	TargetEngine                                           door.Engine `json:"target_engine"`
	Error                                                  string
	Interrupted                                            bool
	Verified                                               *struct {
		Done                                                                       bool
		Copied, Same, Changed, Gone, Expired, Kept, Missing, Different, New, Extra uint64
		Wrong                                                                      []struct {
			Is, Key string
			Base64  string `json:"key_base64"`
			Differs []string
		}
	}
}

// readCopied reads what copy --json has printed, which adds up.
func readCopied(t testing.TB, printed []byte) *copied {
	t.Helper()
	var c copied
	if err := json.Unmarshal(printed, &c); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if c.Items != c.Copied+c.Rejected+c.Skipped+c.Filtered+c.Lost+c.Left {
		t.Errorf("it does not add up: %+v", c)
	}
	if v := c.Verified; v != nil && v.Done && v.Copied != v.Same+v.Changed+v.Gone+v.Expired+v.Kept+v.Missing+v.Different {
		t.Errorf("it does not add up: %+v", v)
	}
	return &c
}

// copies copies to another memcached, and returns what came of it.
func (s *server) copies(status int, to string, args ...string) *copied {
	s.t.Helper()
	out, errs, got := s.client(nil, append([]string{"--json", "copy", "--to", to}, args...)...)
	if got != status {
		s.t.Fatalf("copy --to %s %q: status %d, want %d: %s%s", to, args, got, status, out, errs)
	}
	return readCopied(s.t, []byte(out))
}

// eachTarget runs a test for the ways into a target: its door, and its own socket.
func eachTarget(t *testing.T, program string, args []string, test func(t *testing.T, to *server, path string)) {
	t.Helper()
	for _, way := range []string{"door", "socket"} {
		t.Run(way, func(t *testing.T) {
			to := start(t, program, args...)
			path := to.socket
			if way == "door" {
				path = to.door
			}
			test(t, to, path)
			to.lives()
		})
	}
}

// A cache is copied while clients change it: afterwards all that differs is what they have changed since the copy began.
func TestCopyLive(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const n = 30_000
		eachTarget(t, h.other(t), []string{"-m", "256"}, func(t *testing.T, to *server, path string) {
			s := start(t, h.program, "-m", "256")
			s.fill(n, "--size", "20-400", "--ttl", "1h", "--key", "k{n}")
			changed := make(map[string]bool)
			copying, done := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				<-copying
				c := memcache.New(s.socket)
				c.Timeout = waitLimit
				defer c.Close()
				for i := 1; ; i += 7 {
					key := fmt.Sprint("k", i%n+1)
					if i%5 == 0 {
						key = fmt.Sprint("new", i)
					}
					changed[key] = true
					var err error
					switch i % 3 {
					case 0:
						err = c.Set(&memcache.Item{Key: key, Value: fmt.Appendf(nil, "written %d", i)})
					case 1:
						if err = c.Delete(key); err == memcache.ErrCacheMiss {
							err = nil
						}
					case 2:
						if err = c.Touch(key, 9000); err == memcache.ErrCacheMiss {
							err = nil
						}
					}
					if err != nil {
						t.Errorf("%s: %v", key, err)
						return
					}
					select {
					case <-done:
						return
					case <-time.After(time.Millisecond):
					}
				}
			})
			var out, errs bytes.Buffer
			cmd := exec.Command(built(t, "client"), "--door", s.door, "--json", "copy", "--to", path, "--rate", "60000")
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			close(copying)
			err := cmd.Wait()
			close(done)
			wg.Wait()
			if err != nil {
				t.Fatalf("%v: %s%s", err, &out, &errs)
			}
			c := readCopied(t, out.Bytes())
			v := c.Verified
			if c.Copied+c.Skipped != c.Items || c.Copied < n*9/10 || !v.Done || v.Missing+v.Different > 0 || v.Changed == 0 || v.Same < n/2 {
				t.Errorf("%+v, %+v", c, v)
			}
			dump, _ := to.dump()
			lines, counts := s.compared(3, "--ttl-tolerance", "1m", dump)
			if len(lines) == 0 {
				t.Error("nothing was changed")
			}
			for _, line := range lines {
				if key := strings.Fields(line)[1]; !changed[key] {
					t.Errorf("%s: nobody has changed it", line)
				}
			}
			if counts["same"] < n/2 {
				t.Errorf("%v", counts)
			}
			s.lives()
		})
	})
}

// Items of all kinds are the same at the target, by any way that leads there; those that the protocol cannot have are
// rejected there, with the reason.
func TestCopyKinds(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256", "-I", "16m")
		want := variety(1000)
		want["1m"], want["8m"] = entry{value: strings.Repeat("m", 1<<20)}, entry{value: strings.Repeat("8\r\nmn\r\n", 1<<20), date: in(5000)}
		s.store(want)
		items := marks()
		s.makeMarks(items)
		s.setBinary("v")
		all := uint64(len(want) + len(items) + 1)
		longs := uint64(0)
		if h.native() {
			key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", 200)))
			if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(`{"key_base64":"`+key+`","value":"v"}`+"\n")); l.Stored != 1 {
				t.Fatalf("%+v", l)
			}
			longs = 1
		}
		eachTarget(t, h.other(t), []string{"-m", "256", "-I", "16m"}, func(t *testing.T, to *server, path string) {
			defer func(whole testing.TB) { s.t = whole }(s.t)
			s.t = t
			status, rejected, engine := 0, uint64(0), door.EngineNative
			if path != to.door {
				engine = door.EngineProtocol
				if longs > 0 {
					status, rejected = 3, longs
				}
			}
			observed := to.observe()
			c := s.copies(status, path)
			observed()
			if v := c.Verified; c.Copied != all+longs-rejected || c.Rejected != rejected || c.TargetEngine != engine || v.Missing != rejected || v.Same != c.Copied {
				t.Errorf("%+v, %+v", c, v)
			}
			if c.Reasons["binary key longer than 186 bytes: memcached's protocol has none"] != rejected {
				t.Errorf("%v", c.Reasons)
			}
			same(t, "the target", to.serves(want), want, s, to)
			dump, d := to.dump()
			if d.Written != c.Copied {
				t.Errorf("%+v of %d", d, c.Copied)
			}
			lines, _ := s.compared(map[bool]int{true: 3}[rejected > 0], "--ttl-tolerance", "1m", dump)
			if uint64(len(lines)) != rejected {
				t.Errorf("%q", lines)
			}
			// The verification has won no token.
			to.marksAre("copied", items)

			// What is there stays, or is replaced by its like.
			to.ask("flush_all", regexp.MustCompile("^OK"))
			if err := to.cache().Set(&memcache.Item{Key: "1m", Value: []byte("other")}); err != nil {
				t.Fatal(err)
			}
			c = s.copies(0, path, "--mode", "add", "--match", "?m")
			if v := c.Verified; c.Copied != 1 || c.Skipped != 1 || v.Kept != 1 || v.Same != 1 || to.get("1m") != "other" {
				t.Errorf("%+v, %+v", c, v)
			}
			c = s.copies(0, path, "--mode", "replace", "--regex", "^[1-9]m|stale$")
			if v := c.Verified; c.Copied != 2 || c.Skipped != 1 || v.Kept != 1 || v.Same != 2 || len(to.get("1m")) != 1<<20 {
				t.Errorf("%+v, %+v", c, v)
			}
			c = s.copies(0, path, "--prefix", "8", "--min-size", "1M", "--min-ttl", "1h", "--no-verify")
			if c.Copied != 1 || c.Filtered+c.Copied != c.Items || c.Verified != nil {
				t.Errorf("%+v", c)
			}
		})
		s.lives()
	})
}

// Values that the source has on a disk are copied; a target that is too small for all says what it has lost, and one that
// takes no large values rejects those.
func TestCopySmallTarget(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		s := start(t, h.program, "-m", "512", "-I", "4m", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")
		s.fill(20_000, "--size", "1000-2000")
		s.fill(3, "--size", "2M", "--key", "large:{n}")
		wait(t, "items on the disk", func() error {
			if n := s.stat("", "extstore_objects_written"); n < 2000 {
				return fmt.Errorf("%d objects are written", n)
			}
			return nil
		})
		eachTarget(t, h.other(t), []string{"-m", "8"}, func(t *testing.T, to *server, path string) {
			defer func(whole testing.TB) { s.t = whole }(s.t)
			s.t = t
			c := s.copies(3, path)
			v := c.Verified
			reason := "value too large for memcached's item size limit (-I)"
			if path == to.door {
				reason = "row too long for memcached's item size limit (-I)"
			}
			if c.Items != 20_003 || c.Copied != 20_000 || c.Rejected != 3 || c.Reasons[reason] != 3 {
				t.Errorf("%+v", c)
			}
			if there := uint64(to.stat("", "curr_items")); v.Same != there || v.Missing != 20_003-there || v.Different > 0 || len(v.Wrong) != 10 || there > 10_000 {
				t.Errorf("%d are there; %+v", there, v)
			}
			if path == to.door && (c.Gone == nil || c.Gone.Rows == 0) {
				t.Errorf("%+v", c.Gone)
			}
		})
		s.lives()
	})
}

// A side that dies ends the copy with its error, and what was done is said; so does ^C.
func TestCopyEnds(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		s.fill(100_000)
		for _, end := range []struct {
			name, says string
			status     int
			do         func(client *os.Process, to *server)
		}{
			{"target", "the target: ", 1, func(_ *os.Process, to *server) { to.cmd.Process.Kill() }},
			{"interrupted", "", 130, func(client *os.Process, _ *server) { client.Signal(os.Interrupt) }},
			{"source", "the source: ", 1, func(*os.Process, *server) { s.cmd.Process.Signal(syscall.SIGTERM) }},
		} {
			if end.name == "source" {
				s = start(t, h.program, "-m", "256")
				s.fill(100_000)
			}
			for _, way := range []string{"door", "socket"} {
				if end.name == "source" && way == "socket" {
					s = start(t, h.program, "-m", "256")
					s.fill(100_000)
				}
				to := start(t, h.other(t), "-m", "256")
				path := map[string]string{"door": to.door, "socket": to.socket}[way]
				var out, errs bytes.Buffer
				cmd := exec.Command(built(t, "client"), "--door", s.door, "--json", "copy", "--to", path, "--rate", "20000")
				cmd.Stdout, cmd.Stderr = &out, &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				wait(t, "items at the target", func() error {
					if n := to.stat("", "curr_items"); n < 1000 {
						return fmt.Errorf("%d", n)
					}
					return nil
				})
				end.do(cmd.Process, to)
				_ = cmd.Wait()
				if got := cmd.ProcessState.ExitCode(); got != end.status {
					t.Errorf("%s, %s: status %d: %s%s", end.name, way, got, &out, &errs)
				}
				if out.Len() == 0 {
					t.Errorf("%s, %s: nothing is said of what was done: %s", end.name, way, &errs)
					continue
				}
				c := readCopied(t, out.Bytes())
				if !strings.HasPrefix(c.Error, end.says) || c.Interrupted != (end.status == 130) || c.Verified != nil || c.Left == 0 && end.name != "source" {
					t.Errorf("%s, %s: %+v: %s", end.name, way, c, &errs)
				}
				if end.name == "interrupted" {
					if n := uint64(to.stat("", "curr_items")); n != c.Copied {
						t.Errorf("%s: %d items are there, %+v", way, n, c)
					}
				}
			}
		}
	})
}

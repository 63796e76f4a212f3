package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// figures asks for a status with memcached's statistics, which must be there.
func (s *server) figures() *door.Stats {
	s.t.Helper()
	reply, err := call(s.door, door.Request{Op: door.OpStatus, Stats: uint32(waitLimit.Milliseconds())})
	if err != nil || reply.Status == nil || reply.Status.Stats == nil || reply.Status.StatsReason != "" {
		s.t.Fatalf("%+v, %v", reply, err)
	}
	return reply.Status.Stats
}

// A status has the figures that memcached itself states, and changes none but the number of all connections until now.
func TestFigures(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "8", "-c", "200")
		if f := s.figures(); *f.Items != 0 || *f.Limit != 8<<20 || *f.MaxConnections != 200 || *f.Buckets != 1<<16 || *f.Growing || f.Oldest != nil {
			t.Errorf("%+v", f)
		}
		if _, stderr, status := s.client(nil, "fill", "--count", "100000"); status != 0 {
			t.Fatal(stderr)
		}
		s.load(door.Request{}, []byte("last\tvalue\n"))
		for range 5 {
			s.get("last")
			s.missing("none")
		}
		want := map[string]int{}
		for figure, stat := range map[string]string{
			"items": "curr_items", "bytes": "bytes", "gets": "cmd_get", "hits": "get_hits", "misses": "get_misses", "sets": "cmd_set", "evictions": "evictions",
		} {
			want[figure] = s.stat("", stat)
		}
		want["pages"] = s.stat("slabs", "total_malloced")
		if want["evictions"] == 0 || want["gets"] < 10 {
			t.Fatalf("%v", want)
		}
		for range 3 {
			text, err := json.Marshal(s.figures())
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			for name, n := range want {
				if got[name] != float64(n) {
					t.Errorf("%s is %v, memcached says %d", name, got[name], n)
				}
			}
		}
		wait(t, "an older item", func() error {
			if f := s.figures(); *f.Oldest < 2 || *f.Oldest > uint64(waitLimit.Seconds()) {
				return fmt.Errorf("the oldest is of %d s ago", *f.Oldest)
			}
			return nil
		})
		out, errOut, status := s.client(nil, "status")
		if lines := fmt.Sprintf("items          %d\nmemory         ", want["items"]); status != 0 || errOut != "" || !strings.HasPrefix(out, lines) || !strings.Contains(out, " of 10 gets\n") {
			t.Errorf("status %d, %s%s", status, out, errOut)
		}

		before := s.stat("", "total_connections")
		for range 5 {
			s.waitDoor()
		}
		// waitDoor uses the connection that there is; the question itself is one more.
		if n := s.stat("", "total_connections") - before; n != 1 {
			t.Errorf("a status that was not to ask memcached has made %d connections", n-1)
		}
		// All that a status has of memcached is asked for once.
		before = s.stat("", "total_connections")
		reply, err := call(s.door, door.Request{Op: door.OpStatus, Stats: 10_000, Slabs: true})
		if err != nil || reply.Status.Stats == nil || reply.Status.Slabs == nil || len(reply.Status.Slabs.Classes) == 0 {
			t.Errorf("%+v, %v", reply.Status, err)
		}
		if n := s.stat("", "total_connections") - before; n != 2 {
			t.Errorf("a status has made %d connections", n-1)
		}
		s.lives()
	})
}

// The connections of a status are those of others.
func TestFiguresOfConnections(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		for range 3 {
			conn := dial(s)
			defer conn.Close()
			fmt.Fprint(conn, "mn\r\n") // it is served, so it is counted
			if _, err := conn.Read(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
		}
		// These, and one that the test's client keeps. memcached may not have noticed the end of others yet.
		const had = 3 + 1
		wait(t, "the connections", func() error {
			if n := *s.figures().Connections; n != had {
				return fmt.Errorf("%d connections, of %d", n, had)
			}
			return nil
		})

		// A load by protocol has a connection, too.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		loaded := make(chan error, 1)
		go func() {
			_, err := call(s.door, door.Request{Op: door.OpLoad}, r)
			loaded <- err
		}()
		if _, err := w.WriteString("a\t1\n"); err != nil {
			t.Fatal(err)
		}
		wait(t, "the row", func() error {
			_, err := s.cache().Get("a")
			return err
		})
		if n := *s.figures().Connections; n != had {
			t.Errorf("%d connections during a load, %d before", n, had)
		}
		w.Close()
		r.Close()
		if err := <-loaded; err != nil {
			t.Error(err)
		}
	})
}

// Where memcached does not state its figures, or not in time, the status says why, and has the rest.
func TestNoFigures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users := written(t, "users", []byte("user:password\n"))
	key, cert := certificate(t)
	for name, test := range map[string]struct {
		args []string
		port bool // listens on a port instead of a unix socket
		want string
	}{
		"users":   {[]string{"-Y", users}, false, `it answers "CLIENT_ERROR unauthenticated"`},
		"binary":  {[]string{"-B", "binary"}, false, "it closes the connection"},
		"TLS":     {[]string{"-Z", "-o", "ssl_key=" + key + ",ssl_chain_cert=" + cert}, true, "it closes the connection"},
		"full":    {[]string{"-c", "100"}, false, `it answers "ERROR Too many open connections"`},
		"nowhere": {[]string{"-p", "0", "-U", "0"}, false, "memcached listens at no address that takes connections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, stock(t), test.args...)
			switch {
			case test.port:
				s.onPort("127.0.0.1", "-l", "127.0.0.1")
			case name == "nowhere":
				s.listen = []string{}
			}
			s.start()
			wait(t, "the door", func() error {
				_, err := call(s.door, door.Request{Op: door.OpStatus})
				return err
			})
			wait(t, "memcached to have no figures", func() error {
				for i := 0; i < 20 && test.args[0] == "-c"; i++ { // until it takes no more
					conn, err := net.DialTimeout(s.network(), s.socket, 100*time.Millisecond)
					if err != nil {
						break
					}
					t.Cleanup(func() { conn.Close() })
				}
				out, errOut, status := s.client(nil, "status")
				if first, rest, _ := strings.Cut(out, "\n"); status != 0 || errOut != "" || !strings.HasPrefix(first, "statistics     not known: ") ||
					!strings.Contains(first, test.want) || !strings.HasPrefix(rest, "memcached      1.6.18\npid  ") {
					return fmt.Errorf("status %d, %s%s", status, out, errOut)
				}
				return nil
			})
			// What does not ask for them does not notice.
			for range 20 {
				if reply, err := call(s.door, door.Request{Op: door.OpStatus}); err != nil || reply.Status.Stats != nil || reply.Status.StatsReason != "" {
					t.Fatalf("%+v, %v", reply, err)
				}
			}
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("it ended with %v\n%s", status, s.output.String())
			}
		})
	}

	t.Run("held", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(dir, "many.jsonl")
		if err := os.WriteFile(file, []byte(`{"key":"a{n}","value":"","count":1000000000}`), 0o644); err != nil {
			t.Fatal(err)
		}
		s := withFixtures(t, stock(t), []string{file})
		s.start()
		defer s.kill()
		wait(t, "the fixtures", func() error {
			began := time.Now()
			reply, err := call(s.door, door.Request{Op: door.OpStatus, Stats: 10_000, Slabs: true})
			if err != nil || reply.Status.Fixtures == nil || reply.Status.Fixtures.Rows == 0 {
				return fmt.Errorf("%+v, %v", reply.Status, err)
			}
			if took := time.Since(began); reply.Status.StatsReason != "memcached takes no connections until the fixtures are loaded" || reply.Status.Slabs.Unknown != reply.Status.StatsReason || took > 5*time.Second {
				t.Errorf("after %v: %+v", took, reply.Status)
			}
			return nil
		})
	})
}

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// admitted connects and says whether memcached serves the connection, or refuses it because there are too many.
func admitted(t *testing.T, s *server) (net.Conn, bool) {
	t.Helper()
	conn := dial(s)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprint(conn, "version\r\n")
	switch answer, err := bufio.NewReader(conn).ReadString('\n'); {
	case strings.HasPrefix(answer, "VERSION "):
		return conn, true
	case strings.HasPrefix(answer, "ERROR Too many open connections"):
		conn.Close()
		return nil, false
	default:
		t.Fatalf("a new client gets %q, %v", answer, err)
		return nil, false
	}
}

// fillConnections connects until memcached has as many clients as it takes, and returns them.
func fillConnections(t *testing.T, s *server) []net.Conn {
	t.Helper()
	var clients []net.Conn
	for {
		conn, ok := admitted(t, s)
		if !ok {
			return clients
		}
		clients = append(clients, conn)
	}
}

// At memcached's limit of connections it refuses new clients as without the library, whatever the door does meanwhile, and the door
// answers. In the number of clients there is nothing to be felt of the library, but for the Go runtime's two descriptors.
func TestConnectionLimit(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		bare := newServer(t, h.program, "-c", "100")
		bare.preload = ""
		bare.start()
		bare.waitServing()
		most := len(fillConnections(t, bare))

		s := start(t, h.program, "-c", "100")
		s.descriptors() // those of the calls until now are closed
		clients := fillConnections(t, s)
		if own := most - len(clients); own > 2 && h.native() {
			t.Errorf("%d clients are served, without the library %d", len(clients), most)
		}

		// A load that lasts, so that its descriptors stay open, and calls that come and go.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		loaded := make(chan error, 1)
		go func() {
			reply, err := call(s.door, door.Request{Op: door.OpLoad}, r)
			switch {
			case err != nil:
			case h.native() && (reply.Load == nil || reply.Load.Stored != 1000):
				err = fmt.Errorf("%+v", reply)
			case !h.native() && reply.Error == nil:
				err = fmt.Errorf("memcached should refuse a connection more: %+v", reply)
			}
			loaded <- err
		}()
		if _, err := w.Write(rowsOf("k", 1000)); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := call(s.door, door.Request{Op: door.OpStatus}); err != nil {
				t.Fatalf("status: %v\n%s", err, s.output.String())
			}
			if conn, ok := admitted(t, s); ok {
				// One that the library does not have any more: of the two it was one too many.
				clients = append(clients, conn)
			}
			if _, stderr, status := s.client(nil, "wait"); status != 0 {
				t.Fatalf("wait: %s", stderr)
			}
		}
		if len(clients) > most {
			t.Errorf("%d clients are served, without the library %d", len(clients), most)
		}
		w.Close()
		if err := <-loaded; err != nil {
			t.Errorf("load: %v", err)
		}
		if n := statOn(t, clients[0], "listen_disabled_num"); n != "0" {
			t.Errorf("listen_disabled_num is %s", n)
		}
		if strings.Contains(s.output.String(), "accept") {
			t.Errorf("memcached wrote %q", s.output.String())
		}
	})
}

// Where the hard limit leaves nothing for the door there is none, and memcached has what it has without the library.
func TestConnectionLimitIsHard(t *testing.T) {
	t.Parallel()
	const nobody = "65534"
	wrap := []string{"prlimit", "--nofile=100:100", "setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups"}
	clients := func(preload string) (*server, int) {
		s := newServer(t, stock(t), "-c", "100")
		s.preload, s.wrap, s.user = preload, wrap, ""
		s.start()
		s.waitServing()
		return s, len(fillConnections(t, s))
	}
	_, want := clients("")
	s, got := clients(built(t, "backdoor.so"))
	if got != want {
		t.Errorf("%d clients are served, without the library %d", got, want)
	}
	if line := s.output.String(); !strings.HasPrefix(line, "memcached-backdoor: no door: ") || !strings.Contains(line, "ulimit -Hn") {
		t.Errorf("memcached wrote %q", line)
	}
}

// statOn asks for one of memcached's statistics on a connection that is there.
func statOn(t *testing.T, conn net.Conn, name string) string {
	t.Helper()
	fmt.Fprint(conn, "stats\r\n")
	in := bufio.NewScanner(conn)
	for in.Scan() && in.Text() != "END" {
		if f := strings.Fields(in.Text()); len(f) == 3 && f[1] == name {
			return f[2]
		}
	}
	t.Fatalf("no %s (%v)", name, in.Err())
	return ""
}

// memcached's listener has the number that it has without the library: a client that comes later may not get a lower one, by which
// memcached's own tests know who came last (t/watcher_connid.t).
func TestListenerNumber(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		number := func(preloaded bool) string {
			s := newServer(t, h.program, "-t", "16")
			if !preloaded {
				s.preload = ""
			}
			s.start()
			s.waitServing()
			for _, line := range s.ask("stats conns", regexp.MustCompile("^END$")) {
				if number, ok := strings.CutSuffix(strings.TrimPrefix(line, "STAT "), ":state conn_listening"); ok {
					return number
				}
			}
			t.Fatal("no listener")
			return ""
		}
		want := number(false)
		for range 5 {
			if got := number(true); got != want {
				t.Errorf("the listener is %s, without the library %s", got, want)
			}
		}
	})
}

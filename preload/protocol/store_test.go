package protocol

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/walk"
)

// greeted is what a memcached that a test plays has said when it is asked for more.
func greeted(version string) string {
	return fmt.Sprintf("STAT pid %d\r\nSTAT version %s\r\nSTAT time 100\r\nEND\r\n", os.Getpid(), version) +
		"STAT item_size_max 1048576\r\nSTAT cas_enabled yes\r\nEND\r\n" + incompleteFlag + "\r\nMN\r\n"
}

// A dialogue is one connection to a memcached: what is asked and answered on it, in turns (see play), after the greeting.
type dialogue struct{ asked, answers string }

// listens makes a memcached that a test plays. It takes one connection after the other, each for the next dialogue, and all
// of them must come.
func listens(t testing.TB, version string, dialogues ...dialogue) *Store {
	t.Helper()
	address := &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "socket")}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, address)
	}
	if err == nil {
		err = unix.Listen(fd, 10)
	}
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	playing.Go(func() {
		for n := 0; ; n++ {
			conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if err != nil { // it is shut down
				if n != len(dialogues) {
					t.Errorf("memcached got %d connections, want %d", n, len(dialogues))
				}
				return
			}
			d := dialogue{}
			if n < len(dialogues) {
				d = dialogues[n]
			}
			playing.Go(func() {
				defer unix.Close(conn)
				play(t, conn, greeting+"|"+d.asked, greeted(version)+"|"+d.answers)
			})
		}
	})
	t.Cleanup(func() {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		playing.Wait()
		unix.Close(fd)
	})
	return &Store{at: Address{address}}
}

// When a connection fails in the middle of an answer, the tokens that were taken over it are given back over another, and
// the error is the first one's.
func TestFetchGivesBackAnew(t *testing.T) {
	t.Parallel()
	items := []*walk.Item{{Key: []byte("a"), External: true}, {Key: []byte("b"), External: true, Stale: true, CAS: 8}, {Key: []byte("c"), External: true}}
	// b was stored anew since the walk met it.
	s := listens(t, "1.6.45",
		dialogue{"mg a u f l t s c h v\r\nmg b u f l t s c h v\r\nmg c u f l t s c h v\r\nmn\r\n", "VA 1 f0 t-1 s1 c7 X W\r\nv\r\nVA 5 f0 t-1 s5 c9 X W\r\nhal"},
		dialogue{"md a I C7 E7\r\nmd b I C9 E9\r\nmn\r\n", "HD\r\nHD\r\nMN\r\n"})
	if err := s.Fetch(items); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// An error of one part of the items ends the fetch, and no token is given back that was not taken.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	var items []*walk.Item
	var asked strings.Builder
	for n := range fetched + 1 {
		items = append(items, &walk.Item{Key: fmt.Append(nil, n), External: true})
		if n < fetched {
			fmt.Fprintf(&asked, "mg %d u f l t s c h v\r\n", n)
		}
	}
	s := listens(t, "1.6.45", dialogue{asked.String() + "mn\r\n", "SERVER_ERROR out of memory\r\n"})
	if err := s.Fetch(items); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Error(err)
	}
}

// What a fetch has sent for may have taken a token, whether the answer has come or not.
func TestFetchUnanswered(t *testing.T) {
	t.Parallel()
	items := func() []*walk.Item {
		return []*walk.Item{
			{Key: []byte("won"), External: true},
			{Key: []byte("bad"), External: true, Stale: true},
			{Key: []byte("stale"), External: true, Stale: true},
			{Key: []byte("others"), External: true, Stale: true, Won: true},
			{Key: []byte("fresh"), External: true},
			{Key: []byte("here"), Stale: true},
		}
	}
	var asked string
	for _, i := range items() {
		asked += "mg " + string(i.Key) + " u f l t s c h v\r\n"
	}
	asked += "mn\r\n"
	broken := func(t *testing.T) *conn { // its other end is closed before anything is sent
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fds[1])
		c := &conn{limit: AnswerLimit, fd: fds[0], itemSizeMax: 1 << 20}
		t.Cleanup(c.close)
		return c
	}
	for _, tt := range []struct {
		name  string
		conn  func(t *testing.T) *conn
		taken string
		err   string
	}{
		{"none is sent", broken, "bad stale", "it closes the connection"},
		{"none", func(t *testing.T) *conn { return peer(t, asked, "") }, "bad stale", "it closes the connection"},
		{"an answer that is none", func(t *testing.T) *conn { return peer(t, asked, "HD f0 t-1 s1 c1 W X\r\nSERVER_ERROR\r\n") }, "won bad stale", `"SERVER_ERROR"`},
		{"half of a value", func(t *testing.T) *conn { return peer(t, asked, "VA 5 f0 t-1 s1 c1 W X\r\nhal") }, "won bad stale", "it closes the connection"},
		{"no end", func(t *testing.T) *conn { return peer(t, asked, strings.Repeat("EN\r\n", 6)) }, "bad stale", "it closes the connection"},
		{"misses", func(t *testing.T) *conn { return peer(t, asked, strings.Repeat("EN\r\n", 6)+"MN\r\n") }, "bad stale", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			taken, err := tt.conn(t).fetch(items(), true)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			var keys []string
			for _, i := range taken {
				keys = append(keys, string(i.Key))
			}
			if got := strings.Join(keys, " "); got != tt.taken {
				t.Errorf("%q were taken, want %q", got, tt.taken)
			}
		})
	}
}

// An item whose token was taken is not asked for again, and what could not be given back is told.
func TestFetchAllTokens(t *testing.T) {
	t.Parallel()
	items := func() []*walk.Item {
		return []*walk.Item{{Key: []byte("a"), External: true, Stale: true, CAS: 7}, {Key: []byte("b"), External: true, Stale: true, CAS: 8}}
	}
	const get, back = "mg a u f l t s c h v\r\nmg b u f l t s c h v\r\nmn\r\n", "md a I C7\r\nmd b I C8\r\nmn\r\n"
	c := peer(t, get+"|"+back+"|me a\r\nme b\r\nmn\r\n", "EN\r\nEN\r\nMN\r\n|HD\r\nHD\r\nMN\r\n|ME a exp=-1\r\nEN\r\nMN\r\n")
	c.deletesCAS = true
	both := items()
	if taken, err := c.fetchAll(both, true); err != nil || len(taken) > 0 || !both[0].External || both[0].Gone || !both[1].Gone {
		t.Errorf("%v, %v, %+v %+v", taken, err, both[0], both[1])
	}
	c = peer(t, get+"|"+back, "EN\r\nEN\r\nMN\r\n|HD\r\n")
	c.deletesCAS = true
	both = items()
	if taken, err := c.fetchAll(both, true); !errors.Is(err, errClosed) || len(taken) != 1 || taken[0] != both[1] {
		t.Errorf("%v, %v", taken, err)
	}
}

// staleItem is a memcached that a test plays, with one item, which is stale.
type staleItem struct {
	mu  sync.Mutex
	won bool
	// asked has one when somebody asks for the item whose token another has; for a moment that one has to wait for it.
	asked chan struct{}
}

func (m *staleItem) serve(conn net.Conn) {
	defer conn.Close()
	answer := greeted("1.6.45")
	for in := bufio.NewScanner(conn); in.Scan(); {
		switch command, _, _ := strings.Cut(in.Text(), " "); command {
		case "mg":
			if in.Text() != "mg k E" {
				answer = m.get()
			}
		case "md":
			m.mu.Lock()
			m.won, answer = false, "HD\r\n"
			m.mu.Unlock()
		case "mn":
			_, _ = fmt.Fprint(conn, strings.TrimSuffix(answer, "MN\r\n")+"MN\r\n")
		}
	}
}

func (m *staleItem) get() string {
	m.mu.Lock()
	won := m.won
	m.won = true
	m.mu.Unlock()
	if won {
		m.asked <- struct{}{}
		return "VA 1 f0 t-1 s1 c7 X Z\r\nv\r\n"
	}
	select {
	case <-m.asked:
	case <-time.After(100 * time.Millisecond):
	}
	return "VA 1 f0 t-1 s1 c7 X W\r\nv\r\n"
}

// Of two fetches at once neither is told that the item is won, whose token the other has taken and is about to give back.
func TestFetchAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	m := &staleItem{asked: make(chan struct{}, 1)}
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			go m.serve(conn)
		}
	}()
	s := &Store{at: Address{&unix.SockaddrUnix{Name: path}}}
	var fetching sync.WaitGroup
	for range 2 {
		fetching.Go(func() {
			i := &walk.Item{Key: []byte("a"), External: true}
			if err := s.Fetch([]*walk.Item{i}); err != nil || !i.Stale || i.Won {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
	fetching.Wait()
}

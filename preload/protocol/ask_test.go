package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listenFor serves an address of this process with a function.
func listenFor(t *testing.T, name string, serve func(net.Conn)) Address {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return Address{&unix.SockaddrUnix{Name: path}}
}

// A memcached whose threads do not answer is asked once, and only for so long; after it, no connection is left.
func TestAskSilent(t *testing.T) {
	had := connections.Load()
	silent := listenFor(t, "silent", func(conn net.Conn) {
		io.Copy(io.Discard, conn) // and no answer
	})
	asked := make(chan struct{}, 1)
	second := listenFor(t, "second", func(conn net.Conn) { asked <- struct{}{}; conn.Close() })
	closing := listenFor(t, "closing", func(conn net.Conn) { conn.Close() })

	_, err := Ask([]Address{closing, silent, second}, 50*time.Millisecond, nil)
	if !errors.Is(err, errSilent) || !strings.Contains(err.Error(), `closing": it closes the connection`) || !strings.Contains(err.Error(), `silent": no answer within 50ms`) {
		t.Errorf("%v", err)
	}
	select {
	case <-asked:
		t.Error("another address of the same threads was asked")
	default:
	}
	if n := connections.Load(); n != had {
		t.Errorf("%d connections are left", n-had)
	}
}

// The limit is for all answers together, and a client that has gone ends it.
func TestAskLimit(t *testing.T) {
	t.Parallel()
	slow := listenFor(t, "slow", func(conn net.Conn) {
		for range 4 {
			time.Sleep(60 * time.Millisecond)
			fmt.Fprintf(conn, "STAT pid %d\r\nEND\r\n", os.Getpid())
		}
	})
	if a, err := Ask([]Address{slow}, 10*time.Second, nil); err != nil || a.General["pid"] == "" {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := Ask([]Address{slow}, 150*time.Millisecond, nil); !errors.Is(err, errSilent) {
		t.Errorf("%+v, %v", a, err)
	}
	silent := listenFor(t, "silent", func(conn net.Conn) { io.Copy(io.Discard, conn) })
	gone, calls := errors.New("gone"), 0
	a, err := Ask([]Address{silent, slow}, time.Second, func() error {
		if calls++; calls == 1 {
			return nil
		}
		return gone
	})
	if !errors.Is(err, gone) || calls > 3 {
		t.Errorf("%+v, %v after %d calls", a, err, calls)
	}
}

// What answers for another process, or not with statistics, is not memcached.
func TestAskAnother(t *testing.T) {
	for answer, want := range map[string]string{
		"STAT pid 1\r\nEND\r\n":              `another process answers, "1"`,
		"END\r\n":                            `another process answers, ""`,
		"CLIENT_ERROR unauthenticated\r\n":   `it answers "CLIENT_ERROR unauthenticated"`,
		strings.Repeat("STAT a 1\r\n", 5000): "more than 4000 statistics",
	} {
		at := listenFor(t, "other", func(conn net.Conn) {
			conn.Write([]byte(answer))
			io.Copy(io.Discard, conn)
		})
		if _, err := Ask([]Address{at}, AnswerLimit, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", answer, err, want)
		}
	}
}

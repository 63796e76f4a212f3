package remote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/meta"
)

// limit is how long these tests wait for what never comes.
const limit = 200 * time.Millisecond

const (
	greeting = "VERSION 1.6.38\r\nMN\r\n"
	clockNow = "STAT pid 1\r\nSTAT time 5\r\nEND\r\n"
)

// serve serves connections as something that is no memcached, or a strange one.
func serve(t *testing.T, server func(net.Conn, *bufio.Reader)) Address {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
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
			go func() {
				defer conn.Close()
				server(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return Address{Network: "unix", Address: path, Limit: limit}
}

// answers serves what is said, whatever is asked, and then reads until the client has gone.
func answers(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		io.WriteString(conn, text)
		io.Copy(io.Discard, in)
	}
}

// closes serves what is said to the first line, and hangs up.
func closes(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		in.ReadString('\n')
		io.WriteString(conn, text)
	}
}

// What is no memcached that takes the commands is refused with the reason, in time.
func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		server func(net.Conn, *bufio.Reader)
		says   string
		hint   string
	}{
		"silent":           {answers(""), "no answer within " + limit.String(), "binary clients"},
		"silent later":     {answers(greeting), "no answer within " + limit.String(), ""},
		"closes":           {closes(""), "it has closed the connection", "--tls"},
		"closes in a line": {closes("VERS"), `it has closed the connection after "VERS"`, "--tls"},
		"HTTP":             {answers("HTTP/1.1 400 Bad Request\r\n\r\n"), `it is no memcached: it answers "HTTP/1.1 400 Bad Request"`, ""},
		"an error":         {answers("ERROR\r\n"), `it is no memcached: it answers "ERROR"`, ""},
		"a long line":      {answers(strings.Repeat("x", 1<<20)), `it answers "xxx`, ""},
		"a line that has no end": {func(conn net.Conn, _ *bufio.Reader) {
			for {
				if _, err := io.WriteString(conn, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}, `it answers "xxx`, ""},
		"old":          {answers("VERSION 1.6.9\r\nERROR\r\n"), `it is memcached "1.6.9": the meta commands`, "door"},
		"very old":     {answers("VERSION 1.4.25\r\nERROR\r\n"), `it is memcached "1.4.25": the meta commands`, "door"},
		"unknown":      {answers("VERSION \x1b[2J\r\nMN\r\n"), `it is memcached "\x1b[2J"`, "door"},
		"password":     {answers("CLIENT_ERROR unauthenticated\r\n"), "it wants a password", "door"},
		"no meta":      {answers("VERSION 1.6.38\r\nERROR\r\n"), `it is no memcached: it answers "ERROR"`, ""},
		"endless stat": {answers(greeting + "STAT a b\r\n"), "no answer within", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(serve(t, test.server))
			if err == nil {
				c.Close()
				t.Fatal("it is taken for a memcached")
			}
			hint := ""
			if e, ok := errors.AsType[*Error](err); ok {
				hint = e.Hint
			}
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(hint, test.hint) || test.hint == "" && hint != "" {
				t.Errorf("%q, hint %q", err, hint)
			}
		})
	}
	if _, err := Dial(Address{Network: "unix", Address: filepath.Join(t.TempDir(), "none"), Limit: limit}); err == nil || err.Error() != "connect: no such file or directory" {
		t.Error(err)
	}
}

// memcached serves as one: it answers each command by what answer makes of it.
func memcached(answer func(line string, in *bufio.Reader) string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			switch line = strings.TrimSuffix(line, "\r\n"); line {
			case "version":
				line = "VERSION 1.6.38\r\n"
			case "mn":
				line = "MN\r\n"
			case "stats":
				line = clockNow
			default:
				line = answer(line, in)
			}
			if _, err := io.WriteString(conn, line); err != nil {
				return
			}
		}
	}
}

// Each command gets its own answer, whatever keys and values are, and however many are on their way.
func TestPipe(t *testing.T) {
	const n = 20_000
	c, err := Dial(serve(t, memcached(func(line string, in *bufio.Reader) string {
		words := strings.Fields(line)
		if words[0] == "ms" {
			var length int
			fmt.Sscan(words[2], &length)
			value := make([]byte, length+2)
			io.ReadFull(in, value)
			return fmt.Sprintf("HD k%s\r\n", words[1])
		}
		if words[0] == "mg" {
			return fmt.Sprintf("VA %d k\r\n%s\r\n", len(words[1]), words[1])
		}
		return "ERROR\r\n"
	})))
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != "1.6.38" {
		t.Error(c.Version)
	}
	p := NewPipe(c)
	defer p.Close()
	large := []byte(strings.Repeat("flush_all\r\n", 1<<17))
	answered := 0
	for i := range n {
		key := fmt.Appendf(nil, "key%d", i)
		value := []byte("v\r\nmn\r\n")
		if i%5000 == 7 {
			value = large
		}
		if i%2 == 0 {
			p.Do(func(a *Answer) error {
				if string(a.Line) != "HD k"+string(key) {
					return a.Unexpected()
				}
				answered++
				return nil
			}, func(w *meta.Writer) { w.Set(key, value, meta.Set{}) })
			continue
		}
		p.Do(func(a *Answer) error {
			if a.Code() != "VA" || string(a.Value) != string(key) {
				return a.Unexpected()
			}
			answered++
			return nil
		}, func(w *meta.Writer) { w.Get(key, " v") })
	}
	if err := p.Sync(); err != nil || answered != n {
		t.Errorf("%d answers, %v", answered, err)
	}
	if err := p.Sync(); err != nil {
		t.Error(err)
	}
}

// A memcached that fails, stops or answers nonsense ends a Pipe with the reason, and nothing waits for ever.
func TestPipeEnds(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(line string, in *bufio.Reader) string
		says   string
	}{
		"stops":         {func(_ string, in *bufio.Reader) string { select {} }, "no answer within"},
		"nonsense":      {func(string, *bufio.Reader) string { return "what?\r\n" }, `it answers "what?"`},
		"no length":     {func(string, *bufio.Reader) string { return "VA\r\n" }, `it answers "VA"`},
		"length":        {func(string, *bufio.Reader) string { return "VA 99999999999 \r\n" }, `it answers "VA 99999999999 "`},
		"a long value":  {func(string, *bufio.Reader) string { return "VA 2147483647\r\n" }, "it answers a value of 2147483647 bytes"},
		"a short value": {func(string, *bufio.Reader) string { return "VA 5\r\nab\r\nHD\r\nHD\r\n" }, "has no end after 5 bytes"},
		"goes":          {func(string, *bufio.Reader) string { runtime.Goexit(); return "" }, "it has closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(serve(t, memcached(test.answer)))
			if err != nil {
				t.Fatal(err)
			}
			p := NewPipe(c)
			defer p.Close()
			value := make([]byte, 1<<20)
			for range 100 {
				p.Do(func(a *Answer) error {
					if a.Code() != "HD" {
						return a.Unexpected()
					}
					return nil
				}, func(w *meta.Writer) { w.Set([]byte("k"), value, meta.Set{}) })
			}
			if err := p.Sync(); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Error(err)
			}
			if err := p.Sync(); err == nil || p.Err() != err {
				t.Error(err)
			}
		})
	}
}

func TestExptime(t *testing.T) {
	now := time.Now().Unix()
	c := &Conn{ahead: 1000}
	for date, want := range map[int64]int64{0: 0, now - 5: -1, now: -1, now + 100: 100, now + meta.RelativeMax + 100: now + meta.RelativeMax + 1100} {
		if got := c.Exptime(date); got != want && got != want-1 {
			t.Errorf("%d: %d, want %d", date-now, got, want)
		}
	}
}

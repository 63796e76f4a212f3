package protocol

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/hot"
)

// logs makes a memcached that a test plays: take accepts its next connection.
func logs(t *testing.T) (at Address, take func() int) {
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
	t.Cleanup(func() { unix.Close(fd) })
	return Address{address}, func() int {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Error(err)
		}
		return conn
	}
}

// introduced is what memcached says when the log is opened.
func introduced(version, settings string) string {
	return fmt.Sprintf("STAT pid %d\r\nSTAT version %s\r\nEND\r\n%sEND\r\nVERSION %s\r\n", os.Getpid(), version, settings, version)
}

// Of a memcached whose log is not safe to read, or not its own, none is read.
func TestOpenLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, settings string
		err               error
	}{
		{"1.6.8", "", unsafeLog},
		{"1.5.22", "", unsafeLog},
		{"unknown", "", unsafeLog},
		{"1.6.9", "", nil},
		{"1.6.41", "STAT proxy_enabled no\r\n", nil},
		{"1.6.42", "", nil},
		{"1.7.0", "", nil},
		{"1.6.45", "STAT proxy_enabled yes\r\n", proxyLog},
	} {
		at, take := logs(t)
		go func() {
			conn := take()
			play(t, conn, "stats\r\nstats settings\r\nversion\r\n", introduced(tt.version, tt.settings))
			unix.Close(conn)
		}()
		l, err := OpenLog([]Address{at})
		if tt.err != nil {
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: %v", tt.version, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", tt.version, err)
		}
		l.Close()
	}
	if _, err := OpenLog(nil); err != errNowhere {
		t.Error(err)
	}
}

// Requests are those of all commands that look up a key.
func TestServed(t *testing.T) {
	t.Parallel()
	const stats = "STAT cmd_get 1\r\nSTAT cmd_set 2\r\nSTAT cmd_touch 4\r\nSTAT delete_hits 8\r\nSTAT delete_misses 16\r\nSTAT incr_hits 32\r\n" +
		"STAT incr_misses 64\r\nSTAT decr_hits 128\r\nSTAT decr_misses 256\r\nSTAT cmd_meta 512\r\nSTAT log_worker_dropped 7\r\nEND\r\n"
	for name, tt := range map[string]struct{ answer, err string }{
		"all":       {stats, ""},
		"no cmd":    {strings.Replace(stats, "STAT cmd_set 2\r\n", "", 1), "no cmd_set"},
		"no number": {strings.Replace(stats, "log_worker_dropped 7", "log_worker_dropped x", 1), "no log_worker_dropped"},
		"closed":    {"STAT cmd", "closes"},
	} {
		l := &Log{control: peer(t, "stats\r\n", tt.answer), used: time.Now()}
		served, err := l.Served()
		if tt.err == "" && (err != nil || served != hot.Served{Requests: 511, Dropped: 7}) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %+v, %v", name, served, err)
		}
	}
}

// A connection that memcached has closed in a pause, or may have, is made again.
func TestServedAfterPause(t *testing.T) {
	t.Parallel()
	const stats = "STAT cmd_get 7\r\nSTAT cmd_set 0\r\nSTAT cmd_touch 0\r\nSTAT delete_hits 0\r\nSTAT delete_misses 0\r\nSTAT incr_hits 0\r\n" +
		"STAT incr_misses 0\r\nSTAT decr_hits 0\r\nSTAT decr_misses 0\r\nSTAT log_worker_dropped 0\r\nEND\r\n"
	for _, used := range []time.Time{time.Now(), time.Now().Add(-idleLimit)} {
		at, take := logs(t)
		l := &Log{at: at, limit: AnswerLimit, control: peer(t, "", ""), used: used}
		old := l.control
		if _, err := old.poll(unix.POLLIN); err != nil { // it is closed
			t.Fatal(err)
		}
		heard := make(chan int)
		go func() {
			conn := take()
			hear(t, conn, "stats\r\nstats settings\r\nversion\r\n", introduced("1.6.38", ""))
			hear(t, conn, "stats\r\n", stats)
			heard <- conn
		}()
		if served, err := l.Served(); err != nil || served.Requests != 7 {
			t.Errorf("%+v, %v", served, err)
		}
		unix.Close(<-heard)
		*old = *l.control // the peer closes it
	}
}

// hear reads what memcached is to get, and answers.
func hear(t *testing.T, conn int, want, answer string) {
	t.Helper()
	text := make([]byte, len(want))
	for n := 0; n < len(want); {
		m, err := unix.Read(conn, text[n:])
		if m <= 0 || err != nil {
			t.Errorf("memcached got %q and %v, want %q", text[:n], err, want)
			return
		}
		n += m
	}
	if string(text) != want {
		t.Errorf("memcached got %q, want %q", text, want)
	}
	_, _ = unix.Write(conn, []byte(answer))
}

// watched begins a watch, and returns memcached's end of it, too. memcached closes it after an answer that is not OK; after none it is silent.
func watched(t *testing.T, l *Log, take func() int, command, answer string) (w hot.Watch, conn int, err error) {
	t.Helper()
	conns := make(chan int)
	go func() {
		conn := take()
		hear(t, conn, "stats\r\nstats settings\r\nversion\r\n", introduced("1.6.38", ""))
		hear(t, conn, command, answer)
		if answer != "" && !strings.HasPrefix(answer, "OK\r\n") {
			_ = unix.Shutdown(conn, unix.SHUT_WR)
		}
		conns <- conn
	}()
	w, err = l.Watch()
	return w, <-conns, err
}

// readAll reads a watch until its error.
func readAll(w hot.Watch) (lines string, err error) {
	for {
		more, err := w.Read()
		lines += string(more)
		if err != nil {
			return lines, err
		}
		time.Sleep(time.Millisecond)
	}
}

// A watch is ended by closing one half of its connection: memcached still writes its lines, and closes it.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	at, take := logs(t)
	w, conn, err := watched(t, &Log{at: at, limit: AnswerLimit}, take, "watch fetchers\r\n", "OK\r\na 0\nb ")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if lines, err := w.Read(); err != nil || string(lines) != "a 0\n" {
		t.Fatalf("%q, %v", lines, err)
	}
	if lines, err := w.Read(); err != nil || len(lines) > 0 {
		t.Fatalf("%q, %v", lines, err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 100)
	if n, err := unix.Read(conn, text); err != nil || n != 0 {
		t.Errorf("%q, %v", text[:n], err)
	}
	for _, part := range []string{"0\na", " 1\nb 2\nc", " 3\n"} {
		if err := unix.Sendto(conn, []byte(part), unix.MSG_NOSIGNAL, nil); err != nil {
			t.Errorf("the connection is closed: %v", err)
		}
	}
	unix.Close(conn)
	if lines, err := readAll(w); err != io.EOF || lines != "b 0\na 1\nb 2\nc 3\n" {
		t.Errorf("%q, %v", lines, err)
	}
}

// What memcached answers instead is an error, as is a connection that it closes.
func TestWatchFails(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]error{
		"CLIENT_ERROR watch commands not allowed\r\n":    unwatched,
		"WATCHER_TOO_MANY log watcher limit reached\r\n": overbooked,
		"OK\r":                             errClosed,
		"CLIENT_ERROR unauthenticated\r\n": errors.New(`it answers "CLIENT_ERROR unauthenticated"`),
		strings.Repeat("x", 2*maxLine):     errors.New("it answers " + clip.Quote(strings.Repeat("x", maxLine))),
	} {
		at, take := logs(t)
		w, conn, err := watched(t, &Log{at: at, limit: AnswerLimit}, take, "watch fetchers\r\n", answer)
		unix.Close(conn)
		if w != nil || !errors.Is(err, want) && (err == nil || err.Error() != want.Error()) {
			t.Errorf("%.40q: %v, %.400v, want %v", answer, w, err, want)
		}
	}
	at, take := logs(t)
	w, conn, err := watched(t, &Log{at: at, limit: AnswerLimit}, take, "watch fetchers\r\n", "OK\r\na\n")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	unix.Close(conn)
	if lines, err := readAll(w); !errors.Is(err, errClosed) || lines != "a\n" {
		t.Errorf("%q, %v", lines, err)
	}
}

// A memcached that does not take the connection, or has no answer, is no silent end: the reason comes after some time. It is asked for no log
// before it has answered, and a watch that it may still begin is left to be ended.
func TestWatchSilent(t *testing.T) {
	t.Parallel()
	at, take := logs(t)
	l := &Log{at: at, limit: 500 * time.Millisecond}
	if w, err := l.Watch(); w != nil || !errors.Is(err, errSilent) {
		t.Errorf("%v, %v", w, err)
	}
	conn := take()
	text := make([]byte, 100)
	if n, err := unix.Read(conn, text); err != nil || strings.Contains(string(text[:n]), "watch") {
		t.Errorf("memcached got %q, %v", text[:n], err)
	}
	unix.Close(conn)
	w, conn, err := watched(t, l, take, "watch fetchers\r\n", "")
	defer unix.Close(conn)
	if w == nil || !errors.Is(err, errSilent) {
		t.Fatalf("%v, %v", w, err)
	}
	w.Close()
}

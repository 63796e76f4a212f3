package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/meta"
)

// A Log is this process's memcached, for its log of requests (protocol.txt: "watch").
type Log struct {
	at      Address
	limit   time.Duration // how long memcached may take for an answer
	control *conn         // asks for statistics
	used    time.Time     // when it did so last
	closes  bool          // a watch may be closed at any time
	buffer  []byte
}

// An Unlogged is the reason for which memcached's log of requests is not read.
type Unlogged struct{ Message, Hint string }

func (u *Unlogged) Error() string { return u.Message }

var (
	unsafeLog  = &Unlogged{"to read the log of requests can make a memcached before 1.6.9 end or hang", "start a later memcached"}
	unwatched  = &Unlogged{"memcached does not show its log of requests (-W)", "start memcached without -W"}
	overbooked = &Unlogged{"memcached's log has as many watchers as it takes", "end one of the others"}
	proxyLog   = &Unlogged{"memcached is a proxy: its log does not have the keys of its requests", "ask the memcacheds behind it"}
)

// OpenLog finds among addresses one at which this process's memcached takes text commands. An [*Unlogged] is in its error, or the
// reason against each address. Close closes it.
func OpenLog(addresses []Address) (*Log, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var reasons []error
	for _, at := range addresses {
		l := &Log{at: at, limit: AnswerLimit}
		err := l.open()
		if err == nil {
			return l, nil
		}
		reasons = append(reasons, fmt.Errorf("%v: %w", at, err))
	}
	return nil, errors.Join(reasons...)
}

func (l *Log) open() error {
	c, err := connect(l.at, l.limit)
	if err != nil {
		return err
	}
	stats, settings, err := c.introduce()
	if err == nil {
		l.control, l.used = c, time.Now()
		l.closes = host.ClosesWatchers(stats["version"])
		switch {
		case settings["proxy_enabled"] == "yes":
			err = proxyLog
		case !host.LogsLookups(stats["version"]):
			err = unsafeLog
		}
	}
	if err != nil {
		c.close()
	}
	return err
}

// introduce makes sure that this process answers, and asks for memcached's statistics and settings.
func (c *conn) introduce() (stats, settings map[string]string, err error) {
	// It is sent at once, and is long enough for a memcached that reads only binary commands; see greeting.
	if err := c.send(meta.Commands("stats\r\nstats settings\r\nversion\r\n")); err != nil {
		return nil, nil, err
	}
	if stats, err = c.stats(); err != nil {
		return nil, nil, err
	}
	if stats["pid"] != strconv.Itoa(os.Getpid()) {
		return nil, nil, errors.New("another process answers, " + clip.QuoteN(stats["pid"], 20))
	}
	if settings, err = c.stats(); err != nil {
		return nil, nil, err
	}
	_, err = c.line()
	return stats, settings, err
}

// RateMax is how many requests in a second memcached may serve when a watch begins; 0: any number. It is what its logger can keep up with:
// else it never has nothing left to write, and a watch that cannot be closed at any time does not end; see watch.End.
func (l *Log) RateMax() uint64 {
	if l.closes {
		return 0
	}
	return 500_000
}

// Close closes the connection that asks for statistics; a [hot.Watch] has its own.
func (l *Log) Close() { l.control.close() }

// requestStats are the statistics that count requests, by key: nearly each request looks up its key once, and counts in one of them (memcached.c:
// server_stats; proto_text.c, proto_bin.c). In none count a set for which there is no room, "md" with I, "ma" that finds another CAS or makes its
// number, and "me".
var requestStats = []string{
	"cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses",
}

// refresh makes sure that the connection can be used: memcached may have closed it in a long pause (-o idle_timeout).
func (l *Log) refresh() error {
	idle := time.Since(l.used)
	l.used = time.Now()
	if idle < idleLimit && !l.control.stale() {
		return nil
	}
	c, err := connect(l.at, l.limit)
	if err != nil {
		return err
	}
	if _, _, err := c.introduce(); err != nil {
		c.close()
		return err
	}
	l.control.close()
	l.control = c
	return nil
}

// Served asks for memcached's counters.
func (l *Log) Served() (hot.Served, error) {
	if err := l.refresh(); err != nil {
		return hot.Served{}, err
	}
	if err := l.control.send(meta.Commands("stats\r\n")); err != nil {
		return hot.Served{}, err
	}
	stats, err := l.control.stats()
	if err != nil {
		return hot.Served{}, err
	}
	var s hot.Served
	for _, name := range requestStats {
		n, err := strconv.ParseUint(stats[name], 10, 64)
		if err != nil {
			return hot.Served{}, fmt.Errorf("it states no %s: %w", name, err)
		}
		s.Requests += n
	}
	if s.Dropped, err = strconv.ParseUint(stats["log_worker_dropped"], 10, 64); err != nil {
		return hot.Served{}, fmt.Errorf("it states no log_worker_dropped: %w", err)
	}
	return s, nil
}

// A watch is a connection to which memcached writes its log.
type watch struct {
	*conn
	half  int    // what of the connection End shuts down (shutdown(2))
	rest  int    // bytes at the end of in that are the beginning of a line
	begun bool   // memcached's answer was read
	first []byte // lines that came with the answer, for the next Read
	ended bool   // by end
}

// watchBytes is how many bytes of the log are read at once at most: memcached keeps as many of it (-o watcher_logbuf_size).
const watchBytes = 256 << 10

// watchCommand asks for the log of lookups. That of stores ("mutations") is not safe to read in any version so far: memcached crashes when it logs
// one for which there is no room. Before 1.6.42 that is a binary one for which it has no memory (proto_bin.c: process_bin_update); from 1.6.41 to
// 1.6.45 an "ms" whose value is too large (proto_parser.c: process_mset_cmd_start, which logs a pointer as the command; logger.c:
// _logger_parse_ise, cmd_map).
const watchCommand = "watch fetchers\r\n"

// Watch begins to read the log. Only one watch at a time is read. It waits for memcached's answer, which the logger's thread sends within a
// second (logger.c: MAX_LOGGER_SLEEP). A watch that comes with an error has no answer yet, and has to be ended as any other.
func (l *Log) Watch() (hot.Watch, error) {
	c, err := connect(l.at, l.limit)
	if err != nil {
		return nil, err
	}
	// A memcached that takes no more connections now gets no "watch", which it would begin when nobody reads it. And another process may
	// listen at a port by now.
	_, _, err = c.introduce()
	if err == nil {
		err = c.send(meta.Commands(watchCommand))
	}
	if err != nil {
		c.close()
		return nil, err
	}
	if l.buffer == nil {
		l.buffer = make([]byte, watchBytes)
	}
	c.in = l.buffer[:0]
	w := &watch{conn: c, half: unix.SHUT_WR}
	if l.closes {
		w.half = unix.SHUT_RDWR
	}
	for !w.begun {
		if _, err := w.poll(unix.POLLIN); err != nil {
			return w, err
		}
		if w.first, err = w.Read(); err != nil {
			c.close()
			return nil, err
		}
	}
	return w, nil
}

// Read returns the lines that are there, which are valid until the next call. After End the error is io.EOF when memcached has closed
// its end.
func (w *watch) Read() ([]byte, error) {
	if lines := w.first; len(lines) > 0 {
		w.first = nil
		return lines, nil
	}
	whole := w.in[:cap(w.in)]
	n := copy(whole, w.in[len(w.in)-w.rest:])
	w.in = whole[:n]
	for n < len(whole) {
		m, err := unix.Read(w.fd, whole[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && m > 0:
			n += m
			continue
		case err != nil && err != unix.EAGAIN:
			return nil, fmt.Errorf("%w (read: %w)", errClosed, err)
		case err == nil && len(w.in) == n && w.ended:
			return nil, io.EOF
		case err == nil && len(w.in) == n:
			return nil, errClosed
		}
		break
	}
	w.in = whole[:n]
	end := bytes.LastIndexByte(w.in, '\n') + 1
	w.rest = n - end
	if w.rest > maxLine {
		return nil, unexpected(w.in[end:])
	}
	lines := w.in[:end]
	if !w.begun && end > 0 {
		answer, rest, _ := bytes.Cut(lines, []byte("\n"))
		if err := accepted(bytes.TrimSuffix(answer, []byte("\r"))); err != nil {
			return nil, err
		}
		lines, w.begun = rest, true
	}
	return lines, nil
}

// accepted returns the error that memcached's answer to "watch" is, if it is one (proto_text.c: process_watch_command).
func accepted(answer []byte) error {
	switch {
	case string(answer) == "OK":
		return nil
	case strings.HasPrefix(string(answer), "CLIENT_ERROR watch commands not allowed"):
		return unwatched
	case strings.HasPrefix(string(answer), "WATCHER_TOO_MANY"):
		return overbooked
	}
	return unexpected(answer)
}

// End asks memcached to end the watch. Before 1.6.45 its connection must not fail while the watcher's buffer may be full
// (host.ClosesWatchers). But memcached also reads the end of a connection, for which it looks when that buffer is empty (logger.c:
// logger_thread_poll_watchers). So the connection is half closed, and what comes is read until memcached has nothing left to write, and
// closes it.
func (w *watch) End() error {
	w.ended = true
	return os.NewSyscallError("shutdown", unix.Shutdown(w.fd, w.half))
}

// Close closes the connection, when Read has returned an error.
func (w *watch) Close() { w.close() }

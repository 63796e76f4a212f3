// Package remote speaks memcached's meta commands (its doc/protocol.txt) to a memcached at an address: many commands are
// on their way at once, and every one gets its answer.
package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/meta"
)

const (
	// DefaultLimit is how long memcached may take to connect, to take some bytes or to answer.
	DefaultLimit = 10 * time.Second
	// lineMax is the length of the longest line of an answer, in bytes; the longest has a key in it.
	lineMax = 4096
	// writeBytes is how many bytes are written at once, for which memcached has the limit anew.
	writeBytes = 256 << 10
	// valueMax is the length of the longest value, in bytes (memcached.c: item_size_max).
	valueMax = 1 << 30
)

// An Error is what is wrong with a memcached, and what can be done about it.
type Error struct {
	error
	Hint string
}

// Unwrap returns the error without the hint.
func (e *Error) Unwrap() error { return e.error }

var (
	errClosed = errors.New("it has closed the connection")
	errSilent = errors.New("no answer")
)

// A Conn is a connection to a memcached that understands the meta commands of a dump.
type Conn struct {
	// Version is memcached's own, such as 1.6.38.
	Version string
	// PID is the number of its process where that runs, as it says itself; 0: it does not.
	PID int

	conn  net.Conn
	in    *bufio.Reader
	limit time.Duration
	ahead int64 // seconds that its clock is ahead of this machine's
	value []byte
}

// An Address is where a memcached listens.
type Address struct {
	Network, Address string      // as of net.Dial: unix or tcp
	TLS              *tls.Config // nil: without TLS
	Limit            time.Duration
}

// Dial connects to a memcached and learns its version. The error is an *Error if something can be done about it. The
// caller closes the Conn.
func Dial(a Address) (*Conn, error) {
	plain, err := (&net.Dialer{Timeout: a.Limit}).Dial(a.Network, a.Address)
	if err != nil {
		return nil, dialError(err)
	}
	c := &Conn{conn: plain, limit: a.Limit}
	if a.TLS != nil {
		if err := c.encrypt(a.TLS); err != nil {
			plain.Close()
			return nil, err
		}
	}
	c.in = bufio.NewReaderSize(c.conn, 64<<10)
	c.extend()
	if err := c.greet(a.TLS != nil); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// dialError is an error of net.Dial without the address, which the caller knows.
func dialError(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		if e.Timeout() {
			return fmt.Errorf("connect: %w", errSilent)
		}
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("connect: %w", err)
}

func (c *Conn) encrypt(config *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.limit)
	defer cancel()
	encrypted := tls.Client(c.conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		hint := "--tls-ca names the file of the authority that has signed its certificate, and --tls-server-name the name in it"
		if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
			hint = "it seems to listen without TLS here (memcached -l notls:...)"
		}
		return &Error{fmt.Errorf("TLS: %w", err), hint}
	}
	c.conn = encrypted
	return nil
}

// greet sees to it that what answers is a memcached that takes the commands of a dump.
func (c *Conn) greet(encrypted bool) error {
	if err := c.send(meta.Commands("version\r\nmn\r\n")); err != nil {
		return greetError(err, encrypted)
	}
	line, err := c.line()
	if err != nil {
		return greetError(err, encrypted)
	}
	version, ok := strings.CutPrefix(string(line), "VERSION ")
	switch {
	case strings.Contains(string(line), "unauthenticated"):
		return &Error{errors.New("it wants a password (memcached -Y), which this client does not send"), "copy to its door, or to a port without authentication"}
	case !ok:
		return fmt.Errorf("it is no memcached: it answers %s", clip.Quote(line))
	}
	c.Version = version
	if !host.HasMeta(version) {
		return &Error{fmt.Errorf("it is memcached %s: the meta commands that this client sends are those of 1.6.10 and later", clip.QuoteN([]byte(version), 32)),
			"copy to its door"}
	}
	switch line, err = c.line(); {
	case err != nil:
		return greetError(err, encrypted)
	case string(line) != "MN":
		return fmt.Errorf("it is no memcached: it answers %s", clip.Quote(line))
	}
	return c.learn()
}

// greetError is an error before the first answer.
func greetError(err error, encrypted bool) error {
	hint := ""
	switch {
	case errors.Is(err, errSilent):
		hint = "it may take binary clients only (memcached -S, -B binary)"
	case errors.Is(err, errClosed) && !encrypted:
		hint = "--tls encrypts, for a memcached -Z; one with -S takes binary clients only"
	case encrypted: // it has closed the connection, or has sent an alert
		hint = "--tls-cert and --tls-key name a client's certificate, which it may want (-o ssl_verify_mode)"
	}
	return &Error{err, hint}
}

// learn learns memcached's process, and what time it is for memcached, with which it compares dates: its clock starts as
// that of its machine, and does not follow when that is set (memcached.c: clock_handler).
func (c *Conn) learn() error {
	if err := c.send(meta.Commands("stats\r\n")); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if text, ok := bytes.CutPrefix(line, []byte("STAT pid ")); ok {
			c.PID, _ = strconv.Atoi(string(text))
		}
		if text, ok := bytes.CutPrefix(line, []byte("STAT time ")); ok {
			if now, err := strconv.ParseInt(string(text), 10, 64); err == nil {
				c.ahead = now - time.Now().Unix()
			}
		}
		if !bytes.HasPrefix(line, []byte("STAT ")) { // END; or a proxy's ERROR
			return nil
		}
	}
}

// Exptime is a date, in seconds since 1970 on this machine, as memcached's commands have it; 0: never. It is -1 for one
// that is over. A short time is said as one, whatever the clocks are.
func (c *Conn) Exptime(date int64) int64 {
	left := date - time.Now().Unix()
	switch {
	case date == 0:
		return 0
	case left <= 0:
		return -1
	case left <= meta.RelativeMax:
		return left
	}
	return date + c.ahead
}

// Close closes the connection, also while another goroutine reads or writes.
func (c *Conn) Close() { c.conn.Close() }

// send writes all of a text. It takes nothing else: other bytes might be commands by accident.
func (c *Conn) send(text meta.Text) error {
	for p := text.Bytes(); len(p) > 0; {
		n := min(len(p), writeBytes)
		c.extend() // what memcached takes is a sign of life for the answers, too
		if _, err := c.conn.Write(p[:n]); err != nil {
			return c.failure(err)
		}
		p = p[n:]
	}
	return nil
}

// extend gives memcached the limit anew.
func (c *Conn) extend() { _ = c.conn.SetDeadline(time.Now().Add(c.limit)) }

// failure says what an error of the connection means.
func (c *Conn) failure(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w within %v", errSilent, c.limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return errClosed
	}
	return err
}

// line reads a line without its end, which is valid until the next call.
func (c *Conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > lineMax:
		return nil, fmt.Errorf("it answers %s", clip.Quote(line))
	case err != nil && len(line) > 0:
		return nil, fmt.Errorf("%w after %s", c.failure(err), clip.Quote(line))
	case err != nil:
		return nil, c.failure(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// data reads a value of n bytes and its line end. It is valid until the next call.
func (c *Conn) data(n int) ([]byte, error) {
	if n > valueMax {
		return nil, fmt.Errorf("it answers a value of %d bytes", n)
	}
	if n += 2; cap(c.value) < n {
		c.value = make([]byte, n)
	}
	value := c.value[:n]
	for at := 0; at < n; {
		m, err := c.in.Read(value[at:])
		if at += m; err != nil {
			return nil, c.failure(err)
		}
		c.extend()
	}
	if string(value[n-2:]) != "\r\n" {
		return nil, fmt.Errorf("the value that it answers has no end after %d bytes", n-2)
	}
	return value[:n-2], nil
}

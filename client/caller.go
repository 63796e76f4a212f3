package main

import (
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
)

// silenceLimit is how long memcached may be silent before the client warns.
const silenceLimit = 2 * time.Second

// caller waits for memcached: until it answers, a signal comes, or --timeout is over. If that takes
// long, one line says what it waits for.
type caller struct {
	door    string // its path
	signals <-chan os.Signal
	shown   progress

	timeout time.Duration    // 0: none
	expired <-chan time.Time // of timeout; nil: none
	warned  bool             // the line was printed
}

// newCaller makes a caller whose timeout begins now.
func newCaller(line *commandLine, signals <-chan os.Signal, shown progress, timeout timeLimit) caller {
	c := caller{door: line.doorPath(), signals: signals, shown: shown, timeout: time.Duration(timeout)}
	if timeout > 0 {
		c.expired = time.After(c.timeout)
	}
	return c
}

// dial connects to the door. That blocks while the backlog is full of calls that memcached has
// not taken (listen(2)). If dial returns before, its goroutine ends with the process.
func (c *caller) dial() (*door.Conn, error) {
	connected := ask(func() (*door.Conn, error) { return door.Dial(c.door) })
	silence := time.NewTicker(silenceLimit)
	defer silence.Stop()
	for {
		select {
		case a := <-connected:
			return a.value, a.err
		case <-c.signals:
			return nil, errInterrupted
		case <-c.expired:
			return nil, c.timedOut(errSilent)
		case <-silence.C:
			c.warn("memcached to take the call: its backlog is full of other calls")
		}
	}
}

// await waits for the answer that ends a call, and calls show for those before it. The error is that
// of a signal or of the timeout; an error of the call is in the answer.
func (c *caller) await(conn *door.Conn, answers <-chan answer[door.Reply], show func(door.Reply)) (answer[door.Reply], error) {
	silence := time.NewTicker(silenceLimit)
	defer silence.Stop()
	for {
		select {
		case a := <-answers:
			if a.err != nil || a.value.Type != door.TypeProgress {
				return a, nil
			}
			show(a.value)
		case <-c.signals:
			return answer[door.Reply]{}, errInterrupted
		case <-c.expired:
			if awaited(conn) != "" {
				return answer[door.Reply]{}, c.timedOut(errSilent)
			}
			return answer[door.Reply]{}, c.timedOut(errUnfinished)
		case <-silence.C:
			if what := awaited(conn); what != "" {
				c.warn(what)
			}
		}
	}
}

func (c *caller) timedOut(err error) error { return fmt.Errorf("after %v: %w", c.timeout, err) }

func (c *caller) warn(what string) {
	if c.warned {
		return
	}
	c.warned = true
	c.shown.clear()
	fmt.Fprintln(os.Stderr, "warning: waiting for "+what)
}

// awaited is what memcached must do before a call continues; "" if it works on it.
func awaited(conn *door.Conn) string {
	p := peerOf(conn.Peer())
	reason := p.stopped()
	switch {
	case !conn.Taken():
		if reason == "" {
			reason = p.crowded()
		}
		return "memcached" + p.name() + " to take the call" + reason
	case reason != "":
		return "memcached" + p.name() + " to continue" + reason
	}
	return ""
}

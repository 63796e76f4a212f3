package main

import (
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
)

// silence is how long memcached may leave a call alone until the user is told.
const silence = 2 * time.Second

// caller is how the client waits for memcached: until it answers, for a signal, or until the time
// is over that the user has. One line says what it waits for, if that takes long.
type caller struct {
	door    string // its path
	signals <-chan os.Signal
	shown   progress

	timeout time.Duration    // 0: there is none
	over    <-chan time.Time // it has passed
	said    bool             // what is waited for
}

// newCaller makes a caller whose time begins now.
func newCaller(line *commandLine, signals <-chan os.Signal, shown progress, timeout patience) caller {
	c := caller{door: line.doorPath(), signals: signals, shown: shown, timeout: time.Duration(timeout)}
	if timeout > 0 {
		c.over = time.After(c.timeout)
	}
	return c
}

// dial connects to the door, which waits while as many calls as can be have not been taken
// (listen(2): backlog). If it ends before that its goroutine ends with the process.
func (c *caller) dial() (*door.Conn, error) {
	connected := ask(func() (*door.Conn, error) { return door.Dial(c.door) })
	look := time.NewTicker(silence)
	defer look.Stop()
	for {
		select {
		case a := <-connected:
			return a.value, a.err
		case <-c.signals:
			return nil, errInterrupted
		case <-c.over:
			return nil, c.late(errSilent)
		case <-look.C:
			c.say("memcached to take the call: its backlog is full of other calls")
		}
	}
}

// await waits for the answer that ends a call, and shows those before it.
func (c *caller) await(conn *door.Conn, answers <-chan answer[door.Reply], show func(door.Reply)) (answer[door.Reply], error) {
	look := time.NewTicker(silence)
	defer look.Stop()
	for {
		select {
		case a := <-answers:
			if a.err != nil || a.value.Type != door.TypeProgress {
				return a, nil
			}
			show(a.value)
		case <-c.signals:
			return answer[door.Reply]{}, errInterrupted
		case <-c.over:
			if awaited(conn) != "" {
				return answer[door.Reply]{}, c.late(errSilent)
			}
			return answer[door.Reply]{}, c.late(errUnfinished)
		case <-look.C:
			if what := awaited(conn); what != "" {
				c.say(what)
			}
		}
	}
}

func (c *caller) late(err error) error { return fmt.Errorf("after %v: %w", c.timeout, err) }

func (c *caller) say(what string) {
	if c.said {
		return
	}
	c.said = true
	c.shown.clear()
	fmt.Fprintln(os.Stderr, "warning: waiting for "+what)
}

// awaited is what memcached has to do before a call continues; "" is nothing but the work itself.
func awaited(conn *door.Conn) string {
	p := peerOf(conn.Peer())
	why := p.stopped()
	switch {
	case !conn.Taken():
		if why == "" {
			why = p.crowded()
		}
		return "memcached" + p.name() + " to take the call" + why
	case why != "":
		return "memcached" + p.name() + " to continue" + why
	}
	return ""
}

package remote

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
)

// windowTexts is how many texts of commands, of 64 KB or one large value each, are on their way at most.
const windowTexts = 32

// An Answer is memcached's answer to a command; it is valid until the function that gets it returns.
type Answer struct {
	Line  []byte
	Value []byte // of an answer VA
}

// Code is the first word of the answer.
func (a *Answer) Code() string {
	code, _, _ := bytes.Cut(a.Line, []byte(" "))
	return string(code)
}

// Flags are the words of an answer HD or VA that begin with the letters that were asked for.
func (a *Answer) Flags() [][]byte {
	words := bytes.Fields(a.Line)
	return words[min(len(words), map[string]int{"HD": 1, "VA": 2}[a.Code()]):]
}

// Unexpected is the error of an answer that the command cannot have.
func (a *Answer) Unexpected() error { return fmt.Errorf("it answers %s", clip.Quote(a.Line)) }

// A Pipe sends commands, and calls a function for the answer to each, in their order, in a goroutine of its own: so
// answers are taken while commands are sent, without which memcached would stop to read. All methods but Err and
// Close are for one goroutine.
type Pipe struct {
	conn   *Conn
	writer *meta.Writer
	unsent []func(*Answer) error // of commands that the writer has, and has not sent
	sent   chan text
	failed chan struct{} // there is an error

	mu  sync.Mutex
	err error // the first
}

// A text is what was sent at once.
type text struct {
	answers []func(*Answer) error
	done    chan<- struct{} // nil, or closed when all before it is answered
}

// NewPipe makes a Pipe of a connection, which its Close closes.
func NewPipe(c *Conn) *Pipe {
	p := &Pipe{conn: c, sent: make(chan text, windowTexts), failed: make(chan struct{})}
	p.writer = meta.NewWriter(p.send)
	go p.read()
	return p
}

// Do writes one command, and notes what gets its answer. An error of that ends the Pipe.
func (p *Pipe) Do(answer func(*Answer) error, write func(*meta.Writer)) {
	p.unsent = append(p.unsent, answer)
	write(p.writer)
	if len(p.unsent) == 0 {
		p.noop()
	}
}

// noop sends the rest of what was written, and then a no-op in a record of its own. Of a record of TLS with the end of a
// value in it, memcached reads no more than the value, and sees no event for what OpenSSL has left of it
// (memcached.c: conn_nread, try_read_network): it would answer that only when more came.
func (p *Pipe) noop() {
	_ = p.writer.Flush()
	p.unsent = append(p.unsent, func(a *Answer) error {
		if string(a.Line) != "MN" {
			return a.Unexpected()
		}
		return nil
	})
	_ = p.writer.End()
}

// Sync sends what was written, and waits until all of it is answered. It returns the first error.
func (p *Pipe) Sync() error {
	p.noop()
	done := make(chan struct{})
	p.sent <- text{answers: p.unsent, done: done} // none are left, without an error
	p.unsent = nil
	<-done
	return p.Err()
}

// Close closes the connection, also while another goroutine uses the Pipe, which has an error then. The goroutine that
// reads stays, for that other one.
func (p *Pipe) Close() { p.fail(net.ErrClosed) }

// Err is the first error; nil: none.
func (p *Pipe) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// fail notes an error, unless there is one, and makes what reads and writes end.
func (p *Pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		close(p.failed)
		p.conn.Close()
	}
}

// send sends a text of the writer. Its commands are known to the reader before they can be answered.
func (p *Pipe) send(commands meta.Text) error {
	p.conn.extend() // also after a long time without commands
	if len(p.unsent) > 0 {
		p.sent <- text{answers: p.unsent}
		p.unsent = nil
	}
	if err := p.Err(); err != nil {
		return err
	}
	err := p.conn.send(commands)
	if errors.Is(err, errClosed) {
		select { // it may have said why
		case <-p.failed:
		case <-time.After(time.Second):
		}
	}
	if err != nil {
		p.fail(err)
	}
	return p.Err()
}

// read reads the answers. After an error it only takes what is sent.
func (p *Pipe) read() {
	for t := range p.sent {
		p.conn.extend()
		for _, answer := range t.answers {
			if p.Err() != nil {
				break
			}
			if err := p.answer(answer); err != nil {
				p.fail(err)
			}
		}
		if t.done != nil {
			close(t.done)
		}
	}
}

// answer reads one answer and hands it over.
func (p *Pipe) answer(take func(*Answer) error) error {
	line, err := p.conn.line()
	if err != nil {
		return err
	}
	a := Answer{Line: line}
	if a.Code() == "VA" {
		line = bytes.Clone(line) // reading the value overwrites it
		a.Line = line
		words := bytes.Fields(line)
		if len(words) < 2 {
			return a.Unexpected()
		}
		n, err := strconv.ParseUint(string(words[1]), 10, 31)
		if err != nil {
			return a.Unexpected()
		}
		if a.Value, err = p.conn.data(int(n)); err != nil {
			return err
		}
	}
	return take(&a)
}

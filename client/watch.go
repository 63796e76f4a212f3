package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
	"unicode"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"

	"golang.org/x/sys/unix"
)

// pauseMin is the shortest time between two statuses: each is a connection to memcached.
const pauseMin = 100 * time.Millisecond

// pause is the time between two statuses; 0: there is only one.
type pause time.Duration

// UnmarshalText reads a number of seconds, or a duration.
func (p *pause) UnmarshalText(text []byte) error {
	d, ok := record.ParseDuration(string(text))
	if !ok || d < pauseMin {
		return fmt.Errorf("%q is not a time between two looks: seconds, or a duration such as 500ms; at least %v", text, pauseMin)
	}
	*p = pause(d)
	return nil
}

// watch shows the status again and again. It has no other end than a signal, an error, or a closed standard output.
func (c *statusCommand) watch(line *commandLine) error {
	signals := interrupts()
	show, end, err := c.shows(line.JSON)
	if err != nil {
		return err
	}
	defer end()
	ticks := time.NewTicker(time.Duration(c.Watch))
	defer ticks.Stop()
	var before *door.Status
	for {
		call := newCaller(line, signals, noProgress{}, c.Timeout)
		now, err := call.statusWithStats()
		if errors.Is(err, errInterrupted) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(now, ratesOf(before, now)); err != nil {
			return fileError("standard output", err)
		}
		before = now
		select {
		case <-ticks.C:
		case <-signals:
			return nil
		}
	}
}

// watched is the document of a status with rates.
type watched struct {
	*door.Status
	Rates *rates `json:"rates,omitempty"` // since the one before; absent: they are not known
}

// shows returns how a status is shown, and what is to be done at the end.
func (c *statusCommand) shows(asJSON bool) (show func(*door.Status, *rates) error, end func(), _ error) {
	if asJSON {
		lines := newEncoder(os.Stdout)
		return func(s *door.Status, r *rates) error { return lines.Encode(watched{s, r}) }, func() {}, nil
	}
	terminal, err := isTerminal(os.Stdout)
	if err != nil {
		return nil, nil, err
	}
	to := newScreen(os.Stdout)
	write := to.draw
	if !terminal || os.Getenv("TERM") == "dumb" {
		write, end = to.append, func() {}
	} else {
		end = to.end
	}
	return func(s *door.Status, r *rates) error {
		var block bytes.Buffer
		if err := printStatus(&block, s, r); err != nil {
			return err
		}
		return write(block.String())
	}, end, nil
}

// screen shows one block of lines after the other.
type screen struct {
	out       *os.File
	drawn     int            // lines of the block that the next one is drawn over
	size      [2]int         // the terminal's columns and rows then
	continued chan os.Signal // has a signal when the client was stopped: there are other lines on the terminal now
}

func newScreen(out *os.File) *screen {
	s := &screen{out: out, continued: make(chan os.Signal, 1)}
	signal.Notify(s.continued, unix.SIGCONT)
	return s
}

// append writes a block below the one before, with an empty line between them.
func (s *screen) append(block string) error {
	if s.drawn > 0 {
		block = "\n" + block
	}
	s.drawn = 1
	_, err := s.out.WriteString(block)
	return err
}

// draw draws a block over the one before: lines that are too long for the terminal are cut, and those for which it has
// no room are left out.
func (s *screen) draw(block string) error {
	select {
	case <-s.continued:
		s.drawn = 0
	default:
	}
	if !inForeground(s.out) {
		s.drawn = 0
		return nil
	}
	columns, rows := terminalSize(s.out)
	// ECMA-48: CUP and ED for a terminal of another size, which may have wrapped the lines; else CUU. Then EL and ED.
	var frame strings.Builder
	switch size := [2]int{columns, rows}; {
	case s.drawn > 0 && size != s.size:
		frame.WriteString("\x1b[H\x1b[2J")
	case s.drawn > 0:
		fmt.Fprintf(&frame, "\r\x1b[%dA", s.drawn)
	}
	s.size, s.drawn = [2]int{columns, rows}, 0
	for line := range strings.Lines(block) {
		if s.drawn++; s.drawn == rows {
			s.drawn--
			break
		}
		frame.WriteString(cutLine(strings.TrimSuffix(line, "\n"), columns-1) + "\x1b[K\n")
	}
	frame.WriteString("\x1b[J")
	_, err := s.out.WriteString(frame.String())
	return err
}

// end erases the terminal's echo of ^C.
func (s *screen) end() {
	if s.drawn > 0 && inForeground(s.out) {
		fmt.Fprint(s.out, erase)
	}
}

// cutLine cuts a line behind a word if it has more columns: half a number would be wrong.
func cutLine(line string, columns int) string {
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, line)
	if columnsOf(line) <= columns {
		return line
	}
	const more = " …"
	for columnsOf(line+more) > columns {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return ""
		}
		line = line[:at]
	}
	return line + more
}

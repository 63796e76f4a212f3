package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"memcached-backdoor/client/unpack"
	"memcached-backdoor/preload/descriptor"
	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

const (
	// redrawEvery is the shortest time between two redraws of the line.
	redrawEvery = 100 * time.Millisecond

	// speedOver is the time in seconds over which the speed is averaged: short enough to
	// show that a load stalls, long enough to be read.
	speedOver = 5

	// erase goes to the beginning of the line and clears it (ECMA-48: EL).
	erase = "\r\x1b[K"
)

// progressLine draws one line on a terminal.
type progressLine struct {
	terminal *os.File
	unit     string       // what is counted
	named    bool         // the source's name is shown
	source   *source      // of the line
	recent   []*door.Load // its counts of the last speedOver seconds, at least two, the oldest first
	drawn    bool         // the line is on the terminal
	last     time.Time    // when it was drawn
}

func (p *progressLine) show(s *source, counts *door.Load) {
	if s.from != nil && s.packed == unpack.None {
		return // the user types the rows on this terminal
	}
	if p.source != s {
		p.source, p.recent = s, []*door.Load{{}}
	}
	p.recent = append(p.recent, counts)
	for len(p.recent) > 2 && counts.Seconds-p.recent[1].Seconds >= speedOver {
		p.recent = p.recent[1:]
	}
	p.draw(p.fields())
}

// draw draws the line, unless it was drawn a moment ago.
func (p *progressLine) draw(fields []string) {
	if time.Since(p.last) < redrawEvery || !inForeground(p.terminal) {
		return
	}
	line := fit(fields, width(p.terminal)-1) // some terminals wrap when the last column is filled
	fmt.Fprint(p.terminal, erase+line)
	p.drawn, p.last = true, time.Now()
}

func (p *progressLine) clear() {
	if p.drawn && inForeground(p.terminal) {
		fmt.Fprint(p.terminal, erase)
	}
	p.drawn = false
}

func (p *progressLine) result(*source, *door.Load) {}

// fields are the parts of the line, the most important ones first.
func (p *progressLine) fields() []string {
	first, counts := p.recent[0], p.recent[len(p.recent)-1]
	speed := func(now, before uint64) float64 { return float64(now-before) / (counts.Seconds - first.Seconds) }

	fields := []string{door.Count(counts.Rows, p.unit)}
	if counts.Rejected > 0 {
		fields = append(fields, fmt.Sprintf("%d rejected", counts.Rejected))
	}
	size, known := p.source.size(counts.ResumedBytes)
	before, done := first.Bytes, counts.Bytes
	if p.source.rows > 0 { // made by memcached, or a dump: its bytes are not its size
		size, known, before, done = p.source.rows, true, first.Rows, counts.Rows
	}
	if known && size > 0 {
		fields = append(fields, fmt.Sprintf("%d%%", min(done, size)*100/size))
	}
	if counts.Seconds > first.Seconds {
		if left := (float64(size) - float64(done)) / speed(done, before); known && left >= 0 && left < 100*60*60 {
			fields = append(fields, "ETA "+clock(left))
		}
		fields = append(fields, fmt.Sprintf("%.0f %ss/s", speed(counts.Rows, first.Rows), p.unit))
		if p.source.rows == 0 && counts.Bytes > 0 { // a change of items reads none
			fields = append(fields, fmt.Sprintf("%.1f MB/s", speed(counts.Bytes, first.Bytes)/1e6))
		}
	}
	fields = append(fields, clock(counts.Seconds)+" elapsed")
	if p.named {
		fields = append(fields, p.source.name)
	}
	return fields
}

// clock is a time as m:ss or h:mm:ss.
func clock(seconds float64) string {
	s := int64(seconds)
	if s < 60*60 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/60/60, s/60%60, s%60)
}

// fit joins the fields that fit into the columns, whole ones only: half a number would be wrong.
func fit(fields []string, columns int) string {
	line := ""
	for _, field := range fields {
		if line != "" {
			field = ", " + field
		}
		// A name can have control characters, which move the cursor.
		field = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, field)
		if columns -= columnsOf(field); columns < 0 {
			break
		}
		line += field
	}
	return line
}

// width is the number of the terminal's columns.
func width(terminal *os.File) int {
	columns, _ := terminalSize(terminal)
	return columns
}

// terminalSize is how many columns and rows the terminal has.
func terminalSize(terminal *os.File) (columns, rows int) {
	_ = descriptor.With(terminal, func(fd int) {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			columns, rows = int(size.Col), int(size.Row)
		}
	})
	return cmp.Or(columns, 80), cmp.Or(rows, 24) // 0: unknown, as on a serial line
}

// inForeground says whether the client is in the terminal's foreground: a job in the background
// would write into the output of another, or be stopped for it (stty tostop).
func inForeground(terminal *os.File) bool {
	foreground := true
	_ = descriptor.With(terminal, func(fd int) {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		foreground = err != nil || group == unix.Getpgrp() // an error: it is not the controlling terminal
	})
	return foreground
}

package main

import (
	"encoding/json"
	"os"

	"memcached-backdoor/preload/door"

	"golang.org/x/sys/unix"
)

// progress shows the progress of a load, or of a walk through the cache. Its methods are called by one goroutine, for one
// source after the other.
type progress interface {
	// show is called with the counts so far.
	show(s *source, counts *door.Load)

	// clear is called before anything else is printed.
	clear()

	// result is called with the final counts of a source, if they are known.
	result(s *source, counts *door.Load)
}

// noProgress shows nothing.
type noProgress struct{}

func (noProgress) show(*source, *door.Load)   {}
func (noProgress) clear()                     {}
func (noProgress) result(*source, *door.Load) {}

// newProgress returns the progress for a value of --progress. The line counts in units, such as "row" or "item"; with several
// sources it names each.
func newProgress(how, unit string, several bool) (progress, error) {
	switch how {
	case "json":
		// Under another number than 2 a descriptor without a reader raises no SIGPIPE (os/signal), which would end the load.
		fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return noProgress{}, nil // standard error is closed
		}
		return &progressEvents{newEncoder(os.NewFile(uintptr(fd), "standard error"))}, nil
	case "none":
		return noProgress{}, nil
	}
	terminal, err := isTerminal(os.Stderr)
	// A dumb terminal cannot erase what it shows.
	if err != nil || !terminal || os.Getenv("TERM") == "dumb" {
		return noProgress{}, err
	}
	return &progressLine{terminal: os.Stderr, unit: unit, named: several}, nil
}

// progressEvents prints an event a line, in JSON.
type progressEvents struct{ out *json.Encoder }

// event has the counts of one source, so far or at its end.
type event struct {
	Event    string  `json:"event"` // "progress" or "result"
	File     string  `json:"file"`
	Rows     uint64  `json:"rows"`
	Stored   uint64  `json:"stored"`
	Rejected uint64  `json:"rejected"`
	Skipped  uint64  `json:"skipped"`
	Bytes    uint64  `json:"bytes"`          // read
	Size     *uint64 `json:"size,omitempty"` // bytes to read; absent: unknown
	Seconds  float64 `json:"seconds"`
}

func (p *progressEvents) show(s *source, counts *door.Load)   { p.print("progress", s, counts) }
func (p *progressEvents) clear()                              {}
func (p *progressEvents) result(s *source, counts *door.Load) { p.print("result", s, counts) }

func (p *progressEvents) print(name string, s *source, counts *door.Load) {
	e := event{
		Event: name, File: s.name,
		Rows: counts.Rows, Stored: counts.Stored, Rejected: counts.Rejected, Skipped: counts.Skipped,
		Bytes: counts.Bytes, Seconds: counts.Seconds,
	}
	if size, known := s.size(counts.ResumedBytes); known {
		e.Size = &size
	}
	_ = p.out.Encode(e) // without a reader of its events a load continues
}

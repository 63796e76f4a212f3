package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"memcached-backdoor/preload/door"
)

// statsWithin is how long memcached may take for its statistics, which it has within a millisecond if it is well.
const statsWithin = time.Second

// Run asks for the status and prints it.
func (c *statusCommand) Run(line *commandLine) error {
	if c.Watch > 0 {
		return c.watch(line)
	}
	call := newCaller(line, interrupts(), noProgress{}, c.Timeout)
	status, err := call.statusWithStats()
	if err != nil {
		return err
	}
	if line.JSON {
		err = printJSON(status)
	} else {
		err = printStatus(os.Stdout, status, nil)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// statusWithStats asks for the status and memcached's statistics, for which it leaves half of --timeout. An older
// library does not have them.
func (c *caller) statusWithStats() (*door.Status, error) {
	status, err := c.askStatus(door.Request{Stats: c.statsLimit()})
	if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeRequest {
		if status, err = c.status(); err == nil {
			status.StatsReason = e.Message
		}
	}
	return status, err
}

// statsLimit is the time for the statistics, in milliseconds.
func (c *caller) statsLimit() uint32 {
	limit := statsWithin
	if c.timeout > 0 {
		limit = min(limit, c.timeout/2)
	}
	return uint32(max(limit, time.Millisecond).Milliseconds())
}

// status asks for the status, which does not depend on memcached's threads.
func (c *caller) status() (*door.Status, error) { return c.askStatus(door.Request{}) }

// askStatus asks for the status, and for what the request asks in addition.
func (c *caller) askStatus(request door.Request) (*door.Status, error) {
	request.Version, request.Op = door.Protocol, door.OpStatus
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.Call(request); err != nil {
		return nil, err
	}
	a, err := c.await(conn, answersOf(conn), func(door.Reply) {})
	switch {
	case err != nil:
		return nil, err
	case errors.Is(a.err, door.ErrLost):
		return nil, errLostStatus
	case a.err != nil:
		return nil, a.err
	case a.value.Type != door.TypeStatus:
		return nil, fmt.Errorf("memcached answered a question for its status with %q", a.value.Type)
	}
	return a.value.Status, nil
}

// printStatus prints one fact a line; r is what has happened since the status before, nil: there was none, or it is not
// known.
func printStatus(to io.Writer, s *door.Status, r *rates) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, line := range slices.Concat([][2]string{{"now", r.text()}}, figures(s), [][2]string{
		{"memcached", s.Memcached},
		{"pid", fmt.Sprint(s.PID)},
		{"build id", s.BuildID},
		{"library", s.Library},
		{"route", s.Route},
		{"engine", string(s.Engine)},
		{"reason", s.Reason},
		{"dumps", dumpsLine(s.Dumps, s.DumpsReason)},
		{"workers", fmt.Sprint(s.Workers)},
		{"item size max", fmt.Sprintf("%d bytes", s.ItemSizeMax)},
		{"uptime", time.Duration(s.Uptime * float64(time.Second)).Round(time.Second).String()},
		{"calls", fmt.Sprintf("%d, of which %d loading now", s.Calls, s.Active)},
		{"rows", fmt.Sprintf("%d stored, %d rejected, %d skipped", s.Stored, s.Rejected, s.Skipped)},
		{"fixtures", fixturesLine(s.Fixtures)},
	}) {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	return w.Flush()
}

// dumpsLine is the engine that reads items, with the reason if it is not native.
func dumpsLine(by door.Engine, reason string) string {
	if reason == "" {
		return string(by)
	}
	return fmt.Sprintf("%s: %s", by, reason)
}

// fixturesLine is the state of the fixtures, "" if there are none.
func fixturesLine(p *door.Fixtures) string {
	if p == nil {
		return ""
	}
	state := "complete"
	switch {
	case !p.Done:
		state = "loading"
	case !p.Complete:
		state = "incomplete: memcached's standard error has the reasons"
	}
	return fmt.Sprintf("%s, %s read: %d stored, %d rejected, %d skipped (%.2f s), %s",
		door.Count(p.Files, "file"), rows(p.Rows), p.Stored, p.Rejected, p.Skipped, p.Seconds, state)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"memcached-backdoor/preload/door"
)

// Run asks for the status and prints it.
func (c *statusCommand) Run(line *commandLine) error {
	call := newCaller(line, interrupts(), noProgress{}, c.Timeout)
	status, err := call.status()
	if err != nil {
		return err
	}
	if line.JSON {
		err = printJSON(status)
	} else {
		err = printStatus(status)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// status asks for the status.
func (c *caller) status() (*door.Status, error) {
	return c.askStatus(door.Request{Version: door.Protocol, Op: door.OpStatus})
}

func (c *caller) askStatus(request door.Request) (*door.Status, error) {
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

func printStatus(s *door.Status) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
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
	} {
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

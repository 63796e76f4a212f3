package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// waitPause is the time between two tries to reach memcached.
const waitPause = 20 * time.Millisecond

type waitCommand struct {
	Timeout timeLimit `default:"60s" placeholder:"TIME" help:"How long to wait: seconds, or a duration such as 500ms or 2m. Default: 60s."`
}

// timeLimit is how long to wait.
type timeLimit time.Duration

// UnmarshalText reads a number of seconds, or a duration.
func (l *timeLimit) UnmarshalText(text []byte) error {
	d, ok := record.ParseDuration(string(text))
	if !ok || d <= 0 {
		return fmt.Errorf("%q is not a time to wait: seconds, or a duration such as 500ms or 2m", text)
	}
	*l = timeLimit(d)
	return nil
}

// Run waits until memcached has the fixtures and serves the door.
func (c *waitCommand) Run(line *commandLine) error {
	status, err := orInterrupted(interrupts(), func() (*door.Status, error) { return c.wait(line) })
	if err != nil {
		return err
	}
	if p := status.Fixtures; p != nil && !p.Complete {
		fmt.Fprintf(os.Stderr, "warning: not every row of the fixtures is in the cache: %s read: %d stored, %d rejected, %d skipped\n",
			rows(p.Rows), p.Stored, p.Rejected, p.Skipped)
		fmt.Fprintln(os.Stderr, "hint: memcached's standard error says which are not")
	}
	if line.JSON {
		if err := printJSON(status); err != nil {
			return fileError("standard output", err)
		}
	}
	return nil
}

// wait asks for the status until the fixtures are loaded, and returns it. It tries again if there is
// no door or nothing serves it; any other error ends it.
func (c *waitCommand) wait(line *commandLine) (*door.Status, error) {
	timeout := time.After(time.Duration(c.Timeout))
	call := newCaller(line, nil, noProgress{}, 0)
	last := error(errSilent) // the error if the time is over
	for {
		select {
		case a := <-ask(call.status):
			switch {
			case errors.Is(a.err, door.ErrNoDoor), errors.Is(a.err, door.ErrStale), errors.Is(a.err, errLostStatus):
				last = a.err
			case a.err != nil:
				return nil, a.err
			case a.value.Fixtures == nil || a.value.Fixtures.Done:
				return a.value, nil
			default:
				last = fmt.Errorf("%w: %s so far", errLoading, rows(a.value.Fixtures.Rows))
			}
		case <-timeout:
			return nil, fmt.Errorf("after %v: %w", time.Duration(c.Timeout), last)
		}
		select {
		case <-time.After(waitPause):
		case <-timeout:
			return nil, fmt.Errorf("after %v: %w", time.Duration(c.Timeout), last)
		}
	}
}

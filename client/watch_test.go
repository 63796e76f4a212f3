package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// busy serves statuses of a memcached with 100 gets a second, of which 75 are hits, 50 sets and 2 evictions. After each
// it sends its number.
func busy(t *testing.T) (path string, frames <-chan uint64) {
	shown := make(chan uint64, 1000)
	var calls atomic.Uint64
	return serve(t, func(c *door.Call, _ door.Request) {
		n := calls.Add(1)
		seconds := n * 10
		s := door.Stats{
			Items: new(n), Gets: new(seconds * 100), Hits: new(seconds * 75), Misses: new(seconds * 25),
			Sets: new(seconds * 50), Evictions: new(seconds * 2),
		}
		c.Finish(door.Reply{Status: &door.Status{Memcached: "1.6.18", PID: 7, Uptime: float64(seconds), Stats: &s}})
		shown <- n
	}), shown
}

const busyNow = "now            100 gets/s, 75.0% hits, 50 sets/s, 2 evictions/s\n"

// TestWatch: a block, or a document, after each interval, until a signal ends it, which is no failure.
func TestWatch(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		path, frames := busy(t)
		p := start(t, path, nil, "status", "--watch", "100ms")
		for take(t, frames) < 4 { // what is printed of the third is, then
		}
		p.signal(signal)
		p.Wait()
		if status := p.ProcessState.ExitCode(); status != 0 || p.errOut.Len() > 0 {
			t.Errorf("status %d, %s", status, &p.errOut)
		}
		blocks := strings.Split(p.out.String(), "\n\n")
		if len(blocks) < 3 {
			t.Fatalf("%d blocks: %s", len(blocks), &p.out)
		}
		if !strings.HasPrefix(blocks[0], "items          1\nhit rate       75.0% of 1000 gets\n") {
			t.Errorf("the first block is\n%s", blocks[0])
		}
		for i, want := range []string{"items          2\n", "items          3\n"} {
			if !strings.HasPrefix(blocks[i+1], busyNow+want) {
				t.Errorf("a block is\n%s\nand does not begin with\n%s", blocks[i+1], busyNow+want)
			}
		}
	}

	path, frames := busy(t)
	p := start(t, path, nil, "--json", "status", "--watch", "100ms")
	for take(t, frames) < 3 {
	}
	p.signal(os.Interrupt)
	p.Wait()
	for i, line := range strings.Split(p.out.String(), "\n")[:2] {
		var got watched
		if err := json.Unmarshal([]byte(line), &got); err != nil || *got.Stats.Items != uint64(i+1) {
			t.Fatalf("%v: %s", err, line)
		}
		if r := got.Rates; i == 0 && r != nil || i == 1 && (r.Seconds != 10 || *r.Gets != 100 || *r.HitRate != 0.75 || *r.Sets != 50 || *r.Evictions != 2) {
			t.Errorf("rates are %s", line)
		}
	}
}

// TestRates: those of another memcached, or of counters that were reset, are not known.
func TestRates(t *testing.T) {
	status := func(pid int, uptime float64, gets, hits uint64) *door.Status {
		return &door.Status{PID: pid, Uptime: uptime, Stats: &door.Stats{Gets: &gets, Hits: &hits, Misses: new(gets - hits), Sets: new(gets)}}
	}
	before := status(1, 10, 100, 50)
	for name, now := range map[string]*door.Status{
		"another": status(2, 11, 100, 50), "restarted": status(1, 1, 100, 50), "not asked": {PID: 1, Uptime: 11},
	} {
		if r := ratesOf(before, now); r != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for text, now := range map[string]*door.Status{
		"25 gets/s, 80.0% hits, 25 sets/s": status(1, 12, 150, 90),
		"0 gets/s, 0 sets/s":               status(1, 12, 100, 50), // and no hit rate
		"":                                 status(1, 12, 20, 10),  // "stats reset"
	} {
		if got := ratesOf(before, now).text(); got != text {
			t.Errorf("rates are %q, want %q", got, text)
		}
	}
	if r := ratesOf(nil, before); r != nil || r.text() != "" {
		t.Errorf("the first has rates: %+v", r)
	}
}

// TestWatchOnTerminal: the block is drawn over the one before, in a terminal of any size, and stays at the end.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	path, _ := busy(t)
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("clear; echo above; client status --watch 100ms; echo status $?")
	for range 3 { // frames
		seen := term.screen()
		term.await("another frame", func(screen string) bool {
			return screen != seen && strings.HasPrefix(screen, "above\n"+busyNow+"items  ") && strings.Count(screen, "memcached      1.6.18") == 1
		})
	}
	term.tmux("resize-window", "-x", "40", "-y", "5")
	const narrow = "now            100 gets/s, 75.0% …\nitems          "
	term.await(narrow, func(screen string) bool {
		return strings.HasPrefix(screen, narrow) && strings.Count(screen, "\n") == 3 && strings.Count(screen, "now") == 1
	})
	term.keys("C-c")
	term.shows("\nstatus 0\n$")
	if screen := term.screen(); strings.Contains(screen, "^C") {
		t.Errorf("the terminal shows\n%s", screen)
	}
}

// TestWatchStopped: what others have written on the terminal meanwhile stays.
func TestWatchStopped(t *testing.T) {
	t.Parallel()
	path, _ := busy(t)
	term := newTerminal(t, 100, at(path), "exec sh -i")
	term.shows("$")
	term.run("clear; client status --watch 100ms")
	term.shows(busyNow)
	term.keys("C-z")
	term.shows("Stopped")
	term.run("clear; echo meanwhile")
	term.becomes("meanwhile\n$")
	term.run("fg")
	term.await("a block", func(screen string) bool {
		return strings.HasPrefix(screen, "meanwhile\n$ fg\n") && strings.Count(screen, "gets/s") == 1
	})
	term.keys("C-c")
	term.await("the prompt", func(screen string) bool {
		return strings.HasSuffix(screen, "\n$") && strings.HasPrefix(screen, "meanwhile\n$ fg\n")
	})
}

// TestWatchInterval: one that is none is refused.
func TestWatchInterval(t *testing.T) {
	for _, interval := range []string{"99ms", "0", "-1s", "often"} {
		out, err := exec.Command("client", "status", "--watch="+interval).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is not a time between two looks") {
			t.Errorf("%s: %v, %s", interval, err, out)
		}
	}
}

package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/fault"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/protocol"
)

const (
	// proofLimit is how long calls and fixtures wait for a hindered proof before they use the protocol.
	proofLimit = 3 * time.Second
	// proofPause is the time between two tries, doubled each time up to proofPauseMost.
	proofPause     = 10 * time.Millisecond
	proofPauseMost = time.Minute
	// proofMemory is the resident memory, in bytes, up to which memcached is forked again later: such a fork
	// takes about 10 ms.
	proofMemory = 128 << 20
)

// Options are what the engine has to know of the process.
type Options struct {
	Program int     // the open file of memcached's program, which Find closes; or a negative errno
	Path    string  // of that file
	Bias    uintptr // at which the program is loaded

	WorkersReason string // for which memcached's workers cannot run jobs, or ""

	Say func(format string, args ...any) // writes a line to memcached's log
}

// Find finds the engine. A hindered proof is tried again in the background until it succeeds or fails, or memcached has
// become too large (proofMemory).
func Find(o Options) *Engine {
	e := &Engine{options: o, settled: make(chan struct{}), listening: protocol.Listening()}
	defer e.rescue()
	proof, reason := e.open(o)
	if reason != nil {
		e.set(nil, reason)
		close(e.settled)
		return e
	}
	if pause := e.prove(proof, proofPause, time.Now().Add(proofLimit)); pause > 0 {
		go e.proveLater(proof, pause)
	}
	return e
}

// rescue makes a panic the reason for which there is no native engine. It is deferred.
func (e *Engine) rescue() {
	if r := recover(); r != nil {
		e.set(nil, &Unavailable{Reason: fmt.Sprintf("panic while looking at memcached: %v", r), Panic: true})
		close(e.settled)
	}
}

// open finds memcached's functions, and what proves them.
func (e *Engine) open(o Options) (*cache.Proof, *Unavailable) {
	if o.Program < 0 {
		return nil, &Unavailable{
			Reason: "memcached's program file cannot be read: " + syscall.Errno(-o.Program).Error(),
			Hint:   "start memcached from a file that its user may read, and restart it after an upgrade",
		}
	}
	file := os.NewFile(uintptr(o.Program), o.Path)
	defer file.Close()
	facts, err := host.Find(file, host.DebugFilesOf(o.Path))
	e.facts = facts
	if unsupported, ok := errors.AsType[*host.Unsupported](err); ok {
		return nil, &Unavailable{Reason: unsupported.Reason, Hint: unsupported.Hint}
	}
	if err != nil {
		return nil, &Unavailable{Reason: "memcached's program file: " + err.Error()}
	}
	if o.WorkersReason != "" {
		return nil, &Unavailable{Reason: o.WorkersReason}
	}
	fault.BeforeProof(facts)
	return cache.NewProof(facts, o.Bias), nil
}

// prove tries the proof until it succeeds or fails, and returns 0; or until a time, and returns the pause after which
// it is to be tried again.
func (e *Engine) prove(proof *cache.Proof, pause time.Duration, until time.Time) time.Duration {
	for {
		native, err := fault.Try(proof)
		if err == nil {
			e.set(native, nil)
		} else {
			e.set(nil, e.unproven(err))
		}
		if !errors.Is(err, cache.ErrHindered) {
			close(e.settled)
			return 0
		}
		if time.Now().Add(pause).After(until) {
			return pause
		}
		time.Sleep(pause)
		pause = min(2*pause, proofPauseMost)
	}
}

// proveLater continues the proof while memcached serves, and logs its outcome.
func (e *Engine) proveLater(proof *cache.Proof, pause time.Duration) {
	defer func() {
		if r := recover(); r != nil {
			e.options.Say("panic: %v\n%s", r, debug.Stack())
		}
	}()
	e.proveAgain(proof, pause)
	if line := e.Announcement(); line != "" {
		e.options.Say("%s", line)
	} else {
		e.options.Say("loads go by memcached's own functions from now on: they are proven")
	}
}

func (e *Engine) proveAgain(proof *cache.Proof, pause time.Duration) {
	defer e.rescue()
	for pause > 0 {
		time.Sleep(pause)
		resident, err := residentMemory()
		if err != nil { // the process has no descriptor left
			pause = min(2*pause, proofPauseMost)
			continue
		}
		if resident > proofMemory {
			_, reason := e.state()
			e.set(nil, &Unavailable{
				Reason: fmt.Sprintf("%s, but no longer: memcached has %d MB now, and a fork would hold it up", reason.Reason, resident>>20),
				Hint:   reason.Hint,
			})
			close(e.settled)
			return
		}
		pause = e.prove(proof, min(2*pause, proofPauseMost), time.Now())
	}
}

// residentMemory is memcached's resident memory, in bytes (proc(5): statm).
func residentMemory() (uint64, error) {
	var size, resident uint64
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &resident)
	}
	return resident * uint64(os.Getpagesize()), err
}

// unproven makes the proof's error the reason for which there is no native engine.
func (e *Engine) unproven(err error) *Unavailable {
	reason := fmt.Sprintf("memcached %v, functions found by route %s: %v", e.facts.Version, e.facts.Route, err)
	if errors.Is(err, cache.ErrHindered) {
		return &Unavailable{Reason: reason + "; it is tried again", Hint: "wait, or see what memcached is short of: processor time, memory, processes"}
	}
	return &Unavailable{Reason: reason, Hint: "report it with this memcached's package and version"}
}

// IsSettled reports whether the engine no longer changes.
func (e *Engine) IsSettled() bool {
	select {
	case <-e.settled:
		return true
	default:
		return false
	}
}

// AwaitSettled waits until the engine no longer changes, for limit at most.
func (e *Engine) AwaitSettled(limit time.Duration) {
	select {
	case <-e.settled:
	case <-time.After(limit):
	}
}

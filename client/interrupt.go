package main

import (
	"os"
	"os/signal"
	"syscall"
)

// interrupts returns a channel that gets the signals that ask the client to
// end. A signal that was ignored when the client started stays ignored: so a
// shell keeps the terminal's ^C from a job in the background.
func interrupts() <-chan os.Signal {
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// answer is what a function returned.
type answer[T any] struct {
	value T
	err   error
}

// ask runs f, which may block, in a goroutine. If the answer is not received, f
// ends with the process.
func ask[T any](f func() (T, error)) <-chan answer[T] {
	answers := make(chan answer[T], 1)
	go func() {
		value, err := f()
		answers <- answer[T]{value, err}
	}()
	return answers
}

// orInterrupted waits for f, or for a signal.
func orInterrupted[T any](signals <-chan os.Signal, f func() (T, error)) (T, error) {
	select {
	case a := <-ask(f):
		return a.value, a.err
	case <-signals:
		var none T
		return none, errInterrupted
	}
}

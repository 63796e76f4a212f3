package engine

import (
	"errors"
	"strings"

	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/protocol"
)

// Log opens memcached's log of requests, which only the protocol shows. The error is an [*Unavailable].
func (e *Engine) Log() (*protocol.Log, error) {
	log, err := protocol.OpenLog(e.listening)
	if err != nil {
		return nil, Unlogged(err)
	}
	return log, nil
}

// Unlogged makes an [*Unavailable] of an error of memcached's log; an [*option.Error] is none.
func Unlogged(err error) error {
	if errors.As(err, new(*option.Error)) {
		return err
	}
	u := &Unavailable{Reason: "memcached's log of requests cannot be read: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	if known, ok := errors.AsType[*protocol.Unlogged](err); ok {
		u.Hint = known.Hint
	} else if errors.As(err, new(*hot.TooBusy)) {
		u.Hint = "try again when there are fewer, or start memcached 1.6.45 or later, which can end a watch at any time"
	}
	return u
}

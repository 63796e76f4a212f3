package protocol

import (
	"bytes"
	"fmt"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/clip"
)

// noChunk begins the answer to a row whose item was begun and got no memory for the
// rest of its chunks (memcached.c: drive_machine).
var noChunk = []byte("SERVER_ERROR Out of memory during read")

// outcomeOf tells what memcached's answer to "ms" says of the row; ok is false for
// one that is none (proto_text.c: process_mset_command, complete_nread_ascii).
func outcomeOf(line []byte, command batch.Command) (outcome batch.Outcome, ok bool) {
	switch code, _, _ := bytes.Cut(line, []byte(" ")); string(code) {
	case "HD":
		return batch.Stored, true
	case "NS":
		switch command {
		case batch.Add:
			return batch.Exists, true
		case batch.Replace:
			return batch.Missing, true
		}
		return 0, false // of a set there is no such answer
	}
	switch {
	case bytes.HasPrefix(line, []byte("SERVER_ERROR object too large for cache")):
		return batch.TooLarge, true
	case bytes.HasPrefix(line, []byte("SERVER_ERROR out of memory")), bytes.HasPrefix(line, noChunk):
		return batch.NoMemory, true
	}
	return 0, false
}

// removed tells whether the answer to "md" says that the key is not there any more.
func removed(line []byte) bool { return string(line) == "HD" || string(line) == "NF" }

func unexpected(line []byte) error { return fmt.Errorf("it answers %s", clip.Quote(line)) }

// statistic takes "STAT name value" apart; the value may have spaces in it.
func statistic(line []byte) (name, value string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("STAT "))
	if !ok {
		return "", "", false
	}
	n, v, _ := bytes.Cut(rest, []byte(" "))
	return string(n), string(v), len(n) > 0
}

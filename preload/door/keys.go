package door

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

// keysRead is how many bytes of a list of keys are read at once; a line of a key is shorter (percent-encoded, 3 bytes for one).
const keysRead = 16 << 10

// A KeyList has the keys that come with a call, as [walk.Keys]: one a line, percent-encoded. Its errors are an [*Error],
// [ErrGone] and those of the call.
type KeyList struct {
	call *Call
	data []byte // what was read and not used
	key  []byte // the last key
	eof  bool
	line uint64
}

// KeyList reads the keys from the input of a call whose request has Keys.
func (c *Call) KeyList() *KeyList { return &KeyList{call: c} }

// Next returns the next key.
func (k *KeyList) Next() ([]byte, error) {
	for {
		end := bytes.IndexByte(k.data, '\n')
		if end < 0 && k.eof {
			end = len(k.data)
		}
		if end < 0 {
			if err := k.read(); err != nil {
				return nil, err
			}
			continue
		}
		if k.eof && len(k.data) == 0 {
			return nil, io.EOF
		}
		line := k.data[:end]
		k.data = k.data[min(end+1, len(k.data)):]
		k.line++
		var err error
		k.key, err = walk.Decode(append(k.key[:0], line...))
		if err != nil || !meta.IsText(line) || len(k.key) == 0 || len(k.key) > meta.KeyMax {
			return nil, k.failed("%s is no key", clip.Quote(line))
		}
		return k.key, nil
	}
}

func (k *KeyList) failed(format string, args ...any) error {
	return &Error{
		Code:    CodeRequest,
		Message: fmt.Sprintf("line %d of the keys: %s", k.line, fmt.Sprintf(format, args...)),
		Hint:    "one key a line, of 1 to 250 bytes, percent-encoded if it has a space, a control byte or a %",
	}
}

// read reads some more of the list, and waits for it until the client has gone.
func (k *KeyList) read() error {
	if len(k.data) >= keysRead {
		k.line++
		return k.failed("it is longer than any key")
	}
	room := make([]byte, len(k.data)+keysRead)
	filled := copy(room, k.data)
	for {
		n, err := k.call.Input.TryRead(room[filled:])
		switch {
		case errors.Is(err, ErrNoInput):
		case errors.Is(err, io.EOF):
			k.eof = true
			return nil
		case err != nil:
			return &Error{Code: CodeRead, Message: fmt.Sprintf("the keys: %v", err)}
		case n > 0:
			k.data = room[:filled+n]
			return nil
		}
		ready, err := k.call.Wait(true, -1, -1)
		if err != nil {
			return err
		}
		if ready.Gone {
			return ErrGone
		}
	}
}

package door

import (
	"errors"
	"fmt"
)

// The codes of an [Error].
const (
	CodeRequest    = "request"    // the request is malformed, or asks for what does not exist
	CodeVersion    = "version"    // client and library speak different versions of the protocol
	CodeDescriptor = "descriptor" // the descriptor is missing, superfluous, or cannot be read or written
	CodeHost       = "host"       // this memcached is not supported
	CodeBusy       = "busy"       // not now
	CodeInternal   = "internal"   // a fault of the library
	CodeRead       = "read"       // reading the input failed
	CodeWrite      = "write"      // writing the rejected rows, or the dump, failed
)

// Error is a failed call, as the library reports it and as the client gets it.
type Error struct {
	// Code is one of the Code constants; a client must be ready for others.
	Code string `json:"code"`

	// Message says what is wrong, in lower case and without a final period.
	Message string `json:"message"`

	// Hint says what can be done about it; it may be empty.
	Hint string `json:"hint,omitempty"`

	// Load, Dump, Changed or Hot is what had been done before the call failed; all are nil if nothing was.
	Load    *Load    `json:"load,omitempty"`
	Dump    *Dump    `json:"dump,omitempty"`
	Changed *Changed `json:"changed,omitempty"`
	Hot     *HotKeys `json:"hot,omitempty"`
}

// Error returns the message without the hint, which gets a line for itself.
func (e *Error) Error() string { return e.Message }

// fail makes an Error of a code, a hint and a formatted message.
func fail(code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// asError makes an [*Error] of any error: the one in its chain, or an internal one.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}

// Errors of the server side.
var (
	// ErrGone says that the client closed the connection, or its sending side.
	ErrGone = errors.New("the client has gone")

	// ErrNoInput says that reading the input would have to wait.
	ErrNoInput = errors.New("no input yet")

	// ErrClosed says that the Listener was closed.
	ErrClosed = errors.New("the door is closed")
)

// Errors of the client side.
var (
	// ErrNoDoor says that the door's path does not exist.
	ErrNoDoor = errors.New("no such door")

	// ErrStale says that no process listens at the door any more.
	ErrStale = errors.New("nobody answers at the door")

	// ErrPermission says that the mode of the door, or of a directory above
	// it, does not let this user in.
	ErrPermission = errors.New("permission denied")

	// ErrNotDoor says that something else is at the door's path.
	ErrNotDoor = errors.New("not a door")

	// ErrPath says that no socket can have the path: it is empty, too long
	// for an address (unix(7): 107 bytes), or has a zero byte in it.
	ErrPath = errors.New("not a path that a door can have")

	// ErrLost says that the connection ended before the final reply.
	ErrLost = errors.New("the connection was lost")
)

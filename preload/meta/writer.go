package meta

import (
	"errors"
	"strconv"
)

// Text is what may be sent to memcached. The zero value is empty.
type Text struct{ bytes []byte }

// Bytes returns the text, which the caller must not change.
func (t Text) Bytes() []byte { return t.bytes }

// constant is a constant of a program: another package can pass no variable for it.
type constant string

// Commands makes the text of commands without keys.
func Commands(c constant) Text { return Text{[]byte(c)} }

// Set is what an item is stored with.
type Set struct {
	Flags uint32 // client flags
	TTL   int64  // memcached's exptime; 0: never expires
	CAS   uint64 // the CAS unique that it gets; 0: memcached draws one
	// AskCAS asks for the CAS unique that it got.
	AskCAS bool
	Mode   Mode
	Quiet  bool // memcached does not answer if it is stored
}

// Mode says when the item is stored; 0: always.
type Mode byte

// The modes (protocol.txt: "Meta Set").
const (
	Add     Mode = 'E'
	Replace Mode = 'R'
)

// bufferSize is about how many bytes of commands are sent at once.
const bufferSize = 64 << 10

// errUnfit is an error of the library: rows whose keys do not fit are rejected before.
var errUnfit = errors.New("a key that no command can have")

// A Writer collects commands and sends them. After the first error, which End returns, it sends nothing.
type Writer struct {
	send   func(Text) error
	buffer []byte
	err    error
}

// NewWriter makes a writer. send gets the commands, which are valid until it returns.
func NewWriter(send func(Text) error) *Writer { return &Writer{send: send} }

// Get asks for an item (mg); flags say what to return.
func (w *Writer) Get(key []byte, flags constant) { w.command("mg ", key, flags) }

// Delete deletes a key (md).
func (w *Writer) Delete(key []byte) { w.command("md ", key, "") }

// DeleteSame deletes a key if its item has that CAS unique, 0 too.
func (w *Writer) DeleteSame(key []byte, cas uint64) {
	w.command("md ", key, constant(strconv.AppendUint([]byte(" C"), cas, 10)))
}

// Debug asks for a line about an item (me), which does not count as a use. From 1.6.40 on
// memcached sees the flag b only if another word follows it (proto_text.c: process_meta_command): there
// it is twice.
func (w *Writer) Debug(key []byte) {
	if IsText(key) {
		w.command("me ", key, "")
	} else {
		w.command("me ", key, " b")
	}
}

// Invalidate makes an item stale (md with the flag I); with compare only if it has the CAS unique cas, 0 too. The item
// gets the CAS unique keep, or, if that is 0, the next one.
func (w *Writer) Invalidate(key []byte, compare bool, cas, keep uint64) {
	flags := []byte(" I")
	if compare {
		flags = strconv.AppendUint(append(flags, " C"...), cas, 10)
	}
	if keep != 0 {
		flags = strconv.AppendUint(append(flags, " E"...), keep, 10)
	}
	w.command("md ", key, constant(flags))
}

func (w *Writer) command(name string, key []byte, flags constant) {
	from := len(w.buffer)
	dst, ok := appendCommand(w.buffer, name, key, flags)
	if !ok {
		w.fail(from)
		return
	}
	w.buffer = dst
	w.flushIfFull()
}

// appendCommand appends a command with a key, and a line end. If no command can have the key, ok is false and nothing
// is appended.
func appendCommand(dst []byte, name string, key []byte, flags constant) (_ []byte, ok bool) {
	from := len(dst)
	dst, binary, ok := appendKey(append(dst, name...), key)
	if !ok {
		return dst[:from], false
	}
	if binary {
		dst = append(dst, " b"...)
	}
	return append(append(dst, flags...), "\r\n"...), true
}

// Set stores a value under a key (ms).
func (w *Writer) Set(key, value []byte, s Set) {
	if !Fits(key) {
		w.fail(len(w.buffer))
		return
	}
	dst := AppendSet(w.buffer, key, len(value))
	if s.Flags != 0 {
		dst = strconv.AppendUint(append(dst, " F"...), uint64(s.Flags), 10)
	}
	if s.TTL != 0 {
		dst = strconv.AppendInt(append(dst, " T"...), s.TTL, 10)
	}
	if s.AskCAS {
		dst = append(dst, " c"...)
	}
	if s.CAS != 0 {
		dst = strconv.AppendUint(append(dst, " E"...), s.CAS, 10)
	}
	if s.Mode != 0 {
		dst = append(dst, ' ', 'M', byte(s.Mode))
	}
	if s.Quiet {
		dst = append(dst, " q"...)
	}
	w.buffer = append(dst, "\r\n"...)
	if len(value) > bufferSize {
		w.flush()
		w.sendText(Text{value})
	} else {
		w.buffer = append(w.buffer, value...)
	}
	w.buffer = append(w.buffer, "\r\n"...)
	w.flushIfFull()
}

// Flush sends what is collected. It returns the first error.
func (w *Writer) Flush() error {
	w.flush()
	return w.err
}

// End sends the rest, and a no-op (mn) behind it. It returns the first error.
func (w *Writer) End() error {
	w.buffer = append(w.buffer, "mn\r\n"...)
	w.flush()
	return w.err
}

// fail drops a command that begins at from.
func (w *Writer) fail(from int) {
	w.buffer = w.buffer[:from]
	if w.err == nil {
		w.err = errUnfit
	}
}

func (w *Writer) flushIfFull() {
	if len(w.buffer) > bufferSize {
		w.flush()
	}
}

func (w *Writer) flush() {
	w.sendText(Text{w.buffer})
	w.buffer = w.buffer[:0]
}

func (w *Writer) sendText(t Text) {
	if w.err == nil {
		w.err = w.send(t)
	}
}

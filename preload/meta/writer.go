package meta

import (
	"errors"
	"strconv"
)

// Text is what may be sent to memcached. The zero value is nothing.
type Text struct{ bytes []byte }

// Bytes are the text, which is not to be changed.
func (t Text) Bytes() []byte { return t.bytes }

// constant is text that is written down in a program: what is no constant cannot be passed for
// one by another package.
type constant string

// Commands are some that have no key.
func Commands(c constant) Text { return Text{[]byte(c)} }

// Set is what an item is stored with.
type Set struct {
	Flags uint32 // client flags
	TTL   int64  // memcached's exptime; 0: never expires
	CAS   uint64 // the CAS unique that it gets; 0: memcached draws one
	// AskCAS has the answer say which one it got.
	AskCAS bool
	Mode   Mode
	Quiet  bool // there is no answer if it is stored
}

// Mode is when it is stored; 0: always.
type Mode byte

// The modes (protocol.txt: "Meta Set").
const (
	Add     Mode = 'E'
	Replace Mode = 'R'
)

// bufferSize is how many bytes of commands are sent at once, about.
const bufferSize = 64 << 10

// errKey is no input's fault: keys that do not fit have been sorted out before.
var errKey = errors.New("a key that no command can have")

// A Writer collects commands, and sends them. The first error stays, and ends the writing.
type Writer struct {
	send   func(Text) error
	buffer []byte
	err    error
}

// NewWriter makes a writer; send gets the commands, and does not keep them.
func NewWriter(send func(Text) error) *Writer { return &Writer{send: send} }

// Get asks for an item (mg); flags say for what of it.
func (w *Writer) Get(key []byte, flags constant) { w.command("mg ", key, flags) }

// Delete asks for a key to be deleted (md).
func (w *Writer) Delete(key []byte) { w.command("md ", key, "") }

// Debug asks for a line about an item, which does not count as a use (me). From 1.6.40 on
// memcached sees the flag b only where another word follows it, whatever that is
// (proto_text.c: process_meta_command).
func (w *Writer) Debug(key []byte) {
	if IsText(key) {
		w.command("me ", key, "")
	} else {
		w.command("me ", key, " b")
	}
}

// Invalidate asks for an item to be stale (md with the flag I). If compare is not 0, one that has
// another CAS unique stays as it is; if keep is not 0, the item gets that one, and otherwise the next.
func (w *Writer) Invalidate(key []byte, compare, keep uint64) {
	flags := []byte(" I")
	if compare != 0 {
		flags = strconv.AppendUint(append(flags, " C"...), compare, 10)
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

// appendCommand appends a command about a key, with its line's end; nothing, if no command can have the key.
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

// End sends what is left, with a no-op (mn) behind it.
func (w *Writer) End() error {
	w.buffer = append(w.buffer, "mn\r\n"...)
	w.flush()
	return w.err
}

// fail takes a command out that has begun at from.
func (w *Writer) fail(from int) {
	w.buffer = w.buffer[:from]
	if w.err == nil {
		w.err = errKey
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

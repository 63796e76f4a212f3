package record

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"memcached-backdoor/preload/meta"
)

// The reasons to reject an item of a dump, besides those to reject a command.
const (
	NoChecksum  Reason = "no checksum: not an item of a dump"
	BadChecksum Reason = "the checksum does not match: the item is damaged"
	BadMarks    Reason = "the commands behind the item are not those of its marks: the item is damaged"
)

// NoStale is the reason to reject a stale item: it would be served as a fresh one.
const NoStale Reason = "the item is stale, and memcached has no mark for that (before 1.5.19)"

// dumped are the commands of a dump (package dump): each has a checksum of itself, its data and the commands that mark
// its item, and behind the last one there is "mn".
type dumped struct {
	commands
	complete bool
}

func newDumped(o Options) *dumped {
	return &dumped{commands: commands{options: o, keys: newKeys(&o), behind: marksOf}}
}

func (d *dumped) parse(content []byte, row *Row) Kind {
	line := content[:min(d.content, len(content))]
	switch string(line) {
	case "":
		return Nothing
	case "mn":
		d.complete = true
		return Nothing
	}
	d.complete = false
	head := parseCommand(line)
	if !head.meta {
		return row.reject(NoChecksum, 0)
	}
	// The checksum comes first: nothing else is believed before, such as that the item has expired.
	seal, ok := sealOf(line)
	if !ok {
		return row.reject(NoChecksum, 0)
	}
	if head.length < 0 {
		return row.reject(BadCommand, 0)
	}
	marks := marksOf(&head)
	end := d.line + head.length
	if len(content) != end+len(marks) {
		return row.reject(BadChunk, d.line)
	}
	if meta.Checksum(line[:seal.at], content[d.line:end], marks) != seal.sum {
		return row.reject(BadChecksum, 0)
	}
	// These are the bytes of the checksum, but the line end between data and marks may differ.
	if len(marks) > 0 && string(content[end:]) != "\r\n"+string(marks[:len(marks)-2]) {
		return row.reject(BadMarks, end)
	}
	kind := d.commands.parse(content[:end], row)
	if kind == Item && seal.stale && d.options.NoStale {
		row.Known = true
		return row.reject(NoStale, 0)
	}
	row.Stale, row.Won = seal.stale, seal.won
	return kind
}

// cut rejects a row whose checksum cannot be checked. What its command says, such as its key, is in the row, but it is
// not Known.
func (d *dumped) cut(beginning []byte, row *Row) Kind {
	d.complete = false
	if d.hasLine {
		head := parseCommand(beginning[:d.content])
		d.begin(&head, row)
	}
	row.Known = false
	return row.tooLong()
}

// A seal is the end of the command of a dump's item: its checksum and its marks.
type seal struct {
	at         int // the length of what sum is the checksum of
	sum        uint32
	stale, won bool
}

// sealOf reads the seal of a command. Nothing but " q" is behind it: no checksum covers that.
func sealOf(line []byte) (s seal, ok bool) {
	const form = " O01234567"
	line, ok = bytes.CutSuffix(line, []byte(" q"))
	line, s.won = bytes.CutSuffix(line, []byte("Z"))
	line, s.stale = bytes.CutSuffix(line, []byte("X"))
	if s.at = len(line) - len(form); !ok || s.at < 0 || !bytes.HasPrefix(line[s.at:], []byte(" O")) {
		return seal{}, false
	}
	n, err := strconv.ParseUint(string(line[s.at+2:]), 16, 32)
	s.sum = uint32(n)
	return s, err == nil
}

// marksOf returns the commands behind the data of a stale or won item.
func marksOf(head *command) []byte {
	if !bytes.HasSuffix(head.text, []byte("X q")) && !bytes.HasSuffix(head.text, []byte("Z q")) {
		return nil // as of nearly all items
	}
	seal, ok := sealOf(head.text)
	if !ok || !head.meta || head.n < 3 || !seal.stale && !seal.won {
		return nil
	}
	flags := head.text[min(head.words[2].end, seal.at):seal.at]
	key := head.word(1)
	switch {
	case bytes.HasPrefix(flags, []byte(" K")): // no command can have the key
		return nil
	case bytes.HasPrefix(flags, []byte(" b")):
		var err error
		if key, err = base64.StdEncoding.AppendDecode(nil, key); err != nil {
			return nil
		}
	}
	return meta.AppendMarks(nil, key, seal.stale, seal.won, bytes.Contains(flags, []byte(" T")))
}

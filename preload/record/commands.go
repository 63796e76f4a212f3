package record

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
)

// The reasons to reject a command.
const (
	NoCommand  Reason = "not a command that stores: set, add, replace or ms"
	BadCommand Reason = "the command is malformed"
	BadFlag    Reason = "a meta flag or mode that a load does not have"
	BadChunk   Reason = "the data is not as long as the command says"
)

const (
	// headMax is the length of the longest line of a command, in bytes; memcached has the same limit
	// (proto_text.c: try_read_command_ascii).
	headMax = 2048
	// lengthMax is the length of the longest data, in bytes (proto_text.c: process_update_command).
	lengthMax = 1<<31 - 3
)

// commands are commands as a client sends them to memcached (its doc/protocol.txt), and as memcached-tool dump writes
// them.
type commands struct {
	lines
	options Options
	keys    keys
	key     []byte // the last one that was in base64

	// The row that is not complete.
	hasLine bool // its line is complete
	length  int  // bytes of its data, and of what follows that; -1: it has none
	line    int  // bytes of its line, with the line end; less after drop
	content int  // the same without the line end

	lineCut bool // the beginning of its line was dropped

	// behind returns what follows a command's data, which has a line end before it instead of at its end; nil:
	// nothing follows.
	behind func(*command) []byte
}

func (c *commands) next(data []byte, eof bool) (content, size int) {
	if !c.hasLine {
		content, size = c.lines.next(data, eof)
		if size == 0 {
			return 0, 0
		}
		content = len(bytes.TrimSuffix(data[:content], []byte("\r")))
		c.content, c.line = content, size
		if c.lineCut { // what is left may look like a command
			c.lineCut = false
			return content, size
		}
		head := parseCommand(data[:c.content])
		if c.length = head.length; c.length < 0 {
			return content, size
		}
		if c.behind != nil {
			c.length += len(c.behind(&head))
		}
		c.hasLine = true
	}
	to := c.line + c.length
	switch {
	case !eof && (len(data) <= to || len(data) == to+1 && data[to] == '\r'):
		return 0, 0
	case len(data) <= to: // the input ends in it
		c.hasLine = false
		return len(data), len(data)
	case to >= 0 && data[to] == '\r' && to+1 < len(data) && data[to+1] == '\n':
		c.hasLine = false
		return to, to + 2
	}
	// The data is longer or shorter than the command says. The next line end is taken for its end.
	c.scanned = max(c.scanned, to)
	content, size = c.lines.next(data, eof)
	c.hasLine = size == 0
	if bare := c.line == c.content+1; content == to && size > to && !bare {
		content = size // a line feed alone ends the data only if it ends the command's line, too
	}
	return content, size
}

func (c *commands) drop(data []byte) {
	c.lines.drop(data)
	c.line -= len(data)
	c.lineCut = !c.hasLine
}

// A command is a parsed line of a command.
type command struct {
	text   []byte
	words  [6]struct{ at, end int } // the first words
	n      int                      // how many words there are
	stores bool                     // it is set, add, replace or ms
	meta   bool                     // it is ms
	length int                      // of the data behind it, in bytes; -1: there is none
}

// word returns word i; empty: there is none.
func (c *command) word(i int) []byte { return c.text[c.words[i].at:c.words[i].end] }

// parseCommand parses the line of a command.
func parseCommand(line []byte) command {
	c := command{text: line, length: -1}
	for at := 0; at < len(line); at++ {
		if line[at] == ' ' {
			continue
		}
		end := len(line)
		if n := bytes.IndexByte(line[at:], ' '); n >= 0 {
			end = at + n
		}
		if c.n < len(c.words) {
			c.words[c.n].at, c.words[c.n].end = at, end
		}
		c.n++
		at = end
	}
	length := 4
	switch string(c.word(0)) {
	case "set", "add", "replace":
		c.stores = true
	case "ms":
		c.stores, c.meta, length = true, true, 2
	case "append", "prepend", "cas": // no row, but with data
	default:
		return c
	}
	if n, err := strconv.ParseUint(string(c.word(length)), 10, 32); err == nil && n <= lengthMax {
		c.length = int(n)
	}
	return c
}

func (c *commands) parse(content []byte, row *Row) Kind {
	head := parseCommand(content[:min(c.content, len(content))])
	switch name := string(head.word(0)); {
	case head.n == 0, head.n == 1 && (name == "mn" || name == "quit"):
		return Nothing
	case !head.stores:
		return row.rejectNear(NoCommand, head.text, 0)
	case head.length < 0:
		return row.rejectFor(BadCommand, 0, "it does not say how long its data is")
	}
	kind := c.begin(&head, row)
	whole := len(content) == c.line+head.length
	if kind == Reject {
		row.Known = row.Known && whole // else more than one thing is wrong
		return kind
	}
	if !whole {
		row.Known = true
		return row.rejectFor(BadChunk, c.line, "no line end is behind %d B", head.length)
	}
	row.Value = Bytes{At: c.line, Len: head.length}
	row.Oversize = head.length > c.options.ValueMax
	return kind
}

func (c *commands) cut(beginning []byte, row *Row) Kind {
	if c.hasLine {
		if head := parseCommand(beginning[:c.content]); head.stores {
			kind := c.begin(&head, row)
			if kind == Item || kind == Reject && row.Known {
				return kind
			}
			row.Known = kind == Skip // it has expired, and is too long to be read to its end
		}
	}
	return row.tooLong()
}

// begin reads everything but the data of a command. A Reject is Known as far as the command's line tells.
func (c *commands) begin(head *command, row *Row) Kind {
	row.Command, row.Flags, row.TTL = Set, c.options.Flags, c.options.TTL
	row.Key = Bytes{At: head.words[1].at, Len: len(head.word(1))}
	kind := Item
	if head.meta {
		kind = c.meta(head, row)
	} else {
		kind = row.classic(head)
		row.Known = kind == Reject && row.badNumber()
	}
	if c.options.Mode != "" {
		row.Command = c.options.command
	}
	reason, at := c.keys.check(row, row.Key.Of(head.text))
	switch {
	case kind == Reject:
		row.Known = row.Known && reason == ""
	case reason != "":
		return row.reject(reason, head.words[1].at+at)
	}
	return kind
}

// classic reads the words of set, add and replace.
func (r *Row) classic(head *command) Kind {
	switch string(head.word(0)) {
	case "add":
		r.Command = Add
	case "replace":
		r.Command = Replace
	}
	if head.n > 6 || head.n == 6 && string(head.word(5)) != "noreply" {
		return r.rejectNear(BadCommand, head.text, head.words[5].at)
	}
	flags, err := strconv.ParseUint(string(head.word(2)), 10, 32)
	if err != nil {
		return r.rejectFor(BadFlags, head.words[2].at, "%s", clip.Quote(head.word(2)))
	}
	r.Flags = uint32(flags)
	return r.exptime(head.word(3), head.words[3].at)
}

// exptime sets the row's time to live to a time as memcached's commands have it (protocol.txt: "Expiration times").
func (r *Row) exptime(text []byte, at int) Kind {
	n, err := strconv.ParseInt(string(text), 10, 64)
	switch {
	case err != nil:
		return r.rejectFor(BadExptime, at, "%s", clip.Quote(text))
	case n > meta.RelativeMax:
		return r.expireAt(date{seconds: n}, at)
	}
	return r.expireIn(n)
}

// badNumber reports whether the row is rejected for a number that does not change what its command does.
func (r *Row) badNumber() bool {
	return r.Reason == BadFlags || r.Reason == BadExptime || r.Reason == FarDate
}

// meta reads the flags of ms; flags that ask for an answer have no meaning here.
func (c *commands) meta(head *command, row *Row) Kind {
	row.Command = c.options.command
	kind := Item
	var reason Reason // the first one
	var detail string
	var column int
	known := true
	for at := head.words[2].end; at < len(head.text); at++ {
		if head.text[at] == ' ' {
			continue
		}
		flag, _, _ := bytes.Cut(head.text[at:], []byte(" "))
		// After a bad flag, too, the others are read: they may be about the key, or the mode.
		switch c.flag(flag[0], flag[1:], at, row, head) {
		case Reject:
			if kind != Reject {
				kind, reason, detail, column = Reject, row.Reason, row.Detail, row.Column
			}
			known = known && row.badNumber()
		case Skip:
			if kind == Item {
				kind = Skip
			}
		}
		at += len(flag)
	}
	if kind == Reject {
		row.Reason, row.Detail, row.Column, row.Known = reason, detail, column, known
	}
	return kind
}

// binary sets the row's key to one that is in base64.
func (c *commands) binary(text []byte, at int, row *Row) Kind {
	var err error
	if c.key, err = base64.StdEncoding.AppendDecode(c.key[:0], text); err != nil {
		return row.rejectFor(BadBase64, at, "%s", clip.Quote(text))
	}
	row.Key, row.Binary = made(c.key), true
	return Item
}

func (c *commands) flag(flag byte, token []byte, at int, row *Row, head *command) Kind {
	switch flag {
	case 'q', 'k', 'O', 'c', 's':
	case 'F':
		n, err := strconv.ParseUint(string(token), 10, 32)
		if err != nil {
			return row.rejectFor(BadFlags, at, "%s", clip.Quote(token))
		}
		row.Flags = uint32(n)
	case 'T':
		return row.exptime(token, at)
	case 'M':
		switch string(token) {
		case "S", "s", "set":
			row.Command = Set
		case "E", "e", "add":
			row.Command = Add
		case "R", "r", "replace":
			row.Command = Replace
		default:
			return row.rejectFor(BadFlag, at, "the mode %s", clip.Quote(token))
		}
	case 'b':
		return c.binary(head.word(1), head.words[1].at, row)
	case 'K': // of a dump: a key that no command can have (package meta)
		return c.binary(token, at, row)
	default:
		return row.rejectFor(BadFlag, at, "%q", flag)
	}
	return Item
}

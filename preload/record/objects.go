package record

import "bytes"

// framed is what an [objectFrame] has found.
type framed int

const (
	framedNothing framed = iota // white space, a bracket or a comma
	framedObject                // an object, with the comma and the line end behind it
	framedOpen                  // an object that is not closed
	framedOther                 // no object, or an object with something else behind it, up to the line end
)

// objectFrame is the frame of JSON objects: one on each line, several on a line, on many lines, and in arrays. An
// object is complete with the brace that closes it, whatever the line, so that an array of any length is read object by
// object.
//
// What is malformed must not swallow the rows behind it. An object ends unclosed at a line feed in a string, where JSON
// has none; before a brace that no name and colon lead to, unless it is in an array; and before a line that begins with
// a brace no further to the right than its own: pretty printers indent what is inside. What is no object ends with its
// line. So a line with an object of its own is a row, whatever the lines before it are.
//
// Called with more of the input, next continues where it stopped: a row may be long.
type objectFrame struct {
	phase framePhase
	at    int // bytes that were looked at
	line  int // where the line begins that has the byte at; below 0 if it is before the data
	plain int // bytes from the beginning without a line feed, as far as is known

	from, to int    // the object in the row
	indent   int    // bytes before it in its line
	depth    int    // braces that are open
	levels   int    // braces and brackets that are open
	arrays   uint64 // of these, a bit for each of the outer ones that is a bracket
	last     byte   // the last byte that is not white space
	lines    bool
	blank    bool // only white space was seen in the line
	quoted   bool // in a string
	escaped  bool // behind a backslash

	is    framed // the last row
	over  bool   // it has ended before the data
	array arrayState
}

type framePhase int

const (
	beforeObject framePhase = iota
	inObject
	behindObject
	behindComma
	inOther
)

// arrayState says whether the next row is in an array.
type arrayState int

const (
	noArray arrayState = iota
	openArray
	maybeArray // the load has begun in the middle, or there was something else than objects
)

// next returns the size of the row at the beginning of data; [objectFrame.ended] says if it has ended before data.
func (f *objectFrame) next(data []byte, eof bool) (content, size int) {
	f.over = false
	for f.at < len(data) {
		b := data[f.at]
		switch f.phase {
		case beforeObject:
			switch {
			case b == '\n':
				return f.endLine(framedNothing)
			case isBlank(b):
			case b == '{':
				f.begin(f.at)
				f.phase = inObject
				continue
			case b == '[' && f.array != openArray:
				f.array = openArray
				f.at++
				return f.end(framedNothing, f.at)
			case b == ']' || b == ',':
				switch {
				case b == ']':
					f.array = noArray
				case f.array == maybeArray:
					f.array = openArray
				}
				f.at++
				return f.end(framedNothing, f.at)
			default:
				f.from, f.phase = f.at, inOther
			}
			f.at++
		case inObject:
			if f.object(data) {
				if content = f.at; content > 0 && data[content-1] == '\n' {
					content--
				}
				return f.end(framedOpen, content)
			}
		case behindObject, behindComma:
			switch {
			case b == '\n':
				return f.endLine(framedObject)
			case isBlank(b):
				f.at++
			case f.phase == behindComma || b == '{' || b == '[' || b == ']':
				return f.end(framedObject, f.at)
			case b == ',':
				if f.array == maybeArray {
					f.array = openArray
				}
				f.phase = behindComma
				f.at++
			default:
				f.from, f.phase = f.at, inOther
			}
		case inOther:
			n := bytes.IndexByte(data[f.at:], '\n')
			if n < 0 {
				f.at = len(data)
				break
			}
			f.at += n
			return f.endLine(framedOther)
		}
	}
	if !eof {
		return 0, 0
	}
	return f.end([...]framed{framedNothing, framedOpen, framedObject, framedObject, framedOther}[f.phase], f.at)
}

// begin begins the object that is at at.
func (f *objectFrame) begin(at int) {
	f.from, f.indent = at, at-f.line
	f.depth, f.levels, f.arrays, f.last = 0, 0, 0, 0
	f.lines, f.blank, f.quoted, f.escaped = false, false, false, false
}

// object looks for the end of the object; true: it has ended unclosed.
func (f *objectFrame) object(data []byte) (unclosed bool) {
	for ; f.at < len(data); f.at++ {
		b := data[f.at]
		switch {
		case b == '\n':
			f.at++
			f.line, f.lines, f.blank = f.at, true, true
			if f.quoted {
				return true
			}
			f.at--
		case f.escaped:
			f.escaped = false
		case f.quoted:
			switch b {
			case '\\':
				f.escaped = true
			case '"':
				f.quoted = false
			}
		case isBlank(b):
		case b == '{':
			if f.blank && f.at-f.line <= f.indent || f.depth > 0 && f.last != ':' && !f.inArray() {
				return true
			}
			f.depth++
			f.open(0)
			f.last, f.blank = b, false
		case b == '}':
			if f.depth--; f.depth == 0 {
				f.at++
				f.to, f.phase = f.at, behindObject
				return false
			}
			for f.levels <= levelsMax && f.inArray() { // it was not closed
				f.levels--
			}
			f.levels = max(f.levels-1, 0) // a bracket may have closed a brace, deeper than is looked at
			f.last, f.blank = b, false
		case b == '[':
			f.open(1)
			f.last, f.blank = b, false
		case b == ']':
			if f.inArray() {
				f.levels--
			}
			f.last, f.blank = b, false
		default:
			f.last, f.quoted, f.blank = b, b == '"', false
		}
	}
	return false
}

// levelsMax is how many levels have a bit in arrays.
const levelsMax = 64

// open opens a level: 1 is an array, 0 an object.
func (f *objectFrame) open(array uint64) {
	if f.levels < levelsMax {
		f.arrays = f.arrays&^(1<<f.levels) | array<<f.levels
	}
	f.levels++
}

// inArray reports whether the innermost level is, or may be, an array.
func (f *objectFrame) inArray() bool {
	return f.levels > levelsMax || f.levels > 0 && f.arrays>>(f.levels-1)&1 == 1
}

// endLine ends the row with the line feed that is at at.
func (f *objectFrame) endLine(is framed) (content, size int) {
	content = f.at
	f.at++
	f.line = f.at
	_, size = f.end(is, f.at)
	return content, size
}

// end ends the row at at.
func (f *objectFrame) end(is framed, content int) (_, size int) {
	size = f.at
	if f.is = is; is == framedOther {
		f.array = maybeArray // its end may be in there
	}
	f.over = size == 0
	f.at, f.phase = 0, beforeObject
	f.line -= size
	f.plain = max(f.plain-size, 0)
	return content, size
}

func (f *objectFrame) drop(data []byte) {
	f.at = max(f.at-len(data), 0)
	f.line -= len(data)
	f.plain = max(f.plain-len(data), 0)
}

// ended reports whether the row ended before the data of the last call of next, which is known only from what follows.
func (f *objectFrame) ended() bool { return f.over }

// lineEnd is the offset of the first line feed; len(data): there is none.
func (f *objectFrame) lineEnd(data []byte) int {
	if n := bytes.IndexByte(data[f.plain:], '\n'); n >= 0 {
		f.plain += n
	} else {
		f.plain = len(data)
	}
	return f.plain
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' }

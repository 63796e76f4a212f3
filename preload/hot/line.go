package hot

import "bytes"

// A line is a line of memcached's log (logger.c: _logger_parse_ige).
type line struct {
	kind  kind
	key   []byte // percent-encoded
	rest  []byte // the fields behind the key
	count uint64 // of skipped: lines
}

type kind int

const (
	other   kind = iota
	lookup       // a request looks for its key
	skipped      // the watcher was too slow for some lines
)

var (
	lookupBegins  = []byte("type=item_get key=")
	skippedBegins = []byte("skipped=")
	foundBegins   = []byte("status=found ")
)

// parse reads a line without its end. Its key is part of the text.
func parse(text []byte) line {
	if n, ok := bytes.CutPrefix(text, skippedBegins); ok {
		count, ok := number(n)
		if !ok {
			return line{}
		}
		return line{kind: skipped, count: uint64(count)}
	}
	for range 2 { // ts, gid
		at := bytes.IndexByte(text, ' ')
		if at < 0 {
			return line{}
		}
		text = text[at+1:]
	}
	rest, ok := bytes.CutPrefix(text, lookupBegins)
	at := bytes.IndexByte(rest, ' ')
	if !ok || at <= 0 {
		return line{}
	}
	return line{kind: lookup, key: rest[:at], rest: rest[at+1:]}
}

// found reports whether the key of a lookup is there: its status is found, and not not_found, flushed or expired.
func (l *line) found() bool { return bytes.HasPrefix(l.rest, foundBegins) }

// size is how many bytes the value has. It is the last field; before 1.6.11 it is not stated.
func (l *line) size() (size int64, stated bool) {
	at := bytes.LastIndexByte(l.rest, '=')
	if at < 0 || !bytes.HasSuffix(l.rest[:at], []byte(" size")) {
		return 0, false
	}
	return number(l.rest[at+1:])
}

// number reads a decimal number of at most 18 digits; strconv would copy the text.
func number(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

package record

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// The reasons to reject an escape.
const (
	BadEscape  Reason = "an escape that mysql --batch does not write"
	LoneEscape Reason = "an escape character with nothing behind it"
	BadString  Reason = "half of a surrogate pair in a JSON string"
)

// An escaper appends what the escape at the beginning of raw stands for, which has a backslash and at least one byte
// behind it. size is the escape's length in bytes.
type escaper func(dst, raw []byte) (_ []byte, size int, reason Reason)

// unescape appends what raw stands for. With a reason, bad is the offset of the escape that is rejected.
func unescape(dst, raw []byte, escape escaper) (_ []byte, reason Reason, bad int) {
	for at := 0; ; {
		n := bytes.IndexByte(raw[at:], '\\')
		if n < 0 {
			return append(dst, raw[at:]...), "", 0
		}
		dst = append(dst, raw[at:at+n]...)
		at += n
		if at+1 == len(raw) {
			return dst, LoneEscape, at
		}
		var size int
		if dst, size, reason = escape(dst, raw[at:]); reason != "" {
			return dst, reason, at
		}
		at += size
	}
}

// mysqlEscape is for mysql --batch, which escapes four bytes (client/mysql.cc: safe_put_field).
func mysqlEscape(dst, raw []byte) ([]byte, int, Reason) {
	b := raw[1]
	switch b {
	case '0':
		b = 0
	case 't':
		b = '\t'
	case 'n':
		b = '\n'
	case '\\':
	default:
		return dst, 0, BadEscape
	}
	return append(dst, b), 2, ""
}

// psqlEscape is for COPY (PostgreSQL's reference, "Text Format"): an unknown byte behind the backslash stands for
// itself.
func psqlEscape(dst, raw []byte) ([]byte, int, Reason) {
	b, size := raw[1], 2
	switch c := control(b); {
	case c != 0:
		b = c
	case b == 'v':
		b = '\v'
	case b == 'x':
		if value, n := number(raw[2:], 16, 2); n > 0 {
			b, size = value, 2+n
		}
	default:
		if value, n := number(raw[1:], 8, 3); n > 0 {
			b, size = value, 1+n
		}
	}
	return append(dst, b), size, ""
}

// control is the control byte that a letter behind a backslash stands for; 0: none.
func control(letter byte) byte {
	switch letter {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// number reads up to limit digits to a base; higher bits than a byte's are dropped.
func number(raw []byte, base, limit int) (value byte, digits int) {
	for digits < min(limit, len(raw)) {
		digit := hexDigit(raw[digits])
		if digit < 0 || digit >= base {
			break
		}
		value = value*byte(base) + byte(digit)
		digits++
	}
	return value, digits
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// jsonEscape is for a JSON string. Half of a surrogate pair is rejected.
func jsonEscape(dst, raw []byte) ([]byte, int, Reason) {
	b := raw[1]
	switch c := control(b); {
	case c != 0:
		b = c
	case b == '"', b == '\\', b == '/':
	case b == 'u':
		r, size := unicodeEscape(raw)
		if size == 0 {
			return dst, 0, BadString
		}
		return utf8.AppendRune(dst, r), size, ""
	default:
		return dst, 0, BadString
	}
	return append(dst, b), 2, ""
}

// isEscape reports whether raw begins with an escape of JSON's grammar.
func isEscape(raw []byte) bool {
	if len(raw) < 2 {
		return false
	}
	if raw[1] == 'u' {
		_, ok := unit(raw)
		return ok
	}
	return bytes.IndexByte([]byte(`"\/bfnrt`), raw[1]) >= 0
}

// unicodeEscape reads \uXXXX, or two of them that are a surrogate pair; size is 0 for half of a pair.
func unicodeEscape(raw []byte) (r rune, size int) {
	first, ok := unit(raw)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	second, ok := unit(raw[6:])
	if r = utf16.DecodeRune(first, second); !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func unit(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, b := range raw[2:6] {
		digit := hexDigit(b)
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

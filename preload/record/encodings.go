package record

import (
	"encoding/base64"
	"encoding/hex"
	"errors"

	"memcached-backdoor/preload/clip"
)

// Encoding is how a value's bytes are written as text.
type Encoding string

// The encodings that databases write.
const (
	Hex    Encoding = "hex"    // two digits for each byte, perhaps with 0x in front: HEX() of MySQL, hex() of SQLite
	Base64 Encoding = "base64" // with padding, perhaps on several lines: TO_BASE64() of MySQL, encode() of PostgreSQL
	Bytea  Encoding = "bytea"  // bytea of PostgreSQL, as either bytea_output writes it
)

// Encodings are all of them.
var Encodings = []Encoding{Hex, Base64, Bytea}

// The reasons to reject a value that is to be decoded.
const (
	BadHex    Reason = "not hexadecimal"
	BadBytea  Reason = "not bytea as PostgreSQL writes it"
	NotText   Reason = "what is to be decoded is not a JSON string"
	MaybeNull Reason = "NULL, or a text to be decoded: --null says what becomes of it"
)

// strictBase64 rejects bits that are left over: no encoder writes such.
var strictBase64 = base64.StdEncoding.Strict()

// decode appends the bytes that text stands for. With a reason, bad is the offset of what is rejected.
func (e Encoding) decode(dst, text []byte) (_ []byte, reason Reason, bad int) {
	switch e {
	case Hex:
		if len(text) >= 2 && text[0] == '0' && text[1] == 'x' { // mysql --binary-as-hex
			return decodeHex(dst, text, 2, BadHex)
		}
		return decodeHex(dst, text, 0, BadHex)
	case Base64:
		// Line ends are left out (encoding/base64); a space is not, for it may have been a plus.
		dst, err := strictBase64.AppendDecode(dst, text)
		if at, ok := errors.AsType[base64.CorruptInputError](err); ok {
			return dst, BadBase64, min(int(at), len(text))
		}
		return dst, "", 0
	}
	if len(text) >= 2 && text[0] == '\\' && text[1] == 'x' {
		return decodeHex(dst, text, 2, BadBytea)
	}
	return decodeBytea(dst, text)
}

// decodeHex appends the bytes of the digits from at.
func decodeHex(dst, text []byte, at int, reason Reason) ([]byte, Reason, int) {
	from := len(dst)
	dst, err := hex.AppendDecode(dst, text[at:])
	if err == nil {
		return dst, "", 0
	}
	at += 2 * (len(dst) - from)
	if at < len(text) && hexDigit(text[at]) >= 0 && at+1 < len(text) {
		at++
	}
	return dst, reason, at
}

// decodeBytea is for PostgreSQL's older format, which writes what is no printable byte of ASCII in octal (its
// reference, "bytea Escape Format").
func decodeBytea(dst, text []byte) ([]byte, Reason, int) {
	for at := 0; at < len(text); at++ {
		b := text[at]
		switch {
		case b < ' ' || b > '~':
			return dst, BadBytea, at
		case b != '\\':
		case at+1 < len(text) && text[at+1] == '\\':
			at++
		default:
			value, digits := number(text[at+1:], 8, 3)
			if digits < 3 || text[at+1] > '3' {
				return dst, BadBytea, at
			}
			b = value
			at += digits
		}
		dst = append(dst, b)
	}
	return dst, "", 0
}

// decodeValue makes the row's value of text, whose offset in the row is at: it appends the bytes to dst. plain says that the
// text is in the row as it is.
func (r *Row) decodeValue(o *Options, dst, text []byte, at int, plain bool) ([]byte, Kind) {
	r.Oversize = false // as text it may have been
	from := len(dst)
	dst, reason, bad := o.Decode.decode(dst, text)
	if reason != "" {
		if plain {
			at += bad
		}
		return dst, r.rejectFor(reason, at, "%s at byte %d of %d", clip.Quote(text[bad:]), bad+1, len(text))
	}
	r.Value = made(dst[from:len(dst):len(dst)])
	r.Oversize = r.Value.Len > o.ValueMax
	return dst, Item
}

// encodedValue makes the value of its only column, which is to be decoded.
func (l *layout) encodedValue(row *Row, data []byte, fields []field) Kind {
	f := fields[l.value.first()]
	switch null := l.options.Null; {
	case f.absent, f.null && (null == NullSkip || null == NullEmpty):
		return l.text(row, data, fields, l.value, &row.Value)
	case f.null && null == "":
		return row.reject(MaybeNull, f.at)
	case l.options.Format == JSONL && !isString(data, f):
		return row.reject(NotText, f.at)
	}
	text := data[f.at:f.end]
	coded := f.coded && !f.null
	if coded {
		from := len(l.made)
		if reason, at := l.add(data, f); reason != "" {
			return row.reject(reason, at)
		}
		text = l.made[from:]
	}
	var kind Kind
	l.made, kind = row.decodeValue(&l.options, l.made, text, f.at, !coded)
	return kind
}

// fromBase64 makes bytes from a member that has them in base64.
func (l *layout) fromBase64(row *Row, data []byte, f field, to *Bytes) Kind {
	if data[f.at-1] != '"' { // true is base64, too
		return row.rejectNear(BadBase64, data[:f.end], f.at)
	}
	from := len(l.made)
	if reason, at := l.add(data, f); reason != "" {
		return row.rejectNear(reason, data[:f.end], at)
	}
	at := len(l.made)
	var reason Reason
	if l.made, reason, _ = Base64.decode(l.made, l.made[from:at]); reason != "" {
		return row.rejectNear(reason, data[:f.end], f.at)
	}
	*to = made(l.made[at:len(l.made):len(l.made)])
	return Item
}

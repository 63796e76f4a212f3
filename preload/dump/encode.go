package dump

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

// Format is the format of a dump.
type Format string

// The formats. Each can be loaded again, except List and Details.
const (
	MS    Format = "ms"    // commands that store the items, with checksums; package record: Dump
	JSONL Format = "jsonl" // a JSON object on each line
	CSV   Format = "csv"   // with a header: key, value, flags, expires
	List  Format = "list"  // a line about each item, without its value; Listed

	// Details has a line about each item with all that is known of it, and its value behind that, in the order of the
	// walk; Listed. Listed keys without an item have lines, too.
	Details Format = "details"
)

// An encoder writes items. Dates are in seconds since 1970, 0 for never.
type encoder interface {
	begin(dst []byte) []byte
	item(dst []byte, i *walk.Item, now int64) []byte
	end(dst []byte) []byte // behind the last item of a complete dump
}

func newEncoder(o Options) (encoder, error) {
	switch o.Format {
	case "", MS:
		if o.KeysOnly {
			return lines{}, nil
		}
		return &commands{}, nil
	case JSONL:
		return objects{keysOnly: o.KeysOnly}, nil
	case CSV:
		return table{keysOnly: o.KeysOnly}, nil
	case List:
		return list{}, nil
	case Details:
		return list{details: true, values: !o.KeysOnly}, nil
	}
	return nil, option.Errorf("the formats are ms, jsonl, csv, list and details", "there is no format %s", clip.Quote(o.Format))
}

// expires is an item's date.
func expires(i *walk.Item, now int64) int64 {
	if i.TTL < 0 {
		return 0
	}
	return now + i.TTL
}

// commands are memcached's ms, for 1.6.10 on (protocol.txt: "Meta Set"):
//
//	ms KEY LENGTH[ b| KKEY][ FFLAGS][ TDATE] OCHECKSUM[X][Z] q
//
// X says that the item is stale and Z that it is won, as in memcached's answers: behind its data there
// are the commands that mark it so (package meta: AppendMarks).
// The checksum (package meta: Checksum) has eight hexadecimal digits. It is that of the line up to the space before
// O, of the data, and of these commands; for memcached it is an opaque token without a meaning. The
// last line of a complete dump is "mn". The commands are quiet (q): memcached answers only those that do not store,
// and with a line for each token that is won.
type commands struct{ marks []byte }

func (*commands) begin(dst []byte) []byte { return dst }

func (c *commands) item(dst []byte, i *walk.Item, now int64) []byte {
	from := len(dst)
	dst = meta.AppendSet(dst, i.Key, len(i.Value))
	c.marks = meta.AppendMarks(c.marks[:0], i.Key, i.Stale, i.Won, i.TTL >= 0)
	if i.Flags != 0 {
		dst = strconv.AppendUint(append(dst, " F"...), i.Flags, 10)
	}
	if date := expires(i, now); date != 0 {
		dst = strconv.AppendInt(append(dst, " T"...), date, 10)
	}
	sum := meta.Checksum(dst[from:], i.Value, c.marks)
	dst = append(dst, " O"...)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[sum>>shift&15])
	}
	if i.Stale {
		dst = append(dst, 'X')
	}
	if i.Won {
		dst = append(dst, 'Z')
	}
	dst = append(dst, " q\r\n"...)
	dst = append(dst, i.Value...)
	return append(append(dst, "\r\n"...), c.marks...)
}

func (*commands) end(dst []byte) []byte { return append(dst, "mn\r\n"...) }

// lines are keys, a line each.
type lines struct{}

func (lines) begin(dst []byte) []byte { return dst }

func (lines) item(dst []byte, i *walk.Item, _ int64) []byte {
	return append(walk.AppendEncoded(dst, i.Key), '\n')
}

func (lines) end(dst []byte) []byte { return dst }

// objects are JSON as a load reads it. A binary key and what is not UTF-8, which JSON cannot have, are in base64.
type objects struct{ keysOnly bool }

func (objects) begin(dst []byte) []byte { return dst }

func (o objects) item(dst []byte, i *walk.Item, now int64) []byte {
	dst = append(dst, '{')
	if meta.IsText(i.Key) {
		dst = appendText(dst, "key", i.Key)
	} else {
		dst = appendBase64(dst, "key", i.Key)
	}
	if o.keysOnly {
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(i.Size), 10)
	} else {
		dst = appendText(append(dst, ','), "value", i.Value)
	}
	if i.Flags != 0 {
		dst = strconv.AppendUint(append(dst, `,"flags":`...), i.Flags, 10)
	}
	if date := expires(i, now); date != 0 {
		dst = strconv.AppendInt(append(dst, `,"expires":`...), date, 10)
	}
	if i.Stale {
		dst = append(dst, `,"stale":true`...)
	}
	if i.Won {
		dst = append(dst, `,"won":true`...)
	}
	return append(dst, "}\n"...)
}

func (objects) end(dst []byte) []byte { return dst }

// appendText appends a member, in base64 if it is not UTF-8.
func appendText(dst []byte, name string, value []byte) []byte {
	if !utf8.Valid(value) {
		return appendBase64(dst, name, value)
	}
	dst = append(append(append(dst, '"'), name...), `":`...)
	if !slices.ContainsFunc(value, func(b byte) bool { return b < ' ' || b == '"' || b == '\\' }) {
		return append(append(append(dst, '"'), value...), '"')
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(string(value)) // a string has no error
	return append(dst, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

func appendBase64(dst []byte, name string, value []byte) []byte {
	dst = append(append(append(dst, '"'), name...), `_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, value), '"')
}

// table is CSV (RFC 4180) with a header.
type table struct{ keysOnly bool }

func (t table) begin(dst []byte) []byte {
	if t.keysOnly {
		return append(dst, "key,size,flags,expires\n"...)
	}
	return append(dst, "key,value,flags,expires\n"...)
}

func (t table) item(dst []byte, i *walk.Item, now int64) []byte {
	dst = append(appendQuoted(dst, i.Key), ',')
	if t.keysOnly {
		dst = strconv.AppendInt(dst, int64(i.Size), 10)
	} else {
		dst = appendQuoted(dst, i.Value)
	}
	dst = strconv.AppendUint(append(dst, ','), i.Flags, 10)
	dst = strconv.AppendInt(append(dst, ','), expires(i, now), 10)
	return append(dst, '\n')
}

func (table) end(dst []byte) []byte { return dst }

// appendQuoted appends a field in quotes, also an empty one: without quotes it would be a NULL.
func appendQuoted(dst, field []byte) []byte {
	dst = append(dst, '"')
	for _, b := range field {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

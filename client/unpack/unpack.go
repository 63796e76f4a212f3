// Package unpack knows compressed and UTF-16 input by its first bytes, and makes plain bytes of it.
package unpack

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Kind is how bytes are packed.
type Kind string

// The kinds have the names of the tools that compress, or of the encoding.
const (
	None  Kind = ""
	Gzip  Kind = "gzip"
	Zstd  Kind = "zstd"
	XZ    Kind = "xz"
	Bzip2 Kind = "bzip2"
	UTF16 Kind = "UTF-16"
)

// headMax is how many bytes tell the kind, at most.
const headMax = 512

// magics are what compressed data begins with; the dot is a digit. No row begins so (package record: certain).
var magics = []struct {
	magic string
	kind  Kind
}{
	{"\x1f\x8b\x08", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"\xfd7zXZ\x00", XZ},
	{"BZh.1AY&SY", Bzip2},
	{"BZh.\x17\x72\x45\x38\x50\x90", Bzip2}, // of nothing
}

// kindOf is the kind of what begins with head. known is false if that cannot be told without the bytes behind it; end says
// that there are none.
func kindOf(head []byte, end bool) (kind Kind, known bool) {
	known = true
	for _, m := range magics {
		n := min(len(head), len(m.magic))
		if !matches(head[:n], m.magic[:n]) {
			continue
		}
		if n == len(m.magic) {
			return m.kind, true
		}
		known = end
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if n := min(len(head), len(mark)); n > 0 && string(head[:n]) == mark[:n] {
			return utf16Of(head, end)
		}
	}
	return None, known && (end || len(head) > 0)
}

func matches(head []byte, magic string) bool {
	for i, b := range head {
		if b != magic[i] && !(magic[i] == '.' && '1' <= b && b <= '9') {
			return false
		}
	}
	return true
}

// utf16Of tells UTF-16 from UTF-32, and from a key of other bytes: a line of UTF-16 has a NUL, in what separates columns.
func utf16Of(head []byte, end bool) (kind Kind, known bool) {
	line, _, whole := bytes.Cut(head, []byte{'\n'})
	switch {
	case len(head) < 4:
		return None, end
	case head[2] == 0 && head[3] == 0:
		return None, true
	case bytes.IndexByte(line, 0) > 0, whole && hasLineFeed16(head):
		return UTF16, true
	}
	return None, end || whole || len(head) >= headMax
}

// hasLineFeed16 reports whether UTF-16 has a line feed. The byte alone is half of other characters, too, such as U+4E0A.
func hasLineFeed16(head []byte) bool {
	feed := "\n\x00"
	if head[0] == 0xfe {
		feed = "\x00\n"
	}
	for i := 2; i+1 < len(head); i += 2 {
		if string(head[i:i+2]) == feed {
			return true
		}
	}
	return false
}

// memoryMax is how many bytes of what was decompressed data may refer to: the decoder keeps as many. The command zstd has
// the same limit (its man page: --memory).
const memoryMax = 128 << 20

// NewReader returns the plain bytes of packed ones, which it decodes as it is read: what comes out is never in memory as a
// whole. Its errors say what is wrong with the packed bytes; an error of reading them is passed on. The caller closes it,
// and what it reads from.
func NewReader(kind Kind, packed io.Reader) (io.ReadCloser, error) {
	u := &reader{kind: kind, packed: input{reader: packed}}
	err := u.open()
	return u, u.explain(err)
}

// A reader explains the errors of a decoder.
type reader struct {
	kind   Kind
	packed input
	plain  io.Reader
	close  func()
}

// input keeps the error of reading the packed bytes, which decoders may hide.
type input struct {
	reader io.Reader
	err    error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.reader.Read(p)
	if err != nil && err != io.EOF {
		i.err = err
	}
	return n, err
}

func (u *reader) open() (err error) {
	switch u.kind {
	case Gzip:
		if u.plain, err = gzip.NewReader(&u.packed); err == gzip.ErrHeader {
			err = errHeader // else it would be that of what is behind the first data
		}
	case Zstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(&u.packed, zstd.WithDecoderMaxWindow(memoryMax)); err == nil {
			u.plain, u.close = d, d.Close
		}
	case XZ:
		u.plain, err = newXZ(&u.packed)
	case Bzip2:
		u.plain = bzip2.NewReader(&u.packed)
	case UTF16:
		u.plain = newUTF16(&u.packed)
	default:
		u.plain = &u.packed
	}
	return err
}

// Read reads plain bytes.
func (u *reader) Read(p []byte) (int, error) {
	n, err := u.plain.Read(p)
	return n, u.explain(err)
}

// Close ends the decoder. It does not close what was read.
func (u *reader) Close() error {
	if u.close != nil {
		u.close()
	}
	return nil
}

var (
	errMemory  = errors.New("it takes more than 128 MB of memory to decompress")
	errHeader  = errors.New("its header is malformed")
	errUnknown = errors.New("xz: invalid header magic bytes") // its text only: package xz exports none
)

func (u *reader) explain(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case u.packed.err != nil:
		return u.packed.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s data is truncated: its end is missing", u.kind)
	case errors.Is(err, errMemory), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &Error{fmt.Sprintf("the %s data cannot be decompressed here: %v", u.kind, errMemory), fmt.Sprintf("%s -dc FILE | client", u.kind)}
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch), err.Error() == errUnknown.Error(),
		errors.Is(err, bzip2.StructuralError("bad magic value in continuation file")):
		return fmt.Errorf("behind the end of the %s data there is something else, which is not loaded", u.kind)
	}
	return fmt.Errorf("the %s data is damaged: %w", u.kind, err)
}

// An Error has a hint: the way out.
type Error struct{ Message, Hint string }

func (e *Error) Error() string { return e.Message }

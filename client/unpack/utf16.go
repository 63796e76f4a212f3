package unpack

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

var errIllFormed = errors.New("half a character, or half a pair of surrogates")

// newUTF16 decodes UTF-16 with a byte order mark, which says the order.
func newUTF16(packed io.Reader) io.Reader {
	decoder := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
	return transform.NewReader(packed, &strict{Transformer: decoder})
}

// strict refuses what is not UTF-16. The decoder makes U+FFFD of it, which would be another value.
type strict struct {
	transform.Transformer
	big, begun bool
}

func (s *strict) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	if !s.begun && len(src) >= 2 {
		s.big, s.begun = src[0] == 0xfe, true
	}
	nDst, nSrc, err = s.Transformer.Transform(dst, src, atEOF)
	if made := bytes.Count(dst[:nDst], []byte("\uFFFD")); made > 0 && made != s.count(src[:nSrc]) {
		return 0, 0, errIllFormed
	}
	return nDst, nSrc, err
}

// count is how many code units of src, which begins with a whole one, are U+FFFD themselves.
func (s *strict) count(src []byte) (n int) {
	for i := 0; i+1 < len(src); i += 2 {
		low, high := src[i], src[i+1]
		if s.big {
			low, high = high, low
		}
		if high == 0xff && low == 0xfd {
			n++
		}
	}
	return n
}

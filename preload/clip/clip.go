// Package clip quotes texts of any length for messages.
package clip

import (
	"strconv"
	"unicode/utf8"
)

// most is how many characters of a text a message shows.
const most = 64

// Quote quotes the beginning of a text (strconv.Quote); … behind the closing quote says that there is more. Unlike %.64q
// of package fmt it never copies the rest, which may have a megabyte.
func Quote[T ~string | ~[]byte](text T) string { return QuoteN(text, most) }

// QuoteN is Quote of n characters at most. A byte that is not UTF-8 counts as one.
func QuoteN[T ~string | ~[]byte](text T, n int) string {
	head := string(text[:min(len(text), n*utf8.UTFMax)])
	end := 0
	for i := 0; i < n && end < len(head); i++ {
		_, size := utf8.DecodeRuneInString(head[end:])
		end += size
	}
	quoted := strconv.Quote(head[:end])
	if end < len(text) {
		quoted += "…"
	}
	return quoted
}

package clip

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

func TestQuoteN(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want string
	}{
		{"", `""`},
		{"abc", `"abc"`},
		{"abcd", `"abc"…`},
		{"äöü", `"äöü"`},
		{"äöü\n", `"äöü"…`},
		{"😀😀😀", `"😀😀😀"`},
		{"😀😀😀😀", `"😀😀😀"…`},
		{"\xff\n\x00", `"\xff\n\x00"`},
		{"\xff\xff\xff\xff", `"\xff\xff\xff"…`},
		{"ab\xe2\x82", `"ab\xe2"…`},
	} {
		if got := QuoteN(test.text, 3); got != test.want {
			t.Errorf("%q: %s, want %s", test.text, got, test.want)
		}
		if got := QuoteN([]byte(test.text), 3); got != test.want {
			t.Errorf("%q as bytes: %s, want %s", test.text, got, test.want)
		}
	}
}

// What a message does not show is not copied either.
func TestQuoteOfLongText(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		_ = Quote(text)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(len(text)) {
		t.Errorf("%d bytes are allocated", got)
	}
	if got, want := Quote(text), `"`+strings.Repeat("x", most)+`"…`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

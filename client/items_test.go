package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads a dump; the items are keys and values.
func read(r io.Reader, valueMax int) (items []string, end itemsEnd) {
	end = readItems(r, valueMax, func(i *item) { items = append(items, fmt.Sprintf("%s=%s", i.key, i.value)) })
	return items, end
}

// A dump reads the same in pieces of any size; items that are too long are left out.
func TestReadItems(t *testing.T) {
	long := strings.Repeat("long\n", 10_000)
	c := cache{kept("a", "1"), kept("b", long), kept("c", "\r\nmn\r\n"), kept("d", strings.Repeat("x", 1000)), kept("e", "")}
	text, err := os.ReadFile(c.dumped(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("ms c"), append(bytes.Repeat([]byte("garbage "), 10_000), "\r\nms c"...), 1)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(text), "by bytes": iotest.OneByteReader(bytes.NewReader(text)), "with its end": iotest.DataErrReader(bytes.NewReader(text)),
	} {
		items, end := read(r, 1000)
		want := fmt.Sprint([]string{"a=1", "c=\r\nmn\r\n", "d=" + strings.Repeat("x", 1000), "e="})
		if end != (itemsEnd{items: 4, damaged: 2, complete: true}) || fmt.Sprint(items) != want {
			t.Errorf("%s: %.100q, %+v", name, items, end)
		}
	}
	// Without its last line it is truncated, at any byte.
	for size := range bytes.Index(text, []byte("long")) {
		if _, end := read(bytes.NewReader(text[:size]), 1000); end.complete || end.err != nil {
			t.Fatalf("%d of %d bytes: %+v", size, len(text), end)
		}
	}
	broken := errors.New("broken")
	if _, end := read(io.MultiReader(bytes.NewReader(text), iotest.ErrReader(broken)), 1000); !errors.Is(end.err, broken) {
		t.Errorf("%+v", end)
	}
}

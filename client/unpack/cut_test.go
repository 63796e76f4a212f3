package unpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"
)

// Of the tools' output nothing is read as whole that is cut at any byte, be it in the header of a block.
func TestCutAnywhere(t *testing.T) {
	var rows bytes.Buffer
	for i := range 60 {
		fmt.Fprintf(&rows, "key_%d\tvalue %d\n", i, i*7919)
	}
	for _, test := range []struct {
		kind    Kind
		command []string
	}{
		{Gzip, []string{"gzip", "-c"}},
		{Zstd, []string{"zstd", "-c", "--no-check"}},
		{Bzip2, []string{"bzip2", "-c", "-1"}},
		{XZ, []string{"xz", "-c", "--check=crc32", "--lzma2=dict=4KiB", "--block-size=300"}},
		{XZ, []string{"xz", "-c", "--check=none", "--lzma2=dict=4KiB"}},
	} {
		t.Run(fmt.Sprint(test.command), func(t *testing.T) {
			command := exec.Command(test.command[0], test.command[1:]...)
			command.Stdin = bytes.NewReader(rows.Bytes())
			packed, err := command.Output()
			if errors.Is(err, exec.ErrNotFound) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			twice := bytes.Repeat(packed, 2)
			for cut := 1; cut <= len(twice); cut++ {
				whole := cut%len(packed) == 0
				r, err := NewReader(test.kind, bytes.NewReader(twice[:cut]))
				var plain []byte
				if err == nil {
					plain, err = io.ReadAll(r)
				}
				if whole && (err != nil || !bytes.Equal(plain, bytes.Repeat(rows.Bytes(), cut/len(packed)))) {
					t.Errorf("%d of %d bytes: %d plain bytes, %v", cut, len(packed), len(plain), err)
				}
				if !whole && err == nil {
					t.Errorf("%d of %d bytes are read as whole, of %d plain bytes", cut, len(packed), len(plain))
				}
				if r != nil {
					r.Close()
				}
			}
		})
	}
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"memcached-backdoor/client/unpack"
	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

// openKeys opens a list of keys, and makes a file of it that memcached reads: one a line, percent-encoded. The list has
// one a line, as dump --keys-only writes them, or is a dump, or a list of items. The caller closes the file; failed
// receives the error of reading the list, or nil, when all is read.
func openKeys(name string) (file *os.File, failed <-chan error, err error) {
	s, err := openSource(name)
	if err != nil {
		return nil, nil, err
	}
	if s.packed, err = unpack.Look(s.file); err != nil {
		return nil, nil, fileError(s.name, err)
	}
	plain, err := unpack.NewReader(s.packed, s.file)
	if err != nil {
		return nil, nil, unpackError(s.name, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() {
		defer plain.Close()
		out := bufio.NewWriter(w)
		err := copyKeys(out, bufio.NewReaderSize(plain, pipeSize))
		err = errors.Join(err, out.Flush())
		if err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
		}
		done <- err // before the end, which lets memcached answer
		w.Close()
	}()
	return r, done, nil
}

// copyKeys writes the keys of a list, percent-encoded, one a line. A line of the list that has a space is of a dump or
// of a list of items: a key has none.
func copyKeys(w io.Writer, list *bufio.Reader) error {
	if head, _ := list.Peek(len("ms ")); string(head) == "ms " {
		return copyDumped(w, list)
	}
	var encoded []byte
	for n := 1; ; n++ {
		line, err := list.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is longer than any key", n)
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")) // a file of Windows; a key has its \r encoded
		key, ok := listedKey(line)
		if !ok {
			return hintError{fmt.Errorf("line %d: %s is no key", n, clip.Quote(line)),
				"one key a line, of 1 to 250 bytes, percent-encoded if it has a space, a control byte or a %; dump --keys-only writes them so"}
		}
		encoded = append(walk.AppendEncoded(encoded[:0], key), '\n')
		if _, err := w.Write(encoded); err != nil {
			return err
		}
	}
}

// listedKey reads the key of a line, which it decodes in place.
func listedKey(line []byte) (key []byte, ok bool) {
	if bytes.IndexByte(line, ' ') >= 0 {
		var i dump.Listed
		err := i.Parse(line)
		return i.Key, err == nil
	}
	if !meta.IsText(line) {
		return nil, false
	}
	key, err := walk.Decode(line)
	return key, err == nil && len(key) > 0 && len(key) <= meta.KeyMax
}

// copyDumped writes the keys of a dump's items.
func copyDumped(w io.Writer, dump io.Reader) error {
	var encoded []byte
	var failed error
	end := readItems(dump, itemMax, func(i *item) {
		encoded = append(walk.AppendEncoded(encoded[:0], i.key), '\n')
		if _, err := w.Write(encoded); failed == nil {
			failed = err
		}
	})
	switch {
	case failed != nil:
		return failed
	case end.err != nil:
		return end.err
	case end.damaged > 0:
		return fmt.Errorf("items of the dump that are damaged, and whose keys were not used: %d", end.damaged)
	case !end.complete:
		return errors.New("the dump is not complete: the keys that are there were used")
	}
	return nil
}

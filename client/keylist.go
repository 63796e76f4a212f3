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

// A keyList is a list of keys as memcached reads it.
type keyList struct {
	file   *os.File   // one key a line, percent-encoded
	failed chan error // receives the error of reading the list, or nil, when all is read
}

// openKeys opens a list of keys, which has one a line, as dump --keys-only writes them, or is a dump, or a list of items. It
// waits for the list's first bytes. The caller closes the file.
func openKeys(name string) (*keyList, error) {
	s, err := openSource(name)
	if err != nil {
		return nil, err
	}
	if _, err := readsTerminal(s.file, "keys", "them"); err != nil {
		return nil, err
	}
	if s.packed, err = unpack.Look(s.file); err != nil {
		return nil, fileError(s.name, err)
	}
	plain, err := unpack.NewReader(s.packed, s.file)
	if err != nil {
		return nil, unpackError(s.name, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	list := &keyList{r, make(chan error, 1)}
	go func() {
		defer plain.Close()
		out := bufio.NewWriter(w)
		err := copyKeys(out, bufio.NewReaderSize(plain, pipeSize))
		err = errors.Join(err, out.Flush())
		if err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
		}
		list.failed <- err // before the end, which lets memcached answer
		w.Close()
	}()
	return list, nil
}

// copyKeys writes the keys of a list, percent-encoded, one a line. A line of the list that has a space is of a dump or
// of a list of items: a key has none.
func copyKeys(w io.Writer, list *bufio.Reader) error {
	switch head, err := list.Peek(len("ms ")); {
	case string(head) == "ms ":
		return copyDumped(w, list)
	case string(head) == "\ufeff": // of the file: that of a key would be encoded
		_, _ = list.Discard(len(head))
	case errors.Is(err, io.EOF): // which a terminal says only once
		list = bufio.NewReader(bytes.NewReader(head))
	}
	var encoded []byte
	for n := 1; ; n++ {
		line, err := list.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		switch {
		case last && len(line) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is longer than any key", n)
		case err != nil && !last:
			return err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")) // a file of Windows; a key has its \r encoded
		key, ok := listedKey(line)
		if !ok {
			return hintError{fmt.Errorf("line %d: %s is no key", n, clip.Quote(line)),
				"one key a line, of 1 to 250 bytes, percent-encoded if it has a space, a control byte or a %; dump --keys-only writes them so"}
		}
		encoded = append(walk.AppendEncoded(encoded[:0], key), '\n')
		if _, err := w.Write(encoded); err != nil || last {
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

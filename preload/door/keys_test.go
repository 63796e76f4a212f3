package door

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// listed passes a list of keys to a call, as a client does.
func listed(t *testing.T, file *os.File) (keys *KeyList, client int) {
	t.Helper()
	c, client := pair(t)
	send(t, client, deleteKeys, rights(file, 1))
	if _, err := c.Receive(); err != nil {
		t.Fatal(err)
	}
	return c.KeyList(), client
}

// readKeys is all keys of a list, and the error that ends it, "" for its end.
func readKeys(k *KeyList) (keys []string, failed string) {
	for {
		key, err := k.Next()
		if err == io.EOF {
			return keys, ""
		}
		if err != nil {
			return keys, err.Error()
		}
		keys = append(keys, string(key))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("%00", 250)
	for text, want := range map[string]struct {
		keys   []string
		failed string
	}{
		"":                                      {},
		"a\nb\n":                                {keys: []string{"a", "b"}},
		"a\nb":                                  {keys: []string{"a", "b"}},
		"a%20b%25\n%0A%ff\n\xff\n":              {keys: []string{"a b%", "\n\xff", "\xff"}},
		longest + "\n" + longest:                {keys: []string{strings.Repeat("\x00", 250), strings.Repeat("\x00", 250)}},
		"a\n\nb\n":                              {[]string{"a"}, `line 2 of the keys: "" is no key`},
		"\n":                                    {nil, `line 1 of the keys: "" is no key`},
		"a\r\n":                                 {nil, `line 1 of the keys: "a\r" is no key`},
		"a b\n":                                 {nil, `line 1 of the keys: "a b" is no key`},
		"a\nb\n%41%4\n":                         {[]string{"a", "b"}, `line 3 of the keys: "%41%4" is no key`},
		longest + "a\n":                         {nil, `line 1 of the keys: "` + longest[:64] + `"… is no key`},
		"a\n" + strings.Repeat("b", keysRead*3): {[]string{"a"}, "line 2 of the keys: it is longer than any key"},
	} {
		t.Run(fmt.Sprintf("%.20q", text), func(t *testing.T) {
			t.Parallel()
			r, w := pipeOf(t)
			go func() {
				defer w.Close()
				_, _ = w.WriteString(text) // fails where the list is not read to its end
			}()
			k, _ := listed(t, r)
			keys, failed := readKeys(k)
			if !slices.Equal(keys, want.keys) || failed != want.failed {
				t.Errorf("%.100q, %s; want %.100q, %s", keys, failed, want.keys, want.failed)
			}
		})
	}
}

// A list that has no line feed for ever is read no further than a key can be long.
func TestEndlessKey(t *testing.T) {
	t.Parallel()
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zeros.Close() })
	k, _ := listed(t, zeros)
	if keys, failed := readKeys(k); keys != nil || failed != "line 1 of the keys: it is longer than any key" || cap(k.data) > 4*keysRead {
		t.Errorf("%q, %s with %d bytes", keys, failed, cap(k.data))
	}
}

// A million keys are read with a buffer of a fixed size, wherever the reads end.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	r, w := pipeOf(t)
	go func() {
		defer w.Close()
		var text []byte
		for i := range 1_000_000 {
			if text = fmt.Appendf(text, "key%%3A%d\n", i); len(text) > 1<<16-i%1000 {
				_, _ = w.Write(text)
				text = text[:0]
			}
		}
		_, _ = w.Write(text)
	}()
	k, _ := listed(t, r)
	for i := range 1_000_000 {
		if key, err := k.Next(); err != nil || string(key) != fmt.Sprint("key:", i) {
			t.Fatalf("key %d is %q, %v", i, key, err)
		}
	}
	if _, err := k.Next(); err != io.EOF || cap(k.data) > 2*keysRead {
		t.Errorf("%v, with a buffer of %d bytes", err, cap(k.data))
	}
}

// A list that does not come ends with its client.
func TestKeysNeverCome(t *testing.T) {
	t.Parallel()
	r, _ := pipeOf(t)
	k, client := listed(t, r)
	failed := make(chan error, 1)
	go func() {
		_, err := k.Next()
		failed <- err
	}()
	hangUp(t, client)
	if err := <-failed; !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

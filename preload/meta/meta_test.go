package meta

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
)

// written is what a writer sends.
func written(t testing.TB, write func(*Writer)) (string, error) {
	t.Helper()
	var sent bytes.Buffer
	w := NewWriter(func(text Text) error {
		sent.Write(text.Bytes())
		return nil
	})
	write(w)
	err := w.End()
	return sent.String(), err
}

func TestWriter(t *testing.T) {
	all := func(key string) string {
		sent, err := written(t, func(w *Writer) {
			w.Get([]byte(key), " u t")
			w.Delete([]byte(key))
			w.Debug([]byte(key))
			w.Set([]byte(key), []byte("v\r\n"), Set{})
			w.Set([]byte(key), nil, Set{Flags: 1<<32 - 1, TTL: -1, CAS: 1<<64 - 1, Mode: Add, Quiet: true})
			w.Set([]byte(key), nil, Set{Mode: Replace})
		})
		if err != nil {
			t.Errorf("%q: %v", key, err)
		}
		return sent
	}
	for key, want := range map[string]string{
		"a": "mg a u t\r\nmd a\r\nme a\r\nms a 3\r\nv\r\n\r\nms a 0 F4294967295 T-1 E18446744073709551615 ME q\r\n\r\nms a 0 MR\r\n\r\nmn\r\n",
		"x\r\nflush_all\r\nmn\r\n": strings.ReplaceAll("mg KEY b u t\r\nmd KEY b\r\nme KEY b b\r\nms KEY 3 b\r\nv\r\n\r\n"+
			"ms KEY 0 b F4294967295 T-1 E18446744073709551615 ME q\r\n\r\nms KEY 0 b MR\r\n\r\nmn\r\n", "KEY", "eA0KZmx1c2hfYWxsDQptbg0K"),
	} {
		if got := all(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// Large values are sent between small ones in order, and an error of the connection ends the writing.
func TestWriterBuffer(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 3*bufferSize)
	sent, err := written(t, func(w *Writer) {
		for range 3 {
			w.Set([]byte("a"), large, Set{})
			w.Set([]byte("b"), large[:bufferSize], Set{})
			w.Delete([]byte("c"))
		}
	})
	one := "ms a 196608\r\n" + string(large) + "\r\nms b 65536\r\n" + string(large[:bufferSize]) + "\r\nmd c\r\n"
	if err != nil || sent != strings.Repeat(one, 3)+"mn\r\n" {
		t.Errorf("%v, %d bytes", err, len(sent))
	}
	calls := 0
	w := NewWriter(func(Text) error {
		calls++
		return errUnfit
	})
	w.Set([]byte("a"), large, Set{})
	w.Set([]byte("a"), large, Set{})
	if err := w.End(); err != errUnfit || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// A key that no command can have is an error, and nothing is sent.
func TestUnfit(t *testing.T) {
	for key, fits := range map[string]bool{
		"": false, strings.Repeat("a", 250): true, strings.Repeat("a", 251): false,
		strings.Repeat(" ", 186): true, strings.Repeat(" ", 187): false, strings.Repeat("a", 249) + "\n": false,
	} {
		for name, write := range map[string]func(*Writer){
			"Get":    func(w *Writer) { w.Get([]byte(key), "") },
			"Delete": func(w *Writer) { w.Delete([]byte(key)) },
			"Debug":  func(w *Writer) { w.Debug([]byte(key)) },
			"Set":    func(w *Writer) { w.Set([]byte(key), []byte("flush_all"), Set{}) },
		} {
			sent, err := written(t, write)
			if fits != (err == nil) || !fits && sent != "" || Fits([]byte(key)) != fits {
				t.Errorf("%s of %q: %v, %q is sent", name, key, err, sent)
			}
		}
	}
}

// With any key, memcached reads the commands that were written, with that key, and no others.
func FuzzCommands(f *testing.F) {
	f.Add([]byte("a"), []byte("v"))
	f.Add([]byte("x\r\nflush_all\r\nmn\r\n"), []byte("\r\n"))
	f.Add([]byte(strings.Repeat(" ", 187)), []byte("flush_all"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if !Fits(key) {
			return
		}
		sent, err := written(t, func(w *Writer) {
			w.Get(key, " u t")
			w.Debug(key)
			w.Delete(key)
			w.Set(key, value, Set{Quiet: true})
		})
		if err != nil {
			t.Fatal(err)
		}
		length := " " + strconv.Itoa(len(value))
		for _, want := range []struct{ name, text, binary string }{
			{"mg", " u t", " b u t"}, {"me", "", " b b"}, {"md", "", " b"}, {"ms", length + " q", length + " b q"},
		} {
			line, rest, _ := strings.Cut(sent, "\r\n")
			name, line, _ := strings.Cut(line, " ")
			word, flags, _ := strings.Cut(line, " ")
			got, wantFlags := []byte(word), want.text
			if !IsText(key) {
				wantFlags = want.binary
				if got, err = base64.StdEncoding.DecodeString(word); err != nil {
					t.Error(err)
				}
			}
			if name != want.name || !bytes.Equal(got, key) || flags != strings.TrimPrefix(wantFlags, " ") || len(word) > 250 {
				t.Errorf("%s of %q is sent as %s of %q, %q", want.name, key, name, got, flags)
			}
			if sent = rest; name == "ms" {
				sent = strings.TrimPrefix(rest, string(value)+"\r\n")
			}
		}
		if sent != "mn\r\n" {
			t.Errorf("%q is left", sent)
		}
	})
}

package dump

import (
	"errors"
	"io"
	"strings"
	"testing"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

// full is a disk that takes no more bytes than it has room for.
type full struct{ room, written int }

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room-f.written)
	if f.written += n; n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// broken is a source that fails after its first items.
type broken struct{ items }

func (s broken) Walk(o walk.Options) (walk.Walker, error) {
	return &brokenWalker{walker{s.items, o, 0}}, nil
}

type brokenWalker struct{ walker }

func (w *brokenWalker) Next(each func(*walk.Item) error) error {
	if w.at > 0 {
		return io.ErrUnexpectedEOF
	}
	return w.walker.Next(each)
}

// An error of the writer is a WriteError, one of the cache is not; the counts add up with both.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		source walk.Source
		out    io.Writer
		want   error
		write  bool
	}{{some, &full{}, io.ErrShortWrite, true}, {broken{some}, io.Discard, io.ErrUnexpectedEOF, false}} {
		c, err := Dump(tt.source, nil, tt.out, Options{}, Hooks{})
		_, write := errors.AsType[*WriteError](err)
		if !errors.Is(err, tt.want) || err.Error() != tt.want.Error() || write != tt.write || c.Items == 0 || c.Written != 0 || c.Unwritten() != c.Items {
			t.Errorf("%v, of writing %t, %+v", err, write, c)
		}
	}
}

// waiting is a source whose walk does not begin while it has a client.
type waiting struct{}

func (waiting) Walk(o walk.Options) (walk.Walker, error) { return nil, o.ClientGone() }

// A dump whose walk has not begun ends when its client has gone, too.
func TestGoneBefore(t *testing.T) {
	gone := errors.New("gone")
	if c, err := Dump(waiting{}, nil, io.Discard, Options{}, Hooks{ClientGone: func() error { return gone }}); err != gone || c.Items != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// all is a source whose items come at once.
type all struct{ items }

func (s all) Walk(o walk.Options) (walk.Walker, error) { return all{s.items}, nil }

func (s all) Next(each func(*walk.Item) error) error {
	for i := range s.items {
		if err := each(&s.items[i]); err != nil {
			return err
		}
	}
	return io.EOF
}

func (all) Part() float64 { return 0 }
func (all) Close()        {}

// The client is looked for between items, also if none of them is written.
func TestGoneWithin(t *testing.T) {
	wanted, err := filter.New(filter.Options{Prefix: "x"})
	if err != nil {
		t.Fatal(err)
	}
	gone, calls := errors.New("gone"), 0
	c, err := Dump(all{make(items, 1000)}, wanted, io.Discard, Options{}, Hooks{ClientGone: func() error {
		if calls++; calls > 2 {
			return gone
		}
		return nil
	}})
	if err != gone || c.Items != 512 {
		t.Errorf("%+v, %v", c, err)
	}
}

// room is a disk with that number of bytes left.
type room int

func (r room) Write(p []byte) (int, error) {
	if len(p) > int(r) {
		return int(r), io.ErrShortWrite
	}
	return len(p), nil
}

// Wherever the disk is full, an item counts as written if all its bytes are on it.
func TestFull(t *testing.T) {
	text, counts := dumped(t, some, Options{KeysOnly: true})
	for n := range len(text) {
		c, err := Dump(some, nil, room(n), Options{KeysOnly: true}, Hooks{})
		if err == nil || int(c.Written) != strings.Count(text[:n], "\n") || c.Written+c.Unwritten() != counts.Items || int(c.Bytes) != n {
			t.Errorf("room for %d bytes: %+v, %d unwritten, %v", n, c, c.Unwritten(), err)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	for _, o := range []Options{{Format: "xml"}} {
		if _, err := Dump(some, nil, io.Discard, o, Hooks{}); !isOption(err) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func isOption(err error) bool {
	_, ok := errors.AsType[*option.Error](err)
	return ok
}

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

// cache is a source for dumps.
type cache []walk.Item

func (c cache) Walk(o walk.Options) (walk.Walker, error) { return &cacheWalker{c, o}, nil }

type cacheWalker struct {
	left    cache
	options walk.Options
}

func (w *cacheWalker) Next(each func(*walk.Item) error) error {
	if len(w.left) == 0 {
		return io.EOF
	}
	i := w.left[0]
	w.left = w.left[1:]
	if !bytes.HasPrefix(i.Key, []byte(w.options.Prefix)) {
		return nil
	}
	if i.Size = max(i.Size, len(i.Value)); w.options.KeysOnly {
		i.Value = nil
	}
	return each(&i)
}

func (*cacheWalker) Part() float64 { return 0.5 }
func (*cacheWalker) Close()        {}

// serve opens a door that dumps the cache. change may change the answer; it may be nil.
func (c cache) serve(t *testing.T, change func(*door.Dump)) (path string) {
	t.Helper()
	return serve(t, func(call *door.Call, request door.Request) {
		if request.Op == door.OpStatus {
			call.Finish(door.Reply{Status: &door.Status{}})
			return
		}
		counts, err := dump.Dump(c, filtered(request), call.Output, request.Items, dump.Hooks{})
		if err != nil {
			call.Fail(&door.Error{Code: door.CodeWrite, Message: err.Error(), Dump: &door.Dump{}})
			return
		}
		answer := &door.Dump{
			Items: counts.Items, Written: counts.Written, Filtered: counts.Filtered, Lost: counts.Lost,
			Engine: door.EngineNative,
		}
		if change != nil {
			change(answer)
		}
		call.Finish(door.Reply{Dump: answer})
	})
}

// filtered is the filter of a request, which has no error.
func filtered(request door.Request) *filter.Filter {
	f, err := filter.New(request.Filter)
	if err != nil {
		panic(err)
	}
	return f
}

// dumped makes a file with a dump of the cache. change may change its text; it may be nil.
func (c cache) dumped(t *testing.T, change func([]byte) []byte) (file string) {
	t.Helper()
	var out bytes.Buffer
	if _, err := dump.Dump(c, nil, &out, dump.Options{}, dump.Hooks{}); err != nil {
		t.Fatal(err)
	}
	text := out.Bytes()
	if change != nil {
		text = change(text)
	}
	file = filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kept is an item that never expires.
func kept(key, value string) walk.Item {
	return walk.Item{Key: []byte(key), Value: []byte(value), TTL: -1}
}

// lasting is an item with ttl seconds to live.
func lasting(key string, ttl int64) walk.Item {
	return walk.Item{Key: []byte(key), Value: []byte("value"), TTL: ttl}
}

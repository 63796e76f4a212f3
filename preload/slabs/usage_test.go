package slabs

import (
	"errors"
	"maps"
	"reflect"
	"testing"

	"memcached-backdoor/preload/stats"
)

// The classes are those of the statistics, in the order of their sizes; a number that is none is named.
func TestUsage(t *testing.T) {
	settings := map[string]string{"maxbytes": "67108864", "slab_chunk_max": "524288"}
	shown := map[string]string{
		"2:chunk_size": "120", "2:total_pages": "3", "2:used_chunks": "7", "2:free_chunks": "9",
		"63:chunk_size": "96", "63:total_pages": "1", "63:used_chunks": "0", "63:free_chunks": "1",
		"active_slabs": "2",
	}
	u, err := NewUsage(&stats.Answers{Settings: settings, Slabs: shown})
	if err != nil {
		t.Fatal(err)
	}
	want := &Usage{Limit: 64 << 20, ChunkMax: 512 << 10, Classes: []Class{{ID: 63, Size: 96, Has: 1, Free: 1}, {ID: 2, Size: 120, Has: 3, Free: 9, Items: 7}}}
	if !reflect.DeepEqual(u, want) {
		t.Errorf("%+v, want %+v", u, want)
	}
	for name := range shown {
		if name == "active_slabs" || name == "2:chunk_size" || name == "63:chunk_size" {
			continue
		}
		wrong := maps.Clone(shown)
		wrong[name] = "-1"
		if _, err := NewUsage(&stats.Answers{Settings: settings, Slabs: wrong}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewUsage(&stats.Answers{Slabs: shown}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A value that is in extstore is got from there, in its place among others.
func TestGetExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		s := start(t, h.program, "-m", "512", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")
		items := map[string]entry{"small": {value: "small"}}
		args := []string{"get", "--meta"}
		for i := range 6000 {
			key := fmt.Sprint("k", i)
			items[key] = entry{value: strings.Repeat(fmt.Sprintln(key), 400)}
			if i < 300 {
				args = append(args, key, "small")
			}
		}
		s.store(items)
		wait(t, "items on the disk", func() error {
			if n := s.stat("", "extstore_objects_written"); n < 2000 {
				return fmt.Errorf("%d objects are written", n)
			}
			return nil
		})
		var document struct{ Items []got }
		s.printed(&document, 0, args...)
		outside := 0
		for n, g := range document.Items {
			if g.key() != args[n+2] || g.value() != items[g.key()].value || *g.Size != uint64(len(g.value())) || g.SlabClass == 0 {
				t.Fatalf("item %d: %+v", n, g)
			}
			if g.Extstore {
				outside++
			}
		}
		if len(document.Items) != 600 || (outside > 0) != h.native() {
			t.Errorf("%d items, %d of them in extstore", len(document.Items), outside)
		}
		for n := range 10 {
			key := fmt.Sprint("k", n)
			if out := s.gets(key); out != items[key].value {
				t.Errorf("%s: %.60q", key, out)
			}
		}
		s.lives()
	})
}

// Without CAS uniques (-C) an item has none.
func TestGetWithoutCAS(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-C")
		s.sets("value", "key")
		if out := s.gets("key"); out != "value" {
			t.Errorf("%q", out)
		}
		if out := s.gets("key", "--meta"); !regexp.MustCompile(`(?m)^CAS unique +none \(-C\)$`).MatchString(out) {
			t.Error(out)
		}
	})
}

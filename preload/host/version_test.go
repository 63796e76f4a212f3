package host

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want Version
		ok   bool
	}{
		{"1.6.18", Version{1, 6, 18}, true},
		{"1.5.6", Version{1, 5, 6}, true},
		{"10.0.0", Version{10, 0, 0}, true},
		{"", Version{}, false},
		{"1.6", Version{}, false},
		{"1.6.18.1", Version{}, false},
		{"1.6.18_rc1", Version{}, false},
		{"1.6.18-3-gabcdef", Version{}, false},
		{"1.6.018", Version{}, false},
		{"1.6.-1", Version{}, false},
		{"1.6.+1", Version{}, false},
		{"1.6.99999999999999999999", Version{}, false},
	} {
		if got, ok := parseVersion(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %v, %v, want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
		if tt.ok && tt.want.String() != tt.in {
			t.Errorf("%v, want %s", tt.want, tt.in)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	order := []Version{{0, 9, 9}, {1, 5, 6}, {1, 5, 15}, {1, 6, 0}, {1, 6, 9}, {1, 6, 18}, {2, 0, 0}}
	for i, v := range order {
		for j, w := range order {
			if got := v.Compare(w); (got < 0) != (i < j) || (got > 0) != (i > j) || v.AtLeast(w) != (i >= j) {
				t.Errorf("%v against %v: %d, %v", v, w, got, v.AtLeast(w))
			}
		}
	}
}

func TestFindVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		want       Version
		refusal    string
	}{
		{"released", "memcached 1.6.18\n\x00VERSION 1.6.18\x00", Version{1, 6, 18}, ""},
		{"oldest", "memcached 1.5.6\x00VERSION 1.5.6\x00", Version{1, 5, 6}, ""},
		{"newest", "memcached 1.6.45\x00VERSION 1.6.45\x00", Version{1, 6, 45}, ""},
		{"said twice", "memcached 1.6.9\n\x00memcached 1.6.9\x00VERSION 1.6.9\r\n\x00", Version{1, 6, 9}, ""},
		{"within other sentences", "memcached 1 of 2\x00memcached %s\x00memcached 1.6.9\x00VERSION %s\x00VERSION 1.6.9\x00", Version{1, 6, 9}, ""},
		{"too old", "memcached 1.4.24\x00VERSION 1.4.24\x00", Version{1, 4, 24}, fmt.Sprintf("memcached 1.4.24 is not supported (need >= %v and <= %v)", oldest, newest)},
		{"too new", "memcached 1.6.46\x00VERSION 1.6.46\x00", Version{1, 6, 46}, fmt.Sprintf("memcached 1.6.46 is not supported (need >= %v and <= %v)", oldest, newest)},
		{"between releases", "memcached 1.6.18_3_gab12\x00VERSION 1.6.18_3_gab12\x00", Version{}, "1.6.18_3_gab12 is not a released version"},
		{"two versions", "memcached 1.6.18\x00VERSION 1.6.9\x00", Version{}, "in doubt"},
		{"two usages", "memcached 1.6.18\x00memcached 1.6.9\x00VERSION 1.6.18\x00", Version{}, "in doubt"},
		{"a terminal's commands", "memcached 1.6\x1b[2J\x00VERSION 1.6\x1b[2J\x00", Version{}, "in doubt"},
		{"no reply", "memcached 1.6.18\x00", Version{}, "in doubt"},
		{"no usage", "VERSION 1.6.18\x00", Version{}, "in doubt"},
		{"not memcached", "redis 7.0.0\x00", Version{}, "in doubt"},
		{"not terminated", "memcached 1.6.18", Version{}, "in doubt"},
		{"nothing", "", Version{}, "in doubt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &image{segments: []segment{{addr: 0x1000, data: []byte(tt.data)}}}
			got, err := findVersion(m)
			if got != tt.want || (err == nil) != (tt.refusal == "") {
				t.Fatalf("%v, %v, want %v", got, err, tt.want)
			}
			var u *Unsupported
			if err != nil && (!errors.As(err, &u) || !strings.Contains(u.Reason, tt.refusal)) {
				t.Errorf("%v, want %q", err, tt.refusal)
			}
		})
	}
}

// What memcached writes to is no literal: it may hold anything.
func TestFindVersionInWritableMemory(t *testing.T) {
	t.Parallel()
	m := &image{segments: []segment{{addr: 0x1000, data: []byte("memcached 1.6.18\x00VERSION 1.6.18\x00"), writable: true}}}
	if v, err := findVersion(m); err == nil {
		t.Errorf("found %v", v)
	}
}

func TestHasMeta(t *testing.T) {
	for stated, want := range map[string]bool{
		"1.6.10": true, "1.6.45": true, "1.7.0-rc1": true, "2.0.0": true, "1.6.12_beta": true,
		"1.6.9": false, "1.5.22": false, "1.4.39": false, "": false, "UNKNOWN": false, "1.7": false, "-1.6.18": false,
	} {
		if got := HasMeta(stated); got != want {
			t.Errorf("%q: %t", stated, got)
		}
	}
}

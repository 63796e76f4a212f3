package main

import (
	"reflect"
	"testing"
	"time"

	"memcached-backdoor/preload/record"
)

// What the target has of an item is judged by what the source has now, by the item's date and by the mode.
func TestVerification(t *testing.T) {
	now := time.Now().Unix()
	copied := []item{{key: []byte("a"), value: []byte("1")}, {key: []byte("b"), value: []byte("1"), expires: now + 1}, {key: []byte("c"), value: []byte("1"), expires: now + 1000}}
	other := func(i item) item { i.value = []byte("2"); return i }
	for name, test := range map[string]struct {
		mode   record.Mode
		source []item
		has    map[string]uint8 // what the target has; else absent
		want   verifyCounts
	}{
		"the same":       {"", copied, map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{Same: 3}},
		"none":           {"", copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"others":         {"", copied, map[string]uint8{"a": different, "b": different, "c": different}, verifyCounts{Different: 2, Expired: 1}},
		"others, add":    {record.ModeAdd, copied, map[string]uint8{"a": different, "c": different}, verifyCounts{Kept: 2, Expired: 1}},
		"none, add":      {record.ModeAdd, copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"none, replace":  {record.ModeReplace, copied, nil, verifyCounts{Kept: 2, Expired: 1}},
		"other, replace": {record.ModeReplace, copied, map[string]uint8{"a": different}, verifyCounts{Kept: 1, Different: 1, Expired: 1}},
		"changed":        {"", []item{other(copied[0]), copied[2]}, map[string]uint8{"c": present}, verifyCounts{Changed: 1, Same: 1}},
		"new":            {"", append([]item{{key: []byte("d")}}, copied...), map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{New: 1, Same: 3}},
		"met twice":      {"", []item{copied[0], other(copied[0]), copied[0]}, map[string]uint8{"a": present}, verifyCounts{Same: 1}},
	} {
		v := newVerification(&copyCommand{Mode: mode(test.mode)})
		for i := range copied {
			v.add(&copied[i])
		}
		v.sort()
		for i := range test.source {
			if n := v.meet(&test.source[i]); n != nil {
				v.judge(test.source[i].key, n, test.has[string(test.source[i].key)], "value")
			}
		}
		wrong := v.Missing + v.Different
		if uint64(len(v.Wrong)) != wrong {
			t.Errorf("%s: %d are listed of %d", name, len(v.Wrong), wrong)
		}
		if v.Wrong = nil; !reflect.DeepEqual(v.verifyCounts, test.want) {
			t.Errorf("%s: %+v, want %+v", name, v.verifyCounts, test.want)
		}
	}
}

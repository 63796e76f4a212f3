package e2e

import (
	"strings"
	"testing"
)

// What a reject would have replaced is not served any longer, whatever its format, its size and what is wrong with it,
// where its key is known for sure, and where it was to be set; nothing else goes.
func TestRejectsLeaveNothingStale(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "64")
		large := func(megabytes int) string { return strings.Repeat("v", megabytes<<20) }
		for name, test := range map[string]struct {
			args []string
			rows string // of the key k, and then a good one of the key l
			kept bool
		}{
			"escape":               {[]string{"--from", "mysql"}, "k\tv\\r\nl\tnew\n", false},
			"escape in the key":    {[]string{"--from", "mysql"}, "k\\r\tv\nl\tnew\n", true},
			"UTF-8":                {[]string{"--from", "jsonl"}, "{\"key\":\"k\",\"value\":\"\xff\"}\n{\"key\":\"l\",\"value\":\"new\"}\n", false},
			"UTF-8 in the key":     {[]string{"--from", "jsonl"}, "{\"key\":\"k\xff\",\"value\":1}\n{\"key\":\"l\",\"value\":\"new\"}\n", true},
			"surrogate":            {[]string{"--from", "jsonl"}, `{"key":"k","value":"\ud800"}` + "\n" + `{"key":"l","value":"new"}` + "\n", false},
			"no value":             {[]string{"--from", "jsonl"}, `{"key":"k"}` + "\n" + `{"key":"l","value":"new"}` + "\n", false},
			"half an object":       {[]string{"--from", "jsonl"}, `{"key":"k","value":` + "\n" + `{"key":"l","value":"new"}` + "\n", true},
			"flags":                {[]string{"--from", "tsv", "--key", "1", "--value", "2", "--flags-column", "3"}, "k\tv\tx\nl\tnew\t0\n", false},
			"time to live":         {[]string{"--from", "csv", "--key", "1", "--value", "2", "--ttl-column", "3"}, "k,\"v\nw\",x\nl,new,0\n", false},
			"quote":                {[]string{"--from", "csv"}, "l,new\nk,\"v\n", true},
			"columns":              {[]string{"--from", "csv"}, "k,v,w\nl,new\n", true},
			"no tab":               {nil, "k\nl\tnew\n", true},
			"flags, add":           {[]string{"--from", "memcached", "--mode", "add"}, "set k x 0 1\r\nv\r\nset l 0 0 3\r\nnew\r\n", true},
			"flags, replace":       {[]string{"--from", "memcached"}, "replace k x 0 1\r\nv\r\nset l 0 0 3\r\nnew\r\n", true},
			"flags of a command":   {[]string{"--from", "memcached"}, "set k x 0 1\r\nv\r\nset l 0 0 3\r\nnew\r\n", false},
			"flags, 2 MB":          {[]string{"--from", "memcached"}, "set k x 0 2097152\r\n" + large(2) + "\r\nset l 0 0 3\r\nnew\r\n", false},
			"flags, 8 MB":          {[]string{"--from", "memcached"}, "ms k 8388608 Fx\r\n" + large(8) + "\r\nset l 0 0 3\r\nnew\r\n", false},
			"too large, 2 MB":      {nil, "k\t" + large(2) + "\nl\tnew\n", false},
			"too large, 8 MB":      {[]string{"--from", "csv"}, "k,\"" + large(8) + "\"\nl,new\n", false},
			"flags in CSV, 2 MB":   {[]string{"--from", "csv", "--key", "1", "--value", "2", "--flags-column", "3"}, "k," + large(2) + ",x\nl,new,0\n", false},
			"flags in CSV, 8 MB":   {[]string{"--from", "csv", "--key", "1", "--value", "2", "--flags-column", "3"}, "k," + large(8) + ",x\nl,new,0\n", false},
			"data that is shorter": {[]string{"--from", "memcached"}, "set l 0 0 3\r\nnew\r\nset k 0 0 9\r\nv\r\n", false},
		} {
			s.store(map[string]entry{"k": {value: "old"}, "other": {value: "1"}})
			s.said("delete l")
			l := s.outcome(strings.NewReader(test.rows), account{rows: 2, stored: 1, rejected: 1}, test.args...)
			if len(l.Rejects) != 1 || l.Reasons[l.Rejects[0].Reason] != 1 || len(l.Reasons) != 1 {
				t.Errorf("%s: %+v, %v", name, l.Rejects, l.Reasons)
			}
			want := map[string]string{"l": "new", "other": "1"}
			if test.kept {
				want["k"] = "old"
			}
			if s.holds(want); t.Failed() {
				t.Fatal(name)
			}
		}
	})
}

package limits

import "testing"

func TestParseMaxErrors(t *testing.T) {
	for s, want := range map[string]MaxErrors{"0": {}, "5": {Rows: 5}, "5%": {Percent: 5}, "0.1%": {Percent: 0.1}, "100%": {Percent: 100}} {
		if m, err := ParseMaxErrors(s); err != nil || *m != want {
			t.Errorf("%q is %+v, %v; want %+v", s, m, err, want)
		}
	}
	for _, s := range []string{"-1", "x", "%", "0%", "101%", "1e3", "NaN%", " 1"} {
		if m, err := ParseMaxErrors(s); err == nil {
			t.Errorf("%q is %+v", s, m)
		}
	}
	if m, err := ParseMaxErrors(""); m != nil || err != nil {
		t.Errorf("no limit is %+v, %v", m, err)
	}
}

func TestExceeded(t *testing.T) {
	for _, test := range []struct {
		limit          string
		rejected, rows uint64
		eof            bool
		want           bool
	}{
		{"", 1000, 1000, true, false},
		{"0", 0, 1, false, false},
		{"0", 1, 1, false, true},
		{"5", 5, 5, true, false},
		{"5", 6, 6, false, true},
		{"5%", 50, 1000, false, false},
		{"5%", 51, 1000, false, true},
		{"5%", 999, 999, false, false}, // too few rows for a percentage, unless they are all
		{"5%", 999, 999, true, true},
	} {
		m, err := ParseMaxErrors(test.limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Exceeded(test.rejected, test.rows, test.eof); got != test.want {
			t.Errorf("%q, %d of %d rows, eof %t: %t", test.limit, test.rejected, test.rows, test.eof, got)
		}
	}
}

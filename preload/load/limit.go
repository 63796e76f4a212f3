package load

import (
	"fmt"
	"strconv"
	"strings"
)

// percentRows is how many rows are read before a part of them says anything.
const percentRows = 1000

// MaxErrors is how many rows may be rejected before the load ends: so many, or, if
// Percent is set, so many of a hundred.
type MaxErrors struct {
	Rows    uint64
	Percent float64
}

// ParseMaxErrors reads a number of rows, or a number with a % behind it; "" is nil.
func ParseMaxErrors(s string) (*MaxErrors, error) {
	if s == "" {
		return nil, nil
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return nil, fmt.Errorf("%.32q of the rows cannot be rejected: more than 0 and at most 100 percent", s)
		}
		return &MaxErrors{Percent: percent}, nil
	}
	rows, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return nil, fmt.Errorf("%.32q is not a number of rows", s)
	}
	return &MaxErrors{Rows: rows}, nil
}

// exceeded says that too many of the rows are rejected; ended, that these are all.
func (m *MaxErrors) exceeded(rejected, rows uint64, ended bool) bool {
	switch {
	case m == nil:
		return false
	case m.Percent == 0:
		return rejected > m.Rows
	}
	return (ended || rows >= percentRows) && float64(rejected)*100 > float64(rows)*m.Percent
}

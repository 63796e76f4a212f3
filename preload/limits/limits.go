// Package limits has the limits that a user sets to what a call does: how fast it goes, and how many rows a load may reject.
package limits

import (
	"fmt"
	"strconv"
	"strings"

	"memcached-backdoor/preload/clip"
)

// Options are the limits; the zero value has none. Their JSON is that of a request (package door).
type Options struct {
	// Rate is how many rows are stored, or items changed, per second at most; 0: no limit.
	Rate uint64 `json:"rate,omitempty"`
	// Gentle lets the call take about a tenth of one worker's time at most.
	Gentle bool `json:"gentle,omitempty"`
	// MaxErrors is how many rows may be rejected before the load ends, as ParseMaxErrors reads it.
	MaxErrors string `json:"max_errors,omitempty"`
}

// percentRows is how many rows are read before a percentage of them says anything.
const percentRows = 1000

// MaxErrors is how many rows may be rejected before a load ends: a number of them, or, unless Percent is 0, a
// percentage of the rows that were read.
type MaxErrors struct {
	Rows    uint64
	Percent float64
}

// ParseMaxErrors reads a number of rows, or a number with a % behind it; "" is nil: any number.
func ParseMaxErrors(s string) (*MaxErrors, error) {
	if s == "" {
		return nil, nil
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return nil, fmt.Errorf("%s of the rows cannot be rejected: more than 0 and at most 100 percent", clip.Quote(s))
		}
		return &MaxErrors{Percent: percent}, nil
	}
	rows, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return nil, fmt.Errorf("%s is not a number of rows", clip.Quote(s))
	}
	return &MaxErrors{Rows: rows}, nil
}

// Exceeded reports whether too many of the rows were rejected; eof says that no more rows come.
func (m *MaxErrors) Exceeded(rejected, rows uint64, eof bool) bool {
	switch {
	case m == nil:
		return false
	case m.Percent == 0:
		return rejected > m.Rows
	}
	return (eof || rows >= percentRows) && float64(rejected)*100 > float64(rows)*m.Percent
}

package hot

import (
	"fmt"
	"runtime"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// By is what keys are ranked by.
type By string

// The ranks.
const (
	ByRequests By = "requests"
	ByBytes    By = "bytes" // of the values
	ByMisses   By = "misses"
)

// Options say what is looked for. Their JSON is that of a request (package door).
type Options struct {
	By       By      `json:"rank_by,omitempty"`       // "": ByRequests
	Count    int     `json:"count,omitempty"`         // of keys in the result, 1 to CountMax; 0: CountDefault
	Duration float64 `json:"duration,omitempty"`      // seconds, up to DurationMax; 0: DurationDefault
	Sample   uint64  `json:"sample,omitempty"`        // lines of the log that are read in a second, about; 0: SampleDefault for each processor
	Parts    int     `json:"key_parts,omitempty"`     // rank prefixes, of that many parts of the keys; 0: keys
	Split    string  `json:"key_delimiter,omitempty"` // between the parts
}

const (
	CountDefault    = 20
	CountMax        = 100 // with the longest keys they fit into a reply
	DurationDefault = 10
	DurationMax     = 24 * 60 * 60
	SampleDefault   = 5000 // each costs 0.8 to 2.8 µs of a processor, memcached's part and the library's
)

// complete checks the options and fills in the defaults. The error is an [*option.Error].
func (o *Options) complete() error {
	if o.By == "" {
		o.By = ByRequests
	}
	if o.Count == 0 {
		o.Count = CountDefault
	}
	if o.Duration == 0 {
		o.Duration = DurationDefault
	}
	if o.Sample == 0 {
		o.Sample = SampleDefault * uint64(runtime.GOMAXPROCS(0))
	}
	switch {
	case o.By != ByRequests && o.By != ByBytes && o.By != ByMisses:
		return option.Errorf("requests, bytes and misses are known", "this library does not rank by %s", clip.Quote(o.By))
	case o.Count < 0 || o.Count > CountMax:
		return option.Errorf(fmt.Sprintf("1 to %d", CountMax), "%d is not a number of keys", o.Count)
	case !(o.Duration > 0 && o.Duration <= DurationMax): // nor NaN
		return option.Errorf("a day at most", "%g is not a duration in seconds", o.Duration)
	case o.Parts < 0 || (o.Parts > 0) != (o.Split != ""):
		return option.Errorf("", "the parts of a key need a number of 1 or more, and a delimiter")
	}
	return nil
}

// Hooks are functions that Find calls.
type Hooks struct {
	// Pause waits for a time. Its error, if the client has gone meanwhile, ends the search.
	Pause func(time.Duration) error
	// Progress, if not nil, is called now and then with the result so far, without keys.
	Progress func(*Result)
}

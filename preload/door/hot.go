package door

import "fmt"

// HotKeys are the keys, or prefixes, with the most requests, bytes or misses in a time. Only the reply that ends the call, or its error, has Keys.
//
// memcached's log of lookups is read, that of stores is not safe to read (package protocol): a store counts as a lookup of its key, as a miss
// if the key was not there, with the bytes of the value before.
type HotKeys struct {
	// Keys are the first in the order that was asked for.
	Keys []HotKey `json:"keys"`

	// Requests is how many memcached has served meanwhile, by its statistics: get, set, touch, delete, incr and their kin, by key.
	// Some meta commands count in none of them (package protocol: requestStats).
	Requests uint64 `json:"requests"`

	// Lines is how many lines of memcached's log were read. Each is a request that was seen, or something else.
	Lines  uint64 `json:"lines"`
	Seen   uint64 `json:"seen"`
	Others uint64 `json:"others"`

	// Dropped is how many lines memcached could not keep until they were read.
	Dropped uint64 `json:"dropped"`

	// Unsized says that the log does not state the sizes of values.
	Unsized bool `json:"unsized,omitempty"`

	// Canceled says that it ended early: the client had gone.
	Canceled bool `json:"canceled"`

	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`

	// Paused is for how many seconds of it nothing was looked at: a load, dump or change ran natively, which is in the log, and not in
	// the statistics.
	Paused float64 `json:"paused"`
}

// HotKey is a key, or a prefix, with its figures per second.
type HotKey struct {
	Key      []byte  `json:"key"`
	Requests float64 `json:"requests"`
	Bytes    float64 `json:"bytes"` // of the values
	Misses   float64 `json:"misses"`
	Error    float64 `json:"error"` // of the figure that is ranked: it is in this distance with a probability of 95 %
}

// Check returns an error if the counts do not add up.
func (h *HotKeys) Check() error {
	if h.Lines != h.Seen+h.Others {
		return fmt.Errorf("the counts do not add up: %d lines read, but %d requests and %d others", h.Lines, h.Seen, h.Others)
	}
	return nil
}

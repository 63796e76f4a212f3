package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// Run fills the cache and accounts for the items.
func (c *fillCommand) Run(line *commandLine) error {
	all := outcome{unit: "item", made: true}
	err := c.fill(line, &all)
	return all.finish(line.JSON, err)
}

func (c *fillCommand) fill(line *commandLine, all *outcome) error {
	count, err := c.items()
	if err != nil {
		return err
	}
	if c.TTLJitter != "" && c.TTL == 0 {
		return usageError{errors.New("--ttl-jitter shortens times to live, and the items have none: --ttl says it")}
	}
	shown, err := newProgress(c.Progress, all.unit, false)
	if err != nil {
		return err
	}
	s, err := c.source(count)
	if err != nil {
		return err
	}
	defer s.file.Close()
	l := loading{caller: newCaller(line, interrupts(), shown, 0), request: c.request}
	return l.loadAll([]*source{s}, all)
}

// request makes the request.
func (c *fillCommand) request(*source) door.Request {
	request := c.storing.request()
	c.marking.add(&request)
	request.Rows.Format = record.JSONL
	return request
}

// items is the number of items.
func (c *fillCommand) items() (uint64, error) {
	switch {
	case c.Count > 0:
		return uint64(c.Count), nil
	case c.Bytes == 0:
		return 0, usageError{errors.New("the number of items is not set: --count or --bytes")}
	}
	mean := (float64(c.Size.least) + float64(c.Size.most)) / 2
	if mean == 0 {
		return 0, usageError{fmt.Errorf("values of no bytes never make %s: --count says how many", size(uint64(c.Bytes)))}
	}
	return max(uint64(math.Round(float64(c.Bytes)/mean)), 1), nil
}

// source is one row, in memory, from which memcached makes the items. The caller closes its file.
func (c *fillCommand) source(count uint64) (*source, error) {
	row, err := json.Marshal(struct {
		Key   string    `json:"key"`
		Count uint64    `json:"count"`
		Size  [2]uint64 `json:"size"`
		Seed  uint64    `json:"seed"`
	}{string(c.Key), count, [2]uint64{c.Size.least, c.Size.most}, c.Seed})
	if err != nil {
		return nil, err
	}
	file, err := inMemory("fill", append(row, '\n'))
	if err != nil {
		return nil, err
	}
	return &source{name: "fill", file: file, rows: count}, nil
}

// itemCount is a number of items, from 1; 0: not set.
type itemCount uint64

// UnmarshalText reads a number from 1.
func (n *itemCount) UnmarshalText(text []byte) error {
	count, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of items: 1 or more", text)
	}
	*n = itemCount(count)
	return nil
}

// itemKey is a key with {n} in it, the item's number.
type itemKey string

// UnmarshalText reads a key.
func (k *itemKey) UnmarshalText(text []byte) error {
	if *k = itemKey(text); !strings.Contains(string(text), "{n}") {
		return fmt.Errorf("the key %q is the same for all items: {n} is the item's number", text)
	}
	return nil
}

// byteCount is a number of bytes, from 1; 0: not set.
type byteCount uint64

// UnmarshalText reads a number with a unit.
func (n *byteCount) UnmarshalText(text []byte) error {
	bytes, err := parseSize(string(text))
	if err == nil && bytes == 0 {
		err = fmt.Errorf("%q is no size: 1 or more", text)
	}
	*n = byteCount(bytes)
	return err
}

// sizeRange is the size of the smallest and of the largest value, in bytes.
type sizeRange struct{ least, most uint64 }

// UnmarshalText reads a size, or two with a hyphen between them.
func (r *sizeRange) UnmarshalText(text []byte) error {
	from, to, several := strings.Cut(string(text), "-")
	if !several {
		to = from
	}
	var err error
	if r.least, err = parseSize(from); err != nil {
		return err
	}
	if r.most, err = parseSize(to); err != nil {
		return err
	}
	if r.least > r.most {
		return fmt.Errorf("of %q the first size is the larger one", text)
	}
	return nil
}

// parseSize reads a number of bytes, with or without a decimal unit.
func parseSize(s string) (uint64, error) {
	number, unit := s, uint64(1)
	if n := len(s); n > 0 {
		for i, name := range []byte("kMG") {
			if s[n-1] == name {
				number, unit = s[:n-1], []uint64{1e3, 1e6, 1e9}[i]
			}
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size: a number of bytes, such as 100, 2k or 10M", s)
	}
	return n * unit, nil
}

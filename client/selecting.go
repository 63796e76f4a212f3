package main

import (
	"errors"
	"fmt"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

// selecting is the selection of items by what is known of them: their keys, sizes and times.
type selecting struct {
	keying

	sizing
	OlderThan timeToLive `group:"Items:" placeholder:"TIME" help:"Only items that were stored this long ago at least, and have not been read since: seconds, or a duration such as 10m or 30d. When an item was read last memcached does not keep."`
	living
}

// sizing is the selection of items by their size.
type sizing struct {
	MinSize byteCount `group:"Items:" placeholder:"SIZE" help:"Only items whose values have this size at least: a number of bytes, or one with k, M or G for thousands, millions or billions."`
}

// living is the selection of items by when they expire.
type living struct {
	MinTTL       timeToLive `group:"Items:" name:"min-ttl" placeholder:"TIME" help:"Only items that do not expire within that time: seconds, or a duration such as 10m or 24h."`
	NeverExpires bool       `group:"Items:" help:"Only items that never expire."`
}

// selectingDumped is the selection of items of a dump, which does not say when they were used.
type selectingDumped struct {
	keying
	sizing
	living
}

// keying is the selection of items by their keys.
type keying struct {
	Prefix string `group:"Items:" placeholder:"TEXT" help:"Only items whose keys begin with this."`
	Match  string `group:"Items:" placeholder:"PATTERN" help:"Only items whose keys match: * stands for any bytes, ? for one."`
	Regex  string `group:"Items:" placeholder:"REGEX" help:"Only items whose keys match this regular expression, of RE2's syntax, in a part unless ^ and $ anchor it."`
}

// filter are the conditions as a request has them.
func (s *selecting) filter() filter.Options {
	o := (&selectingDumped{s.keying, s.sizing, s.living}).filter()
	o.OlderThan = int64(s.OlderThan)
	return o
}

func (s *selectingDumped) filter() filter.Options {
	o := s.keying.filter()
	o.MinSize, o.MinTTL, o.NeverExpires = uint64(s.MinSize), int64(s.MinTTL), s.NeverExpires
	return o
}

func (k *keying) filter() filter.Options {
	return filter.Options{Prefix: k.Prefix, Match: k.Match, Regex: k.Regex}
}

// list makes a request for a list of the items.
func (s *selecting) list() door.Request { return dumpRequest(dump.List, s.filter()) }

// dumpRequest makes a request for items, in a format.
func dumpRequest(format dump.Format, wanted filter.Options) door.Request {
	return door.Request{Version: door.Protocol, Op: door.OpDump, Items: door.Items{Format: format}, Filter: wanted}
}

// selects makes a function that says whether an item with a key is selected. Its error is a usageError.
func (k *keying) selects() (func(key []byte) bool, error) {
	f, err := filter.New(k.filter())
	if e, ok := errors.AsType[*option.Error](err); ok {
		return nil, hintError{usageError{err}, e.Hint}
	}
	return func(key []byte) bool { return f.Wants(&walk.Item{Key: key}) }, nil
}

// conditionsOf says in words which items are selected; none: all are.
func conditionsOf(o filter.Options) (words []string) {
	for _, condition := range []struct {
		holds bool
		words string
	}{
		{o.Prefix != "", fmt.Sprintf("whose keys begin with %q", o.Prefix)},
		{o.Match != "", fmt.Sprintf("whose keys match %q", o.Match)},
		{o.Regex != "", fmt.Sprintf("whose keys match the regular expression %q", o.Regex)},
		{o.MinSize > 0, fmt.Sprintf("whose values have %s at least", door.Count(o.MinSize, "byte"))},
		{o.OlderThan > 0, "that were not stored or read for " + span(o.OlderThan)},
		{o.MinTTL > 0, "that do not expire within " + span(o.MinTTL)},
		{o.NeverExpires, "that never expire"},
	} {
		if condition.holds {
			words = append(words, condition.words)
		}
	}
	return words
}

// Package filter decides which items are meant, by the conditions of a request.
package filter

import (
	"bytes"
	"errors"
	"regexp"
	"regexp/syntax"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/walk"
)

// Options are the conditions: an item is wanted if all of them hold. The zero value wants every item. Their JSON is that
// of a request (package door).
type Options struct {
	// Prefix is the beginning of the keys.
	Prefix string `json:"prefix,omitempty"`
	// Match is a pattern of keys, see the function Match.
	Match string `json:"match,omitempty"`
	// Regex is a regular expression (RE2, package regexp/syntax) that matches a part of the key, unless it is anchored.
	Regex string `json:"regex,omitempty"`
	// MinSize is the least size of a value, in bytes.
	MinSize uint64 `json:"min_size,omitempty"`
	// OlderThan is how long ago the item was stored at least, in seconds, without having been read since. One that was read
	// is not wanted, however long ago that was: memcached keeps that an item was read, but not when it was the last time
	// (items.c: do_item_bump). One that memcached has moved, to extstore or to another page, is stored at that time.
	OlderThan int64 `json:"older_than,omitempty"`
	// MinTTL is the least time until the item expires, in seconds.
	MinTTL int64 `json:"min_ttl,omitempty"`
	// NeverExpires wants no item that expires.
	NeverExpires bool `json:"never_expires,omitempty"`
}

// The largest regular expression, in bytes, and in instructions of what it is compiled to: a key is 250 bytes, each of
// which costs time for all instructions, and a few bytes such as .{999} make many.
const (
	regexBytes        = 4096
	regexInstructions = 4096
)

// A Filter has conditions; one that is nil wants every item. It is for one goroutine.
type Filter struct {
	options Options
	prefix  []byte
	regex   *regexp.Regexp // nil: none
}

// New makes a filter. The error is an [*option.Error].
func New(o Options) (*Filter, error) {
	f := &Filter{options: o, prefix: []byte(o.Prefix)}
	switch {
	case len(o.Prefix) > meta.KeyMax:
		return nil, option.Errorf("", "a prefix of %d bytes is longer than any key", len(o.Prefix))
	case o.OlderThan < 0 || o.MinTTL < 0:
		return nil, option.Errorf("", "a time of the conditions is negative")
	}
	if o.Regex != "" {
		var err error
		if f.regex, err = compile(o.Regex); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// compile compiles a regular expression that is not too large. The error is an [*option.Error].
func compile(expr string) (*regexp.Regexp, error) {
	tooLarge := option.Errorf("a prefix or a pattern costs less (--prefix, --match)", "the regular expression %s is too large", clip.Quote(expr))
	if len(expr) > regexBytes {
		return nil, tooLarge
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		e, _ := errors.AsType[*syntax.Error](err)
		return nil, option.Errorf("the syntax is that of RE2", "the regular expression %s: %s: %s", clip.Quote(expr), e.Code, clip.Quote(e.Expr))
	}
	if instructions(parsed) > regexInstructions {
		return nil, tooLarge
	}
	return regexp.Compile(expr)
}

// instructions is how many instructions a regular expression is compiled to, about and at most, but for two: to compile
// it first could take hundreds of MB. The parser bounds its depth, and how often nested repetitions repeat together.
func instructions(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpAlternate:
		n += len(re.Sub) - 1
	case syntax.OpRepeat: // x{2,4} is xx(?:x(?:x)?)?, and x{2,} is xx+
		if re.Max < 0 {
			n = n*max(re.Min, 1) + 2
		} else {
			n = n*re.Max + re.Max - re.Min
		}
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		n += 2
	}
	return max(n, 1)
}

// Wants reports whether all conditions hold for an item.
func (f *Filter) Wants(i *walk.Item) bool {
	if f == nil {
		return true
	}
	o := &f.options
	return bytes.HasPrefix(i.Key, f.prefix) &&
		uint64(i.Size) >= o.MinSize &&
		(o.OlderThan == 0 || i.Idle >= o.OlderThan && !i.Fetched) && // Idle is below 0 if a clock is behind
		(i.TTL < 0 || i.TTL >= o.MinTTL && !o.NeverExpires) &&
		Match(o.Match, i.Key) &&
		(f.regex == nil || f.regex.Match(i.Key))
}

// Prefix is the beginning of the keys of all items that are wanted.
func (f *Filter) Prefix() string {
	if f == nil {
		return ""
	}
	return f.options.Prefix
}

// Conditions say which of the conditions are about what a client may change without another CAS unique.
func (f *Filter) Conditions() walk.Conditions {
	same := walk.Conditions{Life: f.options.MinTTL > 0 || f.options.NeverExpires, Use: f.options.OlderThan > 0}
	if same.Life || same.Use {
		same.Hold = f.Wants
	}
	return same
}

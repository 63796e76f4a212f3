package record

import (
	"strconv"
	"strings"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// checkJitter checks and parses TTLJitter.
func (o *Options) checkJitter() error {
	if o.TTLJitter == "" {
		return nil
	}
	jitter, err := ParseJitter(o.TTLJitter)
	switch {
	case err != nil:
		return err
	case o.Format == Memcached || o.Format == Dump:
		return option.Errorf("", "the rows of the format %s have their own times to live, so that --ttl-jitter means nothing", o.Format)
	case o.ExpiresColumn != "":
		return option.Errorf("", "--ttl-jitter is for times to live: a date of --expires-column is kept as it is")
	case o.TTL == 0 && o.TTLColumn == "" && o.Format != JSONL:
		return option.Errorf("--ttl or --ttl-column says one", "--ttl-jitter shortens times to live, and the rows have none")
	}
	o.jitter = jitter
	return nil
}

// Jitter is by which part of it, in percent, a time to live is shortened at most; 0: by none.
type Jitter float64

// ParseJitter reads a percentage; "" is 0. The error is an [*option.Error].
func ParseJitter(s string) (Jitter, error) {
	if s == "" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent > 0 && percent <= 100) {
		return 0, option.Errorf("it is the part by which a time to live is shortened at most, such as 10%, up to 100%", "%s is not a percentage for --ttl-jitter", clip.Quote(s))
	}
	return Jitter(percent), nil
}

// jitterSeed makes the part another one than that of a mock's size, whose seed is 0 by default.
const jitterSeed = 0x6a69747465720001

// Shorten shortens a time to live in seconds, not 0, by a part that follows from the key: it is the same in each load and
// on each machine. What expires in the end does so after a second at least.
func (j Jitter) Shorten(ttl int64, key []byte) int64 {
	most := uint64(float64(ttl) * float64(j) / 100)
	var f filler
	f.begin(jitterSeed, key)
	return int64(max(f.draw(uint64(ttl)-most, uint64(ttl)), 1))
}

// shorten shortens the row's time to live.
func (o *Options) shorten(row *Row, data []byte) {
	if row.TTL != 0 {
		row.TTL = o.jitter.Shorten(row.TTL, row.Key.Of(data))
	}
}

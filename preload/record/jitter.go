package record

import (
	"strconv"
	"strings"
)

// checkJitter checks and parses TTLJitter.
func (o *Options) checkJitter() error {
	if o.TTLJitter == "" {
		return nil
	}
	number, ok := strings.CutSuffix(o.TTLJitter, "%")
	percent, err := strconv.ParseFloat(number, 64)
	switch {
	case !ok || err != nil || !(percent > 0 && percent <= 100):
		return optionError("it is the part by which a time to live is shortened at most, such as 10%, up to 100%", "%q is not a percentage for --ttl-jitter", o.TTLJitter)
	case o.Format == Memcached || o.Format == Dump:
		return optionError("", "the rows of the format %s have their own times to live, so that --ttl-jitter means nothing", o.Format)
	case o.ExpiresColumn != "":
		return optionError("", "--ttl-jitter is for times to live: a date of --expires-column is kept as it is")
	case o.TTL == 0 && o.TTLColumn == "" && o.Format != JSONL:
		return optionError("--ttl or --ttl-column says one", "--ttl-jitter shortens times to live, and the rows have none")
	}
	o.jitter = percent
	return nil
}

// jitterSeed makes the part another one than that of a mock's size, whose seed is 0 by default.
const jitterSeed = 0x6a69747465720001

// shorten shortens the row's time to live by a part of Options.TTLJitter, which follows from its key: it is the same in
// each load and on each machine. What expires in the end does so after a second at least.
func (o *Options) shorten(row *Row, data []byte) {
	if row.TTL == 0 {
		return
	}
	ttl := uint64(row.TTL)
	most := uint64(float64(ttl) * o.jitter / 100)
	var f filler
	f.begin(jitterSeed, row.Key.Of(data))
	row.TTL = int64(max(f.draw(ttl-most, ttl), 1))
}

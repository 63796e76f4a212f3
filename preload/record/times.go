package record

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration parses a time to live, or how long to wait: a number of seconds, or a duration such as 30d, 1d12h or
// 1500ms, whose units are those of package time, days (d) and weeks (w). One that is too long for a Duration is the
// longest.
func ParseDuration(text string) (d time.Duration, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) && strings.TrimLeft(text, "+-0123456789") == "" {
		const most = int64(math.MaxInt64 / time.Second)
		return time.Duration(max(-most, min(n, most))) * time.Second, true
	}
	const numbers = "0123456789."
	rest, negative := strings.CutPrefix(text, "-")
	for ok = rest != ""; rest != ""; {
		unit := strings.TrimLeft(rest, numbers)
		number := rest[:len(rest)-len(unit)]
		rest = ""
		if n := strings.IndexAny(unit, numbers); n >= 0 {
			unit, rest = unit[:n], unit[n:]
		}
		each := time.Duration(1)
		switch unit {
		case "d":
			unit, each = "h", 24
		case "w":
			unit, each = "h", 7*24
		}
		part, err := time.ParseDuration(number + unit)
		switch {
		case err != nil || number == "" || unit == "":
			return 0, false
		case part == 0 && strings.ContainsAny(number, "123456789"): // less than a nanosecond
			return 0, false
		case part > (math.MaxInt64-d)/each:
			d = math.MaxInt64
		default:
			d += part * each
		}
	}
	if negative {
		d = -d
	}
	return d, ok
}

// Seconds rounds a duration up to seconds, for memcached's clock ticks once a second. Any duration below 0 is -1.
func Seconds(d time.Duration) int64 {
	switch {
	case d < 0:
		return -1
	case d%time.Second > 0:
		return int64(d/time.Second) + 1
	}
	return int64(d / time.Second)
}

// expireIn sets the row's time to live to seconds, TTLMax at most; 0: for ever.
func (r *Row) expireIn(seconds int64) Kind {
	if seconds < 0 {
		r.Reason = Expired
		return Skip
	}
	r.TTL = seconds
	return Item
}

// expireAt sets the row's time to live up to a date.
func (r *Row) expireAt(when date, at int) Kind {
	if when.never {
		r.TTL = 0
		return Item
	}
	now := time.Now()
	left := when.seconds - now.Unix()
	if when.nanoseconds > int64(now.Nanosecond()) {
		left++ // rounded up, as a duration is
	}
	switch {
	case when.seconds < 0 || left <= 0:
		r.Reason = Expired
		return Skip
	case left > TTLMax:
		return r.reject(FarDate, at)
	}
	r.TTL = left
	return Item
}

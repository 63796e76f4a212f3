package record

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A date is when an item expires: seconds since 1970, and a part of a second; or never.
type date struct {
	seconds, nanoseconds int64
	never                bool
}

// dates parses dates, and remembers what there is to say of how they were read.
type dates struct {
	units    [len(dateUnits)]bool // that a number had
	zoneless bool                 // there was a date without a time zone
}

// firstDate is the first date but 0 that is taken in seconds: 9 digits, in 1973. What is less is none that was meant to
// have passed, and its rows would all be skipped.
const firstDate = 1e8

// dateUnits are the units of numbers with more digits than a date in seconds has. All of them begin in 2001, so that a
// date far ahead in seconds, such as 253402300799 for the end of 9999, is not taken for one that has passed.
var dateUnits = [...]struct {
	name      string
	first     int64 // the first number with as many digits
	perSecond int64
}{
	{"milliseconds", 1e12, 1e3},
	{"microseconds", 1e15, 1e6},
	{"nanoseconds", 1e18, 1e9},
}

// parse parses a date: a number, as databases write timestamps, or as RFC 3339 has it. why is what is wrong with it
// beyond its form.
func (d *dates) parse(text string) (when date, why string, ok bool) {
	if strings.LastIndexByte(text, '-') <= 0 { // else ParseInt fails, which costs more than a timestamp
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			if 0 < n && n < firstDate {
				return date{}, " would be in 1970 or soon after: ttl or --ttl-column is a time to live, and a day has hyphens", false
			}
			return d.number(n), "", true
		}
	}
	switch {
	case text == "infinity": // of PostgreSQL (its manual: "Special Values")
		return date{never: true}, "", true
	case text == "-infinity":
		return date{seconds: -1}, "", true
	case strings.HasPrefix(text, "0000-00-00"):
		return date{}, " is the zero date of MySQL; NULL or 0 is never", false
	}
	when, ok = fractional(text)
	if !ok {
		when, ok = d.timestamp(text)
	}
	return when, "", ok
}

func (d *dates) number(n int64) date {
	for i, unit := range dateUnits {
		if most := n / unit.first; most >= 1 && most <= 9 {
			d.units[i] = true
			return date{seconds: n / unit.perSecond, nanoseconds: n % unit.perSecond * (1e9 / unit.perSecond)}
		}
	}
	return date{seconds: n, never: n == 0}
}

// fractional parses seconds with a fraction, as extract(epoch from …) writes them. They have ten digits: of fewer, the
// point may be one between thousands.
func fractional(text string) (when date, ok bool) {
	whole, fraction, found := strings.Cut(text, ".")
	if !found || len(whole) != 10 || len(fraction) == 0 || len(fraction) > 9 {
		return date{}, false
	}
	seconds, err := strconv.ParseUint(whole, 10, 63)
	if err != nil {
		return date{}, false
	}
	nanoseconds, err := strconv.ParseUint((fraction + "00000000")[:9], 10, 63)
	return date{seconds: int64(seconds), nanoseconds: int64(nanoseconds)}, err == nil
}

// timestamp parses a year, a month and a day, and perhaps a time and a zone. One without a zone is in UTC.
func (d *dates) timestamp(text string) (when date, ok bool) {
	const day = len(time.DateOnly)
	if len(text) < day {
		return date{}, false
	}
	clock, zone, layout := text, "", time.DateTime
	if n := strings.IndexAny(text[day:], "Zz+-U"); n > 0 { // a day alone has no zone
		clock, zone = strings.TrimSuffix(text[:day+n], " "), text[day+n:]
	}
	switch {
	case len(clock) == day && zone == "":
		layout = time.DateOnly
	case clock[day:] != "" && clock[day] == 'T':
		layout = "2006-01-02T15:04:05"
	}
	if len(clock) == len("2006-01-02 15:04") {
		layout = layout[:len(clock)]
	}
	at, err := time.Parse(layout, clock)
	offset, ok := zoneOffset(zone)
	if err != nil || !ok {
		return date{}, false
	}
	d.zoneless = d.zoneless || zone == ""
	return date{seconds: at.Unix() - offset, nanoseconds: int64(at.Nanosecond())}, true
}

// zoneOffset parses a time zone: "" and its names for UTC, or hours and perhaps minutes, which it returns in seconds.
func zoneOffset(zone string) (seconds int64, ok bool) {
	switch zone {
	case "", "Z", "z", "UTC":
		return 0, true
	}
	hours, minutes := zone[1:], "00"
	if len(hours) > 2 {
		hours, minutes = hours[:2], strings.TrimPrefix(hours[2:], ":")
	}
	h, err := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	if err != nil || err2 != nil || len(hours) != 2 || len(minutes) != 2 || h > 15 || m > 59 {
		return 0, false
	}
	seconds = int64(h*60+m) * 60
	if zone[0] == '-' {
		seconds = -seconds
	}
	return seconds, zone[0] == '-' || zone[0] == '+'
}

func (d *dates) notes() (notes []string) {
	for i, unit := range dateUnits {
		if d.units[i] {
			notes = append(notes, fmt.Sprintf("dates of %d digits were read as %s since 1970", len(strconv.FormatInt(unit.first, 10)), unit.name))
		}
	}
	if d.zoneless {
		notes = append(notes, "dates without a time zone were read as UTC: behind another date, its zone is as in 2037-12-01 00:00:00+02:00")
	}
	return notes
}

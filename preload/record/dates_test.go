package record

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	t.Parallel()
	const at = 2143238400 // 2037-12-01 00:00:00 UTC
	half := func(when date) date { when.nanoseconds = 500_000_000; return when }
	for text, want := range map[string]date{
		"0": {never: true}, "100000000": {seconds: 1e8}, "infinity": {never: true}, "-infinity": {seconds: -1}, "-1": {seconds: -1},
		"2143238400": {seconds: at}, "2143238400.500000": half(date{seconds: at}), "2143238400.0": {seconds: at},
		"2143238400500": half(date{seconds: at}), "2143238400500000": half(date{seconds: at}), "2143238400500000000": half(date{seconds: at}),
		// Dates far ahead in seconds are no dates in milliseconds.
		"253402300799": {seconds: 253402300799}, "999999999999": {seconds: 999999999999}, "99999999999999": {seconds: 99999999999999},
		"2037-12-01": {seconds: at}, "1970-01-01": {}, "1969-12-31 23:59:59": {seconds: -1}, "2036-02-29": {seconds: 2087856000},
		"2037-12-01 00:00:00": {seconds: at}, "2037-12-01 00:00:00.5": half(date{seconds: at}), "2037-12-01T00:00:00": {seconds: at}, "2037-12-01T00:00": {seconds: at},
		"2037-12-01T00:00:00Z": {seconds: at}, "2037-12-01T00:00:00.500z": half(date{seconds: at}), "2037-12-01T00:00Z": {seconds: at},
		"2037-12-01T00:00:00.500000000Z": half(date{seconds: at}), "2037-12-01 00:00:00.5000000 +00:00": half(date{seconds: at}), // SQL Server
		"2037-12-01 00:00:00+00": {seconds: at}, "2037-12-01 00:00:00 UTC": {seconds: at}, "2037-12-01 00:00:00-00": {seconds: at},
		"2037-12-01 02:00:00+02": {seconds: at}, "2037-12-01T02:00:00+02:00": {seconds: at}, "2037-12-01 02:00:00 +0200": {seconds: at},
		"2037-11-30 18:30:00.5-05:30": half(date{seconds: at}), "2037-12-01 15:59+1559": {seconds: at},
	} {
		var d dates
		if got, why, ok := d.parse(text); got != want || why != "" || !ok {
			t.Errorf("%q: %+v, %q, %t, want %+v", text, got, why, ok, want)
		}
	}
	for _, text := range []string{
		"", "soon", "01/12/2037", "12/01/2037", "1.12.2037", "2037/12/01", "20371201", "2037-12-01Z", "2037-12-01+02", "2037-12-01-10.30.00", "2037-1-2", "37-12-01",
		"2037-13-01", "2037-02-29", "2037-00-01", "2037-12-00", "2037-12-01 24:00:00", "2037-12-01 00:60:00", "2037-12-01 00:00:60", "0000-00-00", "0000-00-00 00:00:00",
		"2037-12-01 00:00:00 CET", "2037-12-01 00:00:00 Europe/Vienna", "2037-12-01 00:00:00+2", "2037-12-01 00:00:00+16", "2037-12-01 00:00:00+00:60", "2037-12-01 00:00:00U0200",
		"2037-12-01 00:00:00+0:00", "2037-12-01 00:00:00+02:", "2037-12-01 00:00:00+", "2037-12-01 00:00:00Zulu", "2037-12-01 00:00:00 +0000 UTC", "2037-12-01 ", "2037-12-01 00", "2037-12-01 00:00:00 AM",
		"1", "3600", "99999999", "+60", "1.500", "214315200.5", "2143238400.", "2143238400.x", "2143238400.1234567890", "+214315200.5", "2.143.238.000", "2,143,238,000", "2.143238e9", "Infinity", "9223372036854775808",
	} {
		var d dates
		if got, _, ok := d.parse(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// FuzzDates: what package time reads in the common forms is the same moment.
func FuzzDates(f *testing.F) {
	for _, text := range []string{"2037-12-01", "2037-12-01 00:00:00", "2037-12-01T00:00:00Z", "2037-12-01T23:59:59.123456789+02:00", "2037-12-01T00:00:00+02:60", "2037-12-01 00:00:00+00", "2143238400123", "-1", "2143238400.5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d dates
		got, _, ok := d.parse(text)
		if got.nanoseconds < 0 || got.nanoseconds > 999_999_999 || !ok && got != (date{}) {
			t.Errorf("%q: %+v, %t", text, got, ok)
		}
		for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
			want, err := time.Parse(layout, text)
			_, offset := want.Zone()
			if err != nil || max(offset, -offset) > 15*60*60+59*60 || strings.HasSuffix(text, ":60") { // package time takes 60 minutes in a zone, RFC 3339 does not
				continue
			}
			if !ok || got.seconds != want.Unix() || got.nanoseconds != int64(want.Nanosecond()) {
				t.Errorf("%q: %+v, %t, want %v", text, got, ok, want)
			}
		}
	})
}

// TestExpires: an item lives to its date, rounded up to a second, and not at all if that has passed.
func TestExpires(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration, layout string) string { return time.Unix(now, 0).UTC().Add(d).Format(layout) }
	timed := func(ttl int64) found { return found{kind: Item, key: "k", value: "v", ttl: ttl} }
	var tests []parserTest
	for text, want := range map[string]found{
		at(time.Hour, time.RFC3339):                                      timed(3600),
		at(time.Hour+time.Millisecond, "2006-01-02 15:04:05.000"):        timed(3601),
		at(time.Nanosecond, time.RFC3339Nano):                            timed(1),
		at(0, time.RFC3339):                                              skip(Expired),
		at(-time.Nanosecond, time.RFC3339Nano):                           skip(Expired),
		at(24*time.Hour, time.DateOnly):                                  timed(86400),
		fmt.Sprint((now + 100_000_000) * 1000):                           timed(100_000_000),
		fmt.Sprint((now+100_000_000)*1000 + 1):                           timed(100_000_001),
		at(TTLMax*time.Second, time.DateTime):                            timed(TTLMax),
		at(TTLMax*time.Second+time.Nanosecond, "2006-01-02T15:04:05.9Z"): timed(TTLMax),
		at((TTLMax+1)*time.Second, time.DateTime):                        reject(FarDate, 5),
		"9999-12-31 23:59:59":                                            reject(FarDate, 5),
		"253402300799":                                                   reject(FarDate, 5),
		"1970-01-01 00:00:00":                                            skip(Expired),
		"-infinity":                                                      skip(Expired),
		"infinity":                                                       timed(0),
		"":                                                               timed(50),
		"01/12/2037":                                                     reject(BadDate, 5),
		"0000-00-00 00:00:00":                                            reject(BadDate, 5),
	} {
		tests = append(tests, parserTest{text, Options{Key: "1", Value: "2", ExpiresColumn: "3", TTL: 50}, "k\tv\t" + text + "\n", []found{want}})
	}
	run(t, TSV, tests)
	run(t, JSONL, []parserTest{
		{name: "member", input: `{"key":"k","value":"v","expires":"2000-01-01 01:00:00+00:30"}`, want: []found{timed(1800)}},
		{name: "number", input: `{"key":"k","value":"v","expires":1046684800000}`, want: []found{timed(100_000_000)}},
		{name: "escapes", input: `{"key":"k","value":"v","expires":"2000\u002d01-01T01:00:00Z"}`, want: []found{timed(3600)}},
		{name: "no date", input: `{"key":"k","value":"v","expires":true}`, want: []found{reject(BadDate, 34)}},
	})
}

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A time to live may have any unit wherever it is read, and a date any common form.
func TestTimes(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		const day = 24 * 60 * 60
		began := s.clock()
		rows := "k1,v,30d\nk2,v,720h\nk3,v,90500ms\nk4,v,1w2d\nk5,v,0d\nk6,v,86400\nk7,v,30 days\n"
		want := "line 7, byte 6: the time to live is neither a whole number of seconds nor a duration such as 24h or 30d, 68 years at most: \"30 days\" in column 3 (key \"k7\")\n"
		stdout, stderr, status := s.client([]byte(rows), "load", "--from", "csv", "--key", "1", "--value", "2", "--ttl-column", "3")
		if status != 3 || !strings.HasPrefix(stdout, "7 rows read: 6 stored, 1 rejected, 0 skipped") || stderr != want {
			t.Errorf("status %d, %q, %q", status, stdout, stderr)
		}
		for key, seconds := range map[string]int64{"k1": 30 * day, "k2": 30 * day, "k3": 91, "k4": 9 * day, "k5": -1, "k6": day} {
			s.lasts(key, seconds, began)
		}
		began = s.clock()
		s.outcome(strings.NewReader("{\"key\":\"j1\",\"value\":1,\"ttl\":\"1d12h\"}\n{\"key\":\"j2\",\"value\":1}\n"), account{rows: 2, stored: 2}, "--from", "jsonl", "--ttl", "1500m")
		s.lasts("j1", 36*60*60, began)
		s.lasts("j2", 1500*60, began)

		// Dates are some hours ahead of this machine's clock at began.
		began = s.clock()
		in := func(hours int64) time.Time { return time.Unix(began.machine+hours*60*60, 0) }
		dates := map[string]string{ // by key, whose number is the hours
			"d1": in(1).UTC().Format(time.RFC3339),
			"d2": in(2).In(time.FixedZone("", -5*60*60-30*60)).Format(time.RFC3339),
			"d3": in(3).UTC().Format("2006-01-02 15:04:05+00"),
			"d4": in(4).UTC().Format(time.DateTime),
			"d5": fmt.Sprint(in(5).Unix()),
			"d6": fmt.Sprint(in(6).UnixMilli()),
			"d7": in(7).In(time.FixedZone("", 2*60*60)).Format("2006-01-02 15:04:05.000000-07"),
		}
		var input strings.Builder
		for key, date := range dates {
			fmt.Fprintf(&input, "%s\tv\t%s\n", key, date)
		}
		input.WriteString("d8\tv\tinfinity\nd9\tv\t2001-01-01\n")
		input.WriteString("k1\tv\t01/12/2037\n")
		stdout, stderr, status = s.client([]byte(input.String()), "load", "--from", "psql", "--key", "1", "--value", "2", "--expires-column", "3")
		if status != 3 || !strings.HasPrefix(stdout, "10 rows read: 8 stored, 1 rejected, 1 skipped") {
			t.Errorf("status %d, %q", status, stdout)
		}
		for _, say := range []string{
			"line 10, byte 6: the date is neither in seconds since 1970 nor written as 2037-12-01 00:00:00 or 2037-12-01T00:00:00Z: \"01/12/2037\" in column 3",
			"1 row: expired already\n",
			"note: dates of 13 digits were read as milliseconds since 1970\n",
			"note: dates without a time zone were read as UTC",
		} {
			if !strings.Contains(stderr, say) {
				t.Errorf("standard error is %q, without %q", stderr, say)
			}
		}
		for key := range dates {
			s.lasts(key, int64(key[1]-'0')*60*60, began)
		}
		s.lasts("d8", -1, began)
		s.missing("d9")
		s.missing("k1") // what it was before is outdated
		s.lives()
	})
}

// What is loaded at once does not expire at once, and the same key has the same time to live in each load.
func TestJitter(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		const rows, ttl = 20_000, 1000
		var input strings.Builder
		for i := range rows {
			fmt.Fprintf(&input, "user:%d\tv\n", i+1)
		}
		began := s.clock()
		s.outcome(strings.NewReader(input.String()), account{rows: rows, stored: rows}, "--ttl", "1000", "--ttl-jitter", "10%")
		s.lasts("user:1", 961, began)
		s.lasts("user:2", 934, began)
		lives := map[int64]int{}
		var earliest, latest int64 = 1 << 62, 0
		for i := range rows / 100 {
			date := s.date(fmt.Sprint("user:", i+1))
			lives[date]++
			earliest, latest = min(earliest, date), max(latest, date)
		}
		ended := s.clock()
		if least, most := min(began.memcached, began.machine-1)+ttl*9/10, max(ended.memcached, ended.machine+1)+ttl; earliest < least || latest > most {
			t.Errorf("they expire from %d to %d, want %d to %d", earliest, latest, least, most)
		}
		for date, n := range lives {
			if n > 12 { // 2 of 200 on average
				t.Errorf("%d of %d expire at %d", n, rows/100, date)
			}
		}
		began = s.clock()
		s.fill(2, "--key", "user:{n}", "--ttl", "1000s", "--ttl-jitter", "10%")
		s.lasts("user:1", 961, began)
		s.lasts("user:2", 934, began)
		s.lives()
	})
}

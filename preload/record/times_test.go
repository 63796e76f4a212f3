package record

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "7": 7 * time.Second, "-7": -7 * time.Second, "1500ms": 1500 * time.Millisecond, "2h": 2 * time.Hour,
		"30d": 30 * day, "1d12h": 36 * time.Hour, "1w": 7 * day, "2w3d4h5m6s7ms": 17*day + 4*time.Hour + 5*time.Minute + 6*time.Second + 7*time.Millisecond,
		"1.5d": 36 * time.Hour, "-1d12h": -36 * time.Hour, "0d": 0, "1ns": 1, "1h0.000000001s": time.Hour + 1,
		"106751d": 106751 * day, "106752d": math.MaxInt64, "99999w1h": math.MaxInt64, "-99999w": -math.MaxInt64,
		"9223372036": 9223372036 * time.Second, "9223372037": 9223372036 * time.Second,
		"99999999999999999999": 9223372036 * time.Second, "-99999999999999999999": -9223372036 * time.Second,
	} {
		if got, ok := ParseDuration(text); got != want || !ok {
			t.Errorf("%q: %v, %t, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "-", "--1d", "1d-1h", "-1d-1h", "d", "1d2", "1d0", "1.5", "1,5h", "1 d", "1D", "1M", "1mo", "1y", "s", ".", ".d", "1..5d", "soon", "NaN", "0.1ns", "1h0.0000000000001s",
		"99999999999999999999d", "1dd", "30d ", "0x1d", "1_000", "1e3",
	} {
		if got, ok := ParseDuration(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, 1500 * time.Millisecond: 2, 2 * time.Second: 2, -1: -1, -5 * time.Second: -1, math.MaxInt64: 9223372037,
	} {
		if got := Seconds(d); got != want {
			t.Errorf("%v: %d s, want %d", d, got, want)
		}
	}
}

// FuzzDuration: what package time reads is read alike, and days and weeks are hours.
func FuzzDuration(f *testing.F) {
	for _, text := range []string{"1h", "1h30m", "1500ms", "30d", "1w1d", "1.5h", ".5s", "-2m", "", "1µs", "9999999h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseDuration(text)
		if want, err := time.ParseDuration(text); err == nil && text[0] != '+' {
			refused := !ok && strings.Contains(text, ".") // a part of less than a nanosecond
			if !refused && (got != want || !ok) {
				t.Errorf("%q: %v, %t, want %v", text, got, ok, want)
			}
		}
		if hours, ok2 := ParseDuration(strings.Replace(text, "d", "h", 1)); ok && ok2 && strings.Count(text, "d") == 1 && hours > got && got >= 0 {
			t.Errorf("%q: %v, with hours %v", text, got, hours)
		}
	})
}

// TestDurations: a time to live is rounded up to seconds, in a column and in a member.
func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1500ms": 2, "2s": 2, "24h": 86400, "30d": 2592000, "1w": 604800, "1h0.000000001s": 3601, "0s": 0, "1ns": 1, " 2s ": 2} {
		input := "k\tv\t" + text + "\n"
		check(t, input, parse(t, Options{Format: TSV, Key: "1", Value: "2", TTLColumn: "3"}, 0, input), []found{{kind: Item, key: "k", value: "v", ttl: want}})
	}
	bad := reject(BadTTL, 31)
	for text, want := range map[string]found{"-1ns": skip(Expired), "-1d": skip(Expired), "0.1ns": bad, "s": bad, "24856d": bad, "600000h": bad, "NaN": bad, "9999999999999999999999s": bad} {
		input := `{"key":"k","value":"v","ttl":"` + text + `"}`
		check(t, input, parse(t, Options{Format: JSONL}, 0, input), []found{want})
	}
}

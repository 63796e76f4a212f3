package main

import (
	"strings"
	"testing"

	"memcached-backdoor/preload/record"
)

func TestTimeToLive(t *testing.T) {
	for text, want := range map[string]timeToLive{
		"0": 0, "90": 90, "90s": 90, "10m": 600, "24h": 86400, "30d": 2592000, "1d12h": 129600, "2147483647": record.TTLMax, "1.5m": 90,
		"1500ms": 2, "1w": 604800, "1.5d": 129600,
	} {
		var got timeToLive
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                     "neither a number",
		"soon":                 "neither a number",
		"10x":                  "neither a number",
		"1d2":                  "neither a number",
		"d":                    "neither a number",
		"-1d":                  "negative",
		"99999999999999999d":   "neither a number",
		"-1":                   "negative",
		"-5m":                  "negative",
		"1d-25h":               "neither a number",
		"-1ns":                 "negative",
		"2147483648":           "too long",
		"24856d":               "too long",
		"99999999999999999999": "too long",
	} {
		var got timeToLive
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v; want an error with %q", text, got, err, want)
		}
	}
}

// TestEmptyOption: an option with an empty value is refused, for it would count as not given.
func TestEmptyOption(t *testing.T) {
	for args, want := range map[string]string{
		"load --key=": "--key is empty", "load --rejects=": "--rejects is empty", "dump --prefix=": "--prefix is empty", "--door= status": "--door is empty",
		"load": "", "load --quote= --escape=": "", "load --key=id": "",
	} {
		var line commandLine
		parser, err := newParser(&line)
		if err != nil {
			t.Fatal(err)
		}
		ctx, err := parser.Parse(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := emptyOption(ctx); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

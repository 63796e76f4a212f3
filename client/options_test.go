package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// TestOptionsHaveFlags: every option of a load and of a dump has a flag, which sets it in the request.
func TestOptionsHaveFlags(t *testing.T) {
	for command, test := range map[string]struct {
		options []reflect.Type
		request func(*commandLine) door.Request
	}{
		"load": {
			[]reflect.Type{reflect.TypeFor[door.Rows](), reflect.TypeFor[door.Limits]()},
			func(line *commandLine) door.Request { return line.Load.request(&source{}) },
		},
		"dump": {
			[]reflect.Type{reflect.TypeFor[door.Items](), reflect.TypeFor[door.Filter]()},
			func(line *commandLine) door.Request { return line.Dump.request() },
		},
	} {
		for _, options := range test.options {
			for i := range options.NumField() {
				option, _, _ := strings.Cut(options.Field(i).Tag.Get("json"), ",")
				if option == "" || option == "-" {
					continue
				}
				value := map[string]string{"from": "csv", "null": "skip", "mode": "add", "to": "csv", "max_errors": "5%", "delimiter": "tab", "value_type": "php-int"}[option]
				if value == "" {
					value = map[reflect.Kind]string{reflect.Bool: "true", reflect.String: "text"}[options.Field(i).Type.Kind()]
				}
				if value == "" {
					value = "7"
				}
				flag := strings.ReplaceAll(option, "_", "-")
				if other := map[string]string{"to": "format", "value_type": "flags-for"}[option]; other != "" {
					flag = other
				}
				var line commandLine
				parser, err := newParser(&line)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parser.Parse([]string{command, "--" + flag + "=" + value}); err != nil {
					t.Errorf("%s has no flag for the option %s: %v", command, option, err)
					continue
				}
				if sent, err := json.Marshal(test.request(&line)); err != nil || !strings.Contains(string(sent), `"`+option+`":`) {
					t.Errorf("%s --%s=%s asks for %s, %v", command, flag, value, sent, err)
				}
			}
		}
	}
}

// TestNoCharacter: an empty character is none, and what is not said is the format's.
func TestNoCharacter(t *testing.T) {
	for _, test := range []struct {
		args          []string
		quote, escape string
	}{
		{nil, "", ""},
		{[]string{"--quote", "", "--escape", ""}, "none", "none"},
		{[]string{"--quote=", "--escape=none"}, "none", "none"},
		{[]string{"--quote", `"`, "--escape", `\`}, `"`, `\`},
	} {
		var line commandLine
		parser, err := newParser(&line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(append([]string{"load"}, test.args...)); err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if request := line.Load.request(&source{}); request.Quote != test.quote || request.Escape != test.escape {
			t.Errorf("%q: quote %q, escape %q", test.args, request.Quote, request.Escape)
		}
	}
}

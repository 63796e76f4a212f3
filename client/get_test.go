package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

// listing serves a door that writes a text, as the format Details has it, and answers.
func listing(t *testing.T, text string, answer door.Dump) (path string, requests <-chan door.Request) {
	answer.Engine = door.EngineNative
	return writing(t, text, door.Reply{Dump: &answer})
}

// TestGetRequest: what is asked for, and that the keys are percent-encoded.
func TestGetRequest(t *testing.T) {
	type call struct {
		request door.Request
		keys    string
	}
	calls := make(chan call, 1)
	path := serve(t, func(c *door.Call, req door.Request) {
		keys, err := io.ReadAll(c.Input)
		if err != nil {
			t.Error(err)
		}
		calls <- call{req, string(keys)}
		c.Finish(door.Reply{Dump: &door.Dump{Engine: door.EngineNative}})
	})
	for _, test := range []struct {
		args, keys string
		keysOnly   bool
	}{
		{"a%b", "a%25b\n", false},
		{"--meta ключ", "%D0%BA%D0%BB%D1%8E%D1%87\n", true},
		{"--meta --json a", "a\n", false},
		{"--meta b a b", "b\na\nb\n", false},
		{"--base64 AAoK YQ==", "%00%0A%0A\na\n", false},
	} {
		p := start(t, path, nil, append([]string{"get"}, strings.Fields(test.args)...)...)
		p.Wait()
		want := door.Request{Version: door.Protocol, Op: door.OpDump, Items: door.Items{Format: "details", KeysOnly: test.keysOnly}, Keys: true}
		if got := take(t, calls); got.request != want || got.keys != test.keys {
			t.Errorf("%s: %+v, %q, want %+v, %q", test.args, got.request, got.keys, want, test.keys)
		}
		if out := p.errOut.String(); !strings.Contains(out, "error: the counts do not add up: 0 items were sent, 0 lost and 0 gone; 0 came") {
			// Keys that were not answered are lost, and none was said to be.
			t.Errorf("%s: %s", test.args, out)
		}
	}
}

// TestGetOutcome: what is printed of what memcached writes, and of what it must not write.
func TestGetOutcome(t *testing.T) {
	const (
		a       = "a 3 7 0 100 class=1 total=0 cas=2\n\x00\n\xff\n"
		listed  = "error: memcached did not answer with a list of its items\n"
		missing = "missing: a\n"
	)
	for name, test := range map[string]struct {
		args, text string
		answer     door.Dump
		status     int
		out, err   string
	}{
		"value":   {"a", a, door.Dump{Items: 1, Written: 1}, 0, "\x00\n\xff", ""},
		"empty":   {"a", "a 0 0 0 0 class=1 total=0 cas=0\n\n", door.Dump{Items: 1, Written: 1}, 0, "", ""},
		"gone":    {"a", "a 0 0 0 0 class=0 total=0 cas=0 gone\n", door.Dump{Gone: 1}, 3, "", missing},
		"lost":    {"a", "", door.Dump{Items: 1, Lost: 1}, 3, "", "lost: a\n"},
		"several": {"b a c a", a + "c 0 0 0 0 class=0 total=0 cas=0 gone\n" + a, door.Dump{Items: 3, Written: 2, Lost: 1, Gone: 1}, 3, strings.Repeat(`{"key":"a","value_base64":"AAr/","flags":7}`+"\n", 2), "missing: c\nlost: b\n"},
		"another": {"a", "b 1 0 0 0 class=0 total=0 cas=0\nx\n", door.Dump{Items: 1, Written: 1}, 1, "", listed},
		"twice":   {"a", a + a, door.Dump{Items: 2, Written: 2}, 1, "\x00\n\xff", listed},
		"cut":     {"a", "a 5 0 0 0 class=0 total=0 cas=0\nxy\n", door.Dump{Items: 1, Written: 1}, 1, "xy\n", listed},
		"longer":  {"a", "a 1 0 0 0 class=0 total=0 cas=0\nxy\n", door.Dump{Items: 1, Written: 1}, 1, "x", listed},
		"huge":    {"a b", "a 9223372036854775807 0 0 0 class=0 total=0 cas=0\nx\n", door.Dump{Items: 1, Written: 1}, 1, "", listed},
		"no list": {"a", "x\n", door.Dump{Items: 1, Written: 1}, 1, "", listed},
		"counts":  {"a", a, door.Dump{Items: 2, Written: 2}, 1, "\x00\n\xff", "error: the counts do not add up: 2 items were sent, 0 lost and 0 gone; 1 came, and 0 are missing\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := listing(t, test.text, test.answer)
			args := append([]string{"get"}, strings.Fields(test.args)...)
			start(t, path, nil, args...).ends(test.status, test.out, test.err)

			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, path, nil, append(args, "--output", file)...).ends(test.status, "", test.err)
			want := test.out
			if test.status == 1 || test.out == "" && test.status == 3 {
				want = "before"
			}
			if got, err := os.ReadFile(file); string(got) != want {
				t.Errorf("the file is %q, %v", got, err)
			}

			p := start(t, path, nil, append(args, "--json")...)
			p.Wait()
			var document struct {
				Items         []gotItem
				Missing, Lost []string
				Error         string
			}
			if err := json.Unmarshal(p.out.Bytes(), &document); err != nil || p.ProcessState.ExitCode() != test.status || (document.Error != "") != (test.status == 1) {
				t.Errorf("status %d: %v: %s", p.ProcessState.ExitCode(), err, p.out.String())
			}
			if test.status == 3 && len(document.Missing)+len(document.Lost) == 0 {
				t.Errorf("%s", p.out.String())
			}
		})
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	path, _ := listing(t, a, door.Dump{Items: 1, Written: 1})
	start(t, path, func(c *exec.Cmd) { c.Stdout = full }, "get", "a").ends(1, "", "error: standard output: no space left on device\n")
	start(t, serve(t, func(*door.Call, door.Request) {}), nil, "get", "a").ends(1, "", "error: memcached went away during the dump\nhint: see what memcached says on its standard error\n")
}

// TestGetTerminal: a terminal gets text, and nothing else unless that is meant.
func TestGetTerminal(t *testing.T) {
	t.Parallel()
	path := serve(t, func(c *door.Call, req door.Request) {
		keys, _ := io.ReadAll(c.Input)
		value := map[string]string{"text\n": "текст\tof\nlines\n", "escape\n": "\x1b]0;title\a", "c1\n": "\u009b2J", "bytes\n": "\xff\xfe"}[string(keys)]
		fmt.Fprintf(c.Output, "%s %d 0 0 0 class=1 total=0 cas=1\n%s\n", strings.TrimSpace(string(keys)), len(value), value)
		c.Finish(door.Reply{Dump: &door.Dump{Items: 1, Written: 1, Engine: door.EngineNative}})
	})
	term := newTerminal(t, 100, at(path), "exec sh")
	term.shows("$")
	term.run("clear; client get text")
	term.becomes("текст   of\nlines\n$")
	for _, key := range []string{"escape", "c1", "bytes"} {
		term.run("clear; client get " + key + "; echo $?")
		term.becomes("error: the value is binary, and may disturb the terminal\nhint: --output FILE writes it to a file, and --output - means the terminal\n1\n$")
	}
	term.run("clear; client get bytes | od -An -tx1; client get --output - c1; echo do''ne")
	term.shows(" ff fe")
	term.shows("done")
	if written := term.written(); strings.Contains(written, "title") || !strings.Contains(written, "\u009b2J") {
		t.Errorf("%q", written)
	}
}

// TestIsBinary: what a terminal is not to get.
func TestIsBinary(t *testing.T) {
	for value, want := range map[string]bool{"": false, "a\tb\r\n": false, "ж": false, "\x00": true, "\x1b": true, "\x7f": true, "\u0085": true, "\xff": true} {
		if got := isBinary([]byte(value)); got != want {
			t.Errorf("%q: %t", value, got)
		}
	}
}

// No character of a value, nor of a key, reaches a terminal as a control character in JSON, and JSON has them all.
func TestJSONControls(t *testing.T) {
	text := ""
	for r := rune(0); r < 0x180; r++ {
		text += string(r)
	}
	text += "\u2028\U0001f600<&>"
	for name, print := range map[string]func(io.Writer) error{
		"document": func(out io.Writer) error { return printJSONTo(out, map[string]string{"key": text}) },
		"get": func(out io.Writer) error {
			r, w, err := os.Pipe()
			if err != nil {
				return err
			}
			defer r.Close()
			g := getting{out: w, values: true}
			err = g.print(&dump.Listed{Key: []byte("key")}, []byte(text))
			w.Close()
			_, copied := io.Copy(out, r)
			return errors.Join(err, copied)
		},
		"diff": func(out io.Writer) error {
			d := newDifferences(out, true)
			d.add('+', []byte(text), "")
			return d.end(&diffCounts{}, true, nil)
		},
	} {
		var out bytes.Buffer
		if err := print(&out); err != nil {
			t.Fatal(err)
		}
		if isBinary(out.Bytes()) {
			t.Errorf("%s: %q has control characters", name, out.Bytes())
		}
		var got any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, &out)
		}
		if has := fmt.Sprint(got); !strings.Contains(has, text) {
			t.Errorf("%s: %q has another text", name, has)
		}
	}
}

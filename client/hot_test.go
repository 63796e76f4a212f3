package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/hot"
)

var hottest = door.HotKeys{
	Keys: []door.HotKey{
		{Key: []byte("user:1"), Requests: 12345.6, Bytes: 2.5e6, Misses: 0, Error: 1234},
		{Key: []byte("\x00\xff"), Requests: 42.26, Bytes: 12, Misses: 42.26, Error: 500},
		{Key: []byte(""), Requests: 1, Bytes: 0, Misses: 1, Error: 0.1},
	},
	Requests: 123_880, Lines: 20_010, Seen: 20_000, Others: 10, Dropped: 1, Seconds: 10,
}

// found serves a door that finds what is hottest; change may change it.
func found(t *testing.T, requests chan<- door.Request, change func(*door.HotKeys)) (path string) {
	t.Helper()
	return serve(t, func(c *door.Call, r door.Request) {
		if requests != nil {
			requests <- r
		}
		h := hottest
		if change != nil {
			change(&h)
		}
		c.Finish(door.Reply{Hot: &h})
	})
}

func TestHot(t *testing.T) {
	const summary = "3 %s shown; 123880 requests in 10.0 s (12388/s): 20000 seen, 1 line of the log dropped\n"
	for _, tt := range []struct {
		args        string
		change      func(*door.HotKeys)
		out, errOut string
	}{
		{"", nil, "  requests/s     ±  bytes/s  misses/s  key\n" +
			"       12346   10%   2.5 MB       0.0  user:1\n" +
			"        42.3  999%     12 B      42.3  \"\\x00\\xff\"\n" +
			"         1.0   10%      0 B       1.0  (none)\n" + fmt.Sprintf(summary, "keys"), ""},
		{"--by misses --prefixes", func(h *door.HotKeys) { h.Unsized = true }, "  misses/s     ±  requests/s  prefix\n" +
			"       0.0     -       12346  user:1\n" +
			"      42.3  999%        42.3  \"\\x00\\xff\"\n" +
			"       1.0   10%         1.0  (none)\n" + fmt.Sprintf(summary, "prefixes"),
			"hint: memcached's log of stores is not safe to read: a set counts as a lookup, as a miss if the key was not there, with the bytes of the value before\n"},
		{"", func(h *door.HotKeys) { h.Keys, h.Requests, h.Paused = nil, 0, 2.55 }, "0 keys shown; 0 requests in 10.0 s (0/s): 20000 seen, 1 line of the log dropped\n",
			"warning: for 2.5 s of the time nothing was looked at: a load, a dump or a change ran, which memcached logs as if clients had asked\n"},
		{"", func(h *door.HotKeys) { h.Keys, h.Paused = nil, 0.9 }, "0 keys shown; 123880 requests in 10.0 s (12388/s): 20000 seen, 1 line of the log dropped\n", ""},
		{"", func(h *door.HotKeys) { h.Keys, h.Dropped = nil, 5000 }, "0 keys shown; 123880 requests in 10.0 s (12388/s): 20000 seen, 5000 lines of the log dropped\n",
			"warning: memcached dropped much of its log: the figures are scaled up, but a key of a busy connection can be too low in them\n" +
				"hint: memcached's -o worker_logbuf_size and watcher_logbuf_size make room for more\n"},
	} {
		path := found(t, nil, tt.change)
		p := runWith(t, path, "", append([]string{"hot"}, strings.Fields(tt.args)...)...)
		p.ends(0, tt.out, tt.errOut)
	}
}

// The options are those of the request.
func TestHotRequest(t *testing.T) {
	for args, want := range map[string]door.Hot{
		"": {By: hot.ByRequests, Count: 20, Duration: 10},
		"--by bytes --limit 100 --duration 1m --sample 7": {By: hot.ByBytes, Count: 100, Duration: 60, Sample: 7},
		"--prefixes": {By: hot.ByRequests, Count: 20, Duration: 10, Parts: 1, Split: ":"},
		"--prefixes --depth 3 --delimiter _ --duration 24h": {By: hot.ByRequests, Count: 20, Duration: 86400, Parts: 3, Split: "_"},
		"--progress json --by misses --duration 500ms":      {By: hot.ByMisses, Count: 20, Duration: 0.5},
	} {
		requests := make(chan door.Request, 1)
		p := runWith(t, found(t, requests, nil), "", append([]string{"hot", "--json"}, strings.Fields(args)...)...)
		p.Wait()
		if r := take(t, requests); r.Hot != want || r.Op != door.OpHot || r.Progress != strings.Contains(args, "json") {
			t.Errorf("%s: %+v, want %+v", args, r, want)
		}
	}
	for args, message := range map[string]string{
		"--depth 2":      "--delimiter and --depth say what a prefix is: they need --prefixes",
		"--delimiter _":  "--delimiter and --depth say what a prefix is: they need --prefixes",
		"--limit 101":    "--limit: \"101\" is not a number of keys to list: 1 to 100",
		"--duration 25h": "--duration: \"25h\" is not a time of at most a day: seconds, or a duration such as 500ms or 2m",
		"--duration 0":   "--duration: \"0\" is not a time of at most a day: seconds, or a duration such as 500ms or 2m",
		"--sample 0":     "--sample: \"0\" is not a number of requests: 1 or more",
		"--by size":      "--by must be one of \"requests\",\"bytes\",\"misses\" but got \"size\"",
	} {
		p := runWith(t, "/nowhere", "", append([]string{"hot"}, strings.Fields(args)...)...)
		p.Wait()
		if got := p.errOut.String(); !strings.HasPrefix(got, "error: "+message+"\n") || p.ProcessState.ExitCode() != 80 {
			t.Errorf("%s: %s%s", args, p.ProcessState, got)
		}
	}
}

// A signal shows what was found until then.
func TestHotInterrupted(t *testing.T) {
	called := make(chan struct{})
	path := serve(t, func(c *door.Call, r door.Request) {
		close(called)
		c.Wait(false, -1, -1)
		h := hottest
		h.Canceled = true
		c.Finish(door.Reply{Hot: &h})
	})
	p := start(t, path, nil, "hot", "--limit", "3")
	take(t, called)
	p.signal(os.Interrupt)
	p.Wait()
	if out := p.out.String(); p.ProcessState.ExitCode() != 130 || !strings.Contains(out, "  user:1\n") || !strings.HasSuffix(out, "dropped, interrupted\n") || p.errOut.Len() > 0 {
		t.Errorf("%s\n%s%s", p.ProcessState, out, &p.errOut)
	}
}

// What was found before an error is shown, with the error.
func TestHotFailedLate(t *testing.T) {
	path := serve(t, func(c *door.Call, r door.Request) {
		h := hottest
		c.Fail(&door.Error{Code: door.CodeHost, Message: "too many watchers", Hint: "end one", Hot: &h})
	})
	p := runWith(t, path, "", "hot")
	p.Wait()
	if out := p.out.String(); p.ProcessState.ExitCode() != exitHost || !strings.Contains(out, "  user:1\n") || p.errOut.String() != "error: too many watchers\nhint: end one\n" {
		t.Errorf("%s\n%s%s", p.ProcessState, out, &p.errOut)
	}
	p = runWith(t, path, "", "hot", "--json")
	p.Wait()
	if out := p.out.String(); p.ProcessState.ExitCode() != exitHost || !strings.Contains(out, `"key": "user:1"`) || !strings.Contains(out, `"error": "too many watchers"`) {
		t.Errorf("%s\n%s%s", p.ProcessState, out, &p.errOut)
	}
}

// Progress says how long it still takes.
func TestHotProgress(t *testing.T) {
	path := serve(t, func(c *door.Call, r door.Request) {
		c.Progress(door.Reply{Hot: &door.HotKeys{Requests: 5, Seconds: 1}})
		c.Finish(door.Reply{Hot: &door.HotKeys{Seconds: 10}})
	})
	runWith(t, path, "", "hot", "--progress", "json").ends(0, "0 keys shown; 0 requests in 10.0 s (0/s): 0 seen, 0 lines of the log dropped\n",
		`{"event":"progress","requests":5,"seen":0,"seconds":1,"left":9}`+"\n")
}

// Whatever memcached answers, the client says what is wrong.
func TestHotFailed(t *testing.T) {
	for errOut, answer := range map[string]func(c *door.Call){
		"error: memcached ended the look at its requests before its end\n": func(c *door.Call) {
			c.Finish(door.Reply{Hot: &door.HotKeys{Canceled: true}})
		},
		"error: memcached went away while its requests were looked at\nhint: see what memcached says on its standard error\n": func(c *door.Call) {},
		"error: not now\n": func(c *door.Call) { c.Fail(&door.Error{Code: door.CodeBusy, Message: "not now"}) },
		"error: the counts do not add up: 1 lines read, but 0 requests and 0 others\n": func(c *door.Call) {
			c.Finish(door.Reply{Hot: &door.HotKeys{Lines: 1}})
		},
		"error: memcached answered a hot with \"result\"\n": func(c *door.Call) { c.Finish(door.Reply{Dump: &door.Dump{}}) },
	} {
		path := serve(t, func(c *door.Call, r door.Request) { answer(c) })
		p := start(t, path, nil, "hot")
		p.Wait()
		if p.errOut.String() != errOut || p.ProcessState.ExitCode() != 1 {
			t.Errorf("%s\n%s%s", p.ProcessState, &p.out, &p.errOut)
		}
	}
}

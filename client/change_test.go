package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/change"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/walk"
)

// A removal removes items from a cache.
type removal struct {
	left  *cache
	added []string
}

func (r *removal) Add(i *walk.Item, _ int64) bool {
	r.added = append(r.added, string(i.Key))
	return true
}

func (r *removal) Len() int { return len(r.added) }

func (r *removal) Apply() (changed walk.Changed, err error) {
	var left cache
	for _, i := range *r.left {
		if !slices.Contains(r.added, string(i.Key)) {
			left = append(left, i)
		}
	}
	changed.Changed = uint64(len(*r.left) - len(left))
	changed.Gone = uint64(len(r.added)) - changed.Changed
	*r.left, r.added = left, nil
	return changed, nil
}

func (r *removal) Close() {}

// A keyed walk is one through the items of listed keys.
type keyed struct {
	cache
	keys walk.Keys
}

func (k keyed) Walk(walk.Options) (walk.Walker, error) { return k, nil }

func (k keyed) Next(each func(*walk.Item) error) error {
	key, err := k.keys.Next()
	if err != nil {
		return err
	}
	for _, i := range k.cache {
		if string(i.Key) == string(key) {
			return each(&i)
		}
	}
	return each(&walk.Item{Key: key, Gone: true})
}

func (keyed) Part() float64 { return 0 }
func (keyed) Close()        {}

// changeable opens a door through which the items of a cache are changed: whatever it is, they are removed. The requests are
// kept.
func changeable(t *testing.T, items ...string) (path string, left *cache, requests *[]door.Request) {
	t.Helper()
	left, requests = &cache{}, &[]door.Request{}
	for _, item := range items {
		key, value, _ := strings.Cut(item, "=")
		*left = append(*left, kept(key, value))
	}
	path = serve(t, func(call *door.Call, request door.Request) {
		*requests = append(*requests, request)
		var source walk.Source = *left
		if request.Keys {
			source = keyed{*left, call.KeyList()}
		}
		var changes walk.Changes = &removal{left, nil}
		if request.DryRun {
			changes = nil
		}
		c, err := change.Change(source, filtered(request), changes, request.Change, request.Limits, change.Hooks{})
		answer := &door.Changed{
			Items: c.Items, Changed: c.Changed, Spared: c.Spared, Gone: c.Gone, Left: c.Left(), DryRun: request.DryRun, Part: c.Part, Engine: door.EngineNative,
		}
		for _, key := range c.Keys {
			answer.Keys = append(answer.Keys, `"`+key+`"`)
		}
		if err != nil {
			call.Fail(&door.Error{Code: door.CodeRequest, Message: err.Error(), Changed: answer})
			return
		}
		call.Finish(door.Reply{Changed: answer})
	})
	return path, left, requests
}

func (c cache) keys() string {
	var keys []string
	for _, i := range c {
		keys = append(keys, string(i.Key))
	}
	return strings.Join(keys, " ")
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		out    string
		errOut string
		left   string
	}{
		{"delete --prefix user:", 0, "2 items met: 2 deleted, 0 spared, 0 gone", "", "page:1"},
		{"delete --match *:1 --min-size 2", 0, "3 items met: 1 deleted, 2 spared, 0 gone", "", "user:2 page:1"},
		{"delete --regex ^page --dry-run", 0, "would delete \"page:1\"\n3 items met: 1 to be deleted, 2 spared, 0 gone", "", "user:1 user:2 page:1"},
		{"delete --match *", 1, "", "error: the conditions hold for all 3 items: nothing was deleted\nhint: --yes means it\n", "user:1 user:2 page:1"},
		{"touch --ttl 60 --match *", 1, "", "error: the conditions hold for all 3 items: nothing was touched\nhint: --yes means it\n", "user:1 user:2 page:1"},
		{"delete --match * --yes", 0, "3 items met: 3 deleted, 0 spared, 0 gone", "", ""},
		{"delete --invalidate --match *", 1, "", "error: the conditions hold for all 3 items: nothing was invalidated\nhint: --yes means it\n", "user:1 user:2 page:1"},
		{"delete --prefix none", 0, "0 items met: 0 deleted, 0 spared, 0 gone", "", "user:1 user:2 page:1"},
	} {
		path, left, requests := changeable(t, "user:1=one", "user:2=2", "page:1=p")
		p := start(t, path, nil, strings.Fields(tt.args)...)
		_ = p.Wait()
		out, _, _ := strings.Cut(p.out.String(), " (") // without the time
		if p.ProcessState.ExitCode() != tt.status || out != tt.out || p.errOut.String() != tt.errOut || left.keys() != tt.left {
			t.Errorf("%s: %s\n%s%s%s\nis left after %d calls", tt.args, p.ProcessState, &p.out, &p.errOut, left.keys(), len(*requests))
		}
	}
}

// What a request says follows from the options.
func TestChangeRequests(t *testing.T) {
	for args, want := range map[string]string{
		"delete --yes --prefix p --match m --regex r --min-size 2k --older-than 1h --min-ttl 10m --never-expires --rate 9 --gentle": `{"version":1,"op":"delete","rate":9,"gentle":true,` +
			`"prefix":"p","match":"m","regex":"r","min_size":2000,"older_than":3600,"min_ttl":600,"never_expires":true}`,
		"delete --yes --invalidate --prefix p --progress json": `{"version":1,"op":"delete","prefix":"p","invalidate":true,"progress":true}`,
		"touch --yes --ttl 1h --ttl-jitter 10% --match *":      `{"version":1,"op":"touch","match":"*","new_ttl":3600,"new_ttl_jitter":"10%"}`,
		"touch --yes --ttl 0 --match * --dry-run":              `{"version":1,"op":"touch","match":"*","dry_run":true}`,
	} {
		path, _, requests := changeable(t, "a=1")
		p := start(t, path, nil, strings.Fields(args)...)
		_ = p.Wait()
		if got, err := json.Marshal((*requests)[0]); err != nil || string(got) != want || len(*requests) != 1 {
			t.Errorf("%s: %s, %v, %d requests; want %s", args, got, err, len(*requests), want)
		}
	}
}

// A list of keys is one a line, a list of items or a dump, compressed or not.
func TestDeleteKeys(t *testing.T) {
	dump := cache{kept("a", "1"), kept("b c", "2")}.dumped(t, nil)
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	const noKey = "hint: one key a line, of 1 to 250 bytes, percent-encoded if it has a space, a control byte or a %; dump --keys-only writes them so\n"
	for list, want := range map[string]struct {
		status      int
		left        string
		out, errOut string
	}{
		"a\nb%20c":                         {0, "d", "2 items met: 2 deleted, 0 spared, 0 gone", ""},
		"a\r\nb%20c\r\nd\r\n":              {0, "", "3 items met: 3 deleted, 0 spared, 0 gone", ""},
		"\ufeffa\n":                        {0, "b c d", "1 item met: 1 deleted, 0 spared, 0 gone", ""},
		"a\na\nnone\n":                     {0, "b c d", "3 items met: 1 deleted, 0 spared, 2 gone", ""},
		string(text):                       {0, "d", "2 items met: 2 deleted, 0 spared, 0 gone", ""},
		"":                                 {0, "a b c d", "0 items met: 0 deleted, 0 spared, 0 gone", ""},
		"a\n\nd\n":                         {1, "b c d", "1 item met: 1 deleted, 0 spared, 0 gone", "error: LIST: line 2: \"\" is no key\n" + noKey},
		"a\nb%2\n":                         {1, "b c d", "1 item met: 1 deleted, 0 spared, 0 gone", "error: LIST: line 2: \"b%2\" is no key\n" + noKey},
		"a\n" + strings.Repeat("x", 1<<20): {1, "b c d", "1 item met: 1 deleted, 0 spared, 0 gone", "error: LIST: line 2 is longer than any key\n"},
		strings.TrimSuffix(string(text), "mn\r\n"): {1, "d", "2 items met: 2 deleted, 0 spared, 0 gone", "error: LIST: the dump is not complete: the keys that are there were used\n"},
	} {
		path, left, _ := changeable(t, "a=1", "b c=2", "d=3")
		name := filepath.Join(t.TempDir(), "LIST")
		if err := os.WriteFile(name, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"LIST", "-"} {
			p := start(t, path, func(c *exec.Cmd) {
				c.Dir = filepath.Dir(name)
				c.Stdin = strings.NewReader(list)
			}, "delete", "--keys", file)
			_ = p.Wait()
			out, _, _ := strings.Cut(p.out.String(), " (")
			errOut := strings.Replace(want.errOut, "LIST", map[string]string{"LIST": "LIST", "-": "standard input"}[file], 1)
			if p.ProcessState.ExitCode() != want.status || p.errOut.String() != errOut || left.keys() != want.left || file == "LIST" && out != want.out {
				t.Errorf("%.40q: %s\n%s%s%s\nis left", list, p.ProcessState, &p.out, &p.errOut, left.keys())
			}
		}
	}
}

// On a terminal a person is asked, who sees what would be changed. Only y means it.
func TestDeleteAsks(t *testing.T) {
	for said, want := range map[string]struct {
		left   string
		status int
	}{"y\n": {"", 0}, "YES\n": {"", 0}, "n\n": {"a b", 1}, "\n": {"a b", 1}, "ye\n": {"a b", 1}, "\x04": {"a b", 1}, "\x03": {"a b", 130}} {
		path, left, requests := changeable(t, "a=1", "b=2")
		master, slave := pty(t)
		p := start(t, path, func(c *exec.Cmd) {
			c.Stdin, c.Stderr = slave, slave
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		}, "delete", "--match", "*")
		var shown string
		room := make([]byte, 4096)
		for !strings.HasSuffix(shown, "? [y/N] ") {
			n, err := master.Read(room)
			if err != nil {
				t.Fatalf("%v after %q", err, shown)
			}
			shown += string(room[:n])
		}
		if !strings.HasSuffix(shown, "would delete \"a\"\r\nwould delete \"b\"\r\ndelete 2 of 2 items? [y/N] ") {
			t.Errorf("it asks %q", shown)
		}
		if _, err := master.WriteString(said); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		if p.ProcessState.ExitCode() != want.status || left.keys() != want.left || want.status != 0 && len(*requests) != 1 {
			t.Errorf("%q: %s, %q is left, %q", said, p.ProcessState, left.keys(), &p.out)
		}
	}
}

// With --json there is one document, whatever happened.
func TestChangeJSON(t *testing.T) {
	failed := &door.Changed{Items: 9, Changed: 3, Spared: 2, Gone: 1, Left: 3, Part: 0.5, Engine: door.EngineNative}
	for name, tt := range map[string]struct {
		reply  door.Reply
		status int
		want   string
		errOut string
	}{
		"done":     {door.Reply{Changed: &door.Changed{Items: 1, Changed: 1}}, 0, `"changed": 1,`, ""},
		"failed":   {door.Reply{Error: &door.Error{Code: door.CodeInternal, Message: "no", Changed: failed}}, 1, `"error": "no"`, "error: no\n"},
		"canceled": {door.Reply{Changed: &door.Changed{Items: 2, Changed: 1, Left: 1, Canceled: true}}, 1, `"canceled": true`, "error: memcached ended it before its end\n"},
		"left":     {door.Reply{Changed: &door.Changed{Items: 2, Changed: 1, Left: 1}}, 1, `"left": 1`, "error: the counts do not add up: all is done, without 1 item that were met\n"},
		"wrong":    {door.Reply{Changed: &door.Changed{Items: 2}}, 1, `"items": 2`, "error: the counts do not add up: 2 items met, but 0 changed, 0 spared, of which 0 replaced, 0 gone and 0 left\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, answering(t, tt.reply), nil, "delete", "--json", "--yes", "--prefix", "a")
			_ = p.Wait()
			if p.ProcessState.ExitCode() != tt.status || !json.Valid(p.out.Bytes()) || !strings.Contains(p.out.String(), tt.want) || p.errOut.String() != tt.errOut {
				t.Errorf("%s: %s%s", p.ProcessState, &p.out, &p.errOut)
			}
		})
	}
}

// A list whose first bytes do not come can be interrupted.
func TestDeleteKeysInterrupted(t *testing.T) {
	path := serve(t, func(*door.Call, door.Request) { t.Error("the door was called") })
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, path, nil, "delete", "--keys", fifo)
	p.reaches(unix.SYS_OPENAT)
	p.signal(syscall.SIGINT)
	p.ends(130, "", "")

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p = start(t, path, func(c *exec.Cmd) { c.Stdin = r }, "touch", "--ttl", "60", "--keys", "-")
	p.reaches(unix.SYS_PPOLL)
	p.signal(syscall.SIGTERM)
	p.ends(130, "", "")
}

// A person at a terminal is told that keys are read there.
func TestDeleteKeysTerminal(t *testing.T) {
	path, left, _ := changeable(t, "a=1", "b=2")
	master, slave := pty(t)
	p := start(t, path, func(c *exec.Cmd) { c.Stdin = slave }, "delete", "--keys", "-")
	if _, err := master.WriteString("a\n\x04"); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if says := p.errOut.String(); says != "reading keys from the terminal; end them with ^D at the beginning of a line\n" || left.keys() != "b" {
		t.Errorf("%s: %q, %s is left", p.ProcessState, says, left.keys())
	}
}

// What a call had done that failed when it was interrupted is said, too.
func TestInterruptedFails(t *testing.T) {
	for command, answer := range map[string]door.Error{
		"delete --prefix a --yes":       {Changed: &door.Changed{Items: 3, Changed: 2, Left: 1}},
		"touch --ttl 9 --match * --yes": {Changed: &door.Changed{Items: 3, Changed: 2, Left: 1}},
		"dump":                          {Dump: &door.Dump{Items: 3, Written: 2, Unwritten: 1}},
	} {
		called := make(chan struct{}, 2)
		path := serve(t, func(c *door.Call, r door.Request) {
			called <- struct{}{}
			if _, err := c.Wait(false, -1, -1); err != nil {
				t.Errorf("Wait: %v", err)
			}
			answer.Code, answer.Message = door.CodeInternal, "it fails"
			c.Fail(&answer)
		})
		p := start(t, path, nil, append(strings.Fields(command), "--json", "--progress", "none")...)
		take(t, called)
		p.signal(os.Interrupt)
		_ = p.Wait()
		said := p.out.String() + p.errOut.String()
		if p.ProcessState.ExitCode() != 130 || !strings.Contains(said, `"items": 3`) || !strings.Contains(said, `"interrupted": true`) {
			t.Errorf("%s: %s: %s", command, p.ProcessState, said)
		}
	}
}

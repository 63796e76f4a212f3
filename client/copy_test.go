package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/client/remote"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/walk"
)

// What the target has of an item is judged by what the source has now, by the item's date and by the mode.
func TestVerification(t *testing.T) {
	now := time.Now().Unix()
	copied := []item{{key: []byte("a"), value: []byte("1")}, {key: []byte("b"), value: []byte("1"), expires: now + 1}, {key: []byte("c"), value: []byte("1"), expires: now + 1000}}
	other := func(i item) item { i.value = []byte("2"); return i }
	if v := newVerification(&copyCommand{selecting: selecting{living: living{NeverExpires: true}}}); v.New != nil {
		t.Error("it is known which items are new, whatever decides")
	}
	for name, test := range map[string]struct {
		mode   record.Mode
		source []item
		has    map[string]uint8 // what the target has; else absent
		want   verifyCounts
	}{
		"the same":       {"", copied, map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{Same: 3}},
		"none":           {"", copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"others":         {"", copied, map[string]uint8{"a": different, "b": different, "c": different}, verifyCounts{Different: 2, Expired: 1}},
		"others, add":    {record.ModeAdd, copied, map[string]uint8{"a": different, "c": different}, verifyCounts{Kept: 2, Expired: 1}},
		"none, add":      {record.ModeAdd, copied, nil, verifyCounts{Missing: 2, Expired: 1}},
		"none, replace":  {record.ModeReplace, copied, nil, verifyCounts{Kept: 2, Expired: 1}},
		"other, replace": {record.ModeReplace, copied, map[string]uint8{"a": different}, verifyCounts{Kept: 1, Different: 1, Expired: 1}},
		"changed":        {"", []item{other(copied[0]), copied[2]}, map[string]uint8{"c": present}, verifyCounts{Changed: 1, Same: 1}},
		"new":            {"", append([]item{{key: []byte("d")}}, copied...), map[string]uint8{"a": present, "b": present, "c": present}, verifyCounts{New: new(uint64(1)), Same: 3}},
		"met twice":      {"", []item{copied[0], other(copied[0]), copied[0]}, map[string]uint8{"a": present}, verifyCounts{Same: 1}},
	} {
		v := newVerification(&copyCommand{Mode: mode(test.mode)})
		for i := range copied {
			v.add(&copied[i])
		}
		v.sort()
		for i := range test.source {
			if n := v.meet(&test.source[i]); n != nil {
				v.judge(test.source[i].key, n, test.has[string(test.source[i].key)], "value")
			}
		}
		wrong := v.Missing + v.Different
		if uint64(len(v.Wrong)) != wrong {
			t.Errorf("%s: %d are listed of %d", name, len(v.Wrong), wrong)
		}
		if test.want.New == nil {
			test.want.New = new(uint64)
		}
		if v.Wrong = nil; !reflect.DeepEqual(v.verifyCounts, test.want) {
			t.Errorf("%s: %+v, want %+v", name, v.verifyCounts, test.want)
		}
	}
}

// copiedFrom serves a door with a cache that is copied, for calls that the function that is passed does not finish. The status
// has the number of a process.
func (c cache) copiedFrom(t *testing.T, pid int, finish func(*door.Call, door.Request) bool) (path string) {
	t.Helper()
	return serve(t, func(call *door.Call, request door.Request) {
		if finish(call, request) {
			return
		}
		if request.Op == door.OpStatus {
			call.Finish(door.Reply{Status: &door.Status{PID: pid}})
			return
		}
		var items walk.Source = c
		if request.Keys {
			items = keyed{c, call.KeyList()}
		}
		counts, err := dump.Dump(items, filtered(request), call.Output, request.Items, dump.Hooks{})
		if err != nil {
			t.Error(err)
		}
		call.Finish(door.Reply{Dump: &door.Dump{Items: counts.Items, Written: counts.Written, Filtered: counts.Filtered, Gone: counts.Gone, Engine: door.EngineNative}})
	})
}

// plainMemcached starts a memcached without the library, and returns its own socket.
func plainMemcached(t *testing.T) (pid int, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "memcached")
	c := exec.Command(filepath.Join(testDir, "..", "build", "hosts", "stock", "memcached"), "-u", "root", "-s", socket)
	if err := c.Start(); err != nil {
		t.Fatalf("%v; run `make hosts`", err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return c.Process.Pid, socket
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// In two containers two memcacheds can have processes of the same number: one is copied into the other, and nothing else
// is left there.
func TestCopySameNumber(t *testing.T) {
	pid, socket := plainMemcached(t)
	var asked atomic.Int32
	path := cache{kept("a", "1"), kept("b", "2")}.copiedFrom(t, pid, func(_ *door.Call, r door.Request) bool {
		if r.Keys {
			asked.Add(1)
		}
		return false
	})
	p := start(t, path, nil, "--json", "copy", "--to", socket)
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, &p.out, &p.errOut)
	}
	var got copyCounts
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || got.Copied != 2 || got.Verified.Same != 2 || asked.Load() != 1 {
		t.Errorf("%v, asked %d times: %s", err, asked.Load(), &p.out)
	}
	conn, err := remote.Dial(remote.Address{Network: "unix", Address: socket, Limit: remote.DefaultLimit})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.PID != pid {
		t.Errorf("process %d, want %d", conn.PID, pid)
	}
}

// answerTo sends one command on a connection of its own, and returns the answer's first line, or the statistic of a name.
func answerTo(t *testing.T, socket, command, statistic string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "END"; {
		if value, ok := strings.CutPrefix(in.Text(), "STAT "+statistic+" "); ok || statistic == "" {
			return cmp.Or(value, in.Text())
		}
	}
	t.Fatalf("no answer to %s", command)
	return ""
}

// A comparison that is interrupted gives the tokens back that it has won, and says nothing that is not known.
func TestCopyVerifyInterrupted(t *testing.T) {
	_, socket := plainMemcached(t)
	stale := kept("stale", "1")
	stale.Stale = true
	c := cache{stale}
	for n := range 10_000 {
		c = append(c, kept(fmt.Sprint("key", n), "v"))
	}
	dumps, compared := 0, make(chan struct{})
	path := c.copiedFrom(t, 1, func(call *door.Call, r door.Request) bool {
		if r.Op != door.OpDump {
			return false
		}
		if dumps++; dumps == 1 {
			return false
		}
		if _, err := dump.Dump(c, nil, call.Output, r.Items, dump.Hooks{}); err != nil {
			t.Error(err)
		}
		close(compared)
		if _, err := call.Wait(false, -1, -1); err != nil {
			t.Error(err)
		}
		call.Finish(door.Reply{Dump: &door.Dump{Items: 10_001, Written: 10_001, Canceled: true, Engine: door.EngineNative}})
		return true
	})
	p := start(t, path, nil, "--json", "copy", "--to", socket)
	take(t, compared)
	for end := time.Now().Add(20 * time.Second); answerTo(t, socket, "stats", "get_hits") == "0"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is compared")
		}
	}
	p.signal(os.Interrupt)
	_ = p.Wait()
	var got copyDocument
	got.copyCounts = &copyCounts{}
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil || p.ProcessState.ExitCode() != 130 || !got.Interrupted || got.Copied != 10_001 || got.Verified != nil {
		t.Errorf("%s, %v: %s%s", p.ProcessState, err, &p.out, &p.errOut)
	}
	if got := answerTo(t, socket, "mg stale s", ""); !strings.HasPrefix(got, "HD s1 ") || !strings.Contains(got, " W") {
		t.Errorf("the token is not given back: %q", got)
	}
}

// A target that fails while it is compared ends that: the rest of the source is not read.
func TestCopyVerifyFails(t *testing.T) {
	pid, socket := plainMemcached(t)
	var c cache
	for n := range 10_000 { // the questions about so many fill a buffer
		c = append(c, kept(fmt.Sprint("key", n), "v"))
	}
	dumps, ended := 0, make(chan error, 1)
	path := c.copiedFrom(t, 1, func(call *door.Call, r door.Request) bool {
		if r.Op != door.OpDump {
			return false
		}
		if dumps++; dumps == 1 {
			return false
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_, err := dump.Dump(c, nil, call.Output, r.Items, dump.Hooks{})
		large := cache{kept("large", strings.Repeat("v", 1<<20))}
		for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
			_, err = dump.Dump(large, nil, call.Output, r.Items, dump.Hooks{})
		}
		ended <- err
		call.Fail(&door.Error{Code: door.CodeWrite, Message: fmt.Sprint(err), Dump: &door.Dump{}})
		return true
	})
	p := start(t, path, nil, "copy", "--to", socket)
	if err := take(t, ended); err == nil {
		t.Error("the source is read for 10 s")
	}
	_ = p.Wait()
	if says := p.errOut.String(); p.ProcessState.ExitCode() != 1 || !strings.Contains(says, "error: the copy is done, and cannot be verified: "+socket+": it has closed the connection") {
		t.Errorf("%s: %s%s", p.ProcessState, &p.out, says)
	}
}

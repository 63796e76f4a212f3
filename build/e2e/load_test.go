package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

func TestRouteIsReported(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		status := server.waitDoor()
		if status.Route != s.route {
			t.Errorf("route %q, want %q", status.Route, s.route)
		}
		if status.PID != server.pid() || status.Workers != 4 || status.ItemSizeMax != 1<<20 {
			t.Errorf("status %+v", status)
		}
		if (status.Engine == door.EngineNative) != s.native() || status.Engine == door.EngineNone || (status.Reason == "") != s.native() {
			t.Errorf("engine %q, reason %q", status.Engine, status.Reason)
		}
		if got := server.output.String(); (got == "") != s.native() || strings.Count(got, "\n") > 1 {
			t.Errorf("memcached wrote %q", got)
		}
	})
}

// Every kind of good and bad line, and what the client says of them.
func TestGoodAndBadLines(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		good := map[string]string{
			"plain":                  "value",
			"empty":                  "",
			"tabs":                   "a\tb\t\tc\t",
			"carriage":               "value\r",
			"binary":                 "\x00\x01\xff\xfe\x7f value",
			"utf8-smörgås":           "блокнот 🗒",
			strings.Repeat("k", 250): "longest key",
			"last":                   "no line feed",
		}
		var rows bytes.Buffer
		for key, value := range good {
			if key != "last" {
				fmt.Fprintf(&rows, "%s\t%s\n", key, value)
			}
		}
		first := len(good) // the first bad line
		rows.WriteString("no tab\n" + "\tempty key\n" + strings.Repeat("k", 251) + "\tlong\n" +
			"a b\tspace\n" + "a\x01b\tcontrol\n" + "big\t" + strings.Repeat("x", 1<<20) + "\n" + "\n")
		rows.WriteString("last\t" + good["last"])

		stdout, stderr, status := server.client(rows.Bytes())
		if status != 3 {
			t.Errorf("status %d, want 3: some rows rejected", status)
		}
		want := fmt.Sprintf("%d rows read: %d stored, 7 rejected, 0 skipped", len(good)+7, len(good))
		if !strings.HasPrefix(stdout, want) {
			t.Errorf("stdout %q, want %q", stdout, want)
		}
		for i, reason := range []string{
			": no tab between key and value", ": empty key", ", byte 251: key longer than 250 bytes",
			", byte 2: space or control byte in the key", ", byte 2: space or control byte in the key",
			": value too large for memcached's item size limit (-I)", ": no tab between key and value",
		} {
			if line := fmt.Sprintf("line %d%s", first+i, reason); !strings.Contains(stderr, line) {
				t.Errorf("stderr lacks %q:\n%s", line, stderr)
			}
		}
		for key, value := range good {
			if got := server.get(key); got != value {
				t.Errorf("get %q: %q, want %q", key, got, value)
			}
		}
		server.missing("big")
	})
}

// More than ten bad lines: ten are shown, all are counted.
func TestTenRejectsAreShown(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		rows := strings.Repeat("bad\n", 15) + "good\tvalue\n"
		stdout, stderr, status := server.client([]byte(rows))
		if status != 3 || !strings.HasPrefix(stdout, "16 rows read: 1 stored, 15 rejected, 0 skipped") {
			t.Errorf("status %d, stdout %q", status, stdout)
		}
		if n := strings.Count(stderr, "line "); n != 10 || !strings.Contains(stderr, "5 more") {
			t.Errorf("%d lines on stderr:\n%s", n, stderr)
		}
	})
}

func TestLoadOptions(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		server.load(door.Request{Rows: door.Rows{Flags: 0xdeadbeef, TTL: 1000}}, []byte("k\tfirst\n"))
		item, err := server.cache().Get("k")
		if err != nil || string(item.Value) != "first" || item.Flags != 0xdeadbeef {
			t.Fatalf("item %+v, %v", item, err)
		}
		if item.CasID == 0 {
			t.Error("the item has no CAS")
		}
		if left := server.metaTTL("k"); left < 995 || left > 1001 {
			t.Errorf("%d s to live, want 1000", left)
		}

		l := server.load(door.Request{Rows: door.Rows{Mode: record.ModeAdd}}, []byte("k\tsecond\nnew\tadded\n"))
		if l.Stored != 1 || l.Skipped != 1 || l.Reasons["key exists"] != 1 || server.get("k") != "first" {
			t.Errorf("add: %+v, value %q", l, server.get("k"))
		}
		l = server.load(door.Request{Rows: door.Rows{Mode: record.ModeReplace}}, []byte("k\tthird\nother\treplaced\n"))
		if l.Stored != 1 || l.Skipped != 1 || l.Reasons["key does not exist"] != 1 || server.get("k") != "third" {
			t.Errorf("replace: %+v, value %q", l, server.get("k"))
		}
		server.missing("other")
		if left := server.metaTTL("k"); left != -1 {
			t.Errorf("%d s to live, want none", left)
		}

		// memcached's own rule would take this for a date in 1970 and drop the item.
		server.load(door.Request{Rows: door.Rows{TTL: 100 * 24 * 3600}}, []byte("long\tlived\n"))
		if left := server.metaTTL("long"); left < 100*24*3600-5 {
			t.Errorf("%d s to live, want 100 days", left)
		}
		server.load(door.Request{Rows: door.Rows{TTL: 1}}, []byte("short\tlived\n"))
		wait(t, "an item to expire", func() error {
			if _, err := server.cache().Get("short"); err != memcache.ErrCacheMiss {
				return fmt.Errorf("still there (%v)", err)
			}
			return nil
		})
		// What memcached itself counts.
		if n := server.stat("", "curr_items"); n != 3 && n != 4 {
			t.Errorf("%d items, want k, new, long", n)
		}
	})
}

// Values around and above slab_chunk_max (512 KB), which are stored in chunks.
func TestLargeValues(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program, "-I", "9m", "-m", "1024")
		random := rand.NewChaCha8([32]byte{1})
		var rows bytes.Buffer
		values := map[string][]byte{}
		for _, size := range []int{
			100 << 10, 512<<10 - 100, 512 << 10, 512<<10 + 1, 700000, 1 << 20,
			2500000, 8 << 20, 8<<20 + 1, 8<<20 + 511,
		} {
			value := make([]byte, size)
			random.Read(value)
			for i, b := range value {
				if b == '\n' {
					value[i] = 0
				}
			}
			key := fmt.Sprintf("size_%d", size)
			values[key] = value
			fmt.Fprintf(&rows, "%s\t%s\n", key, value)
		}
		fmt.Fprintf(&rows, "too_large\t%s\nsmall\tvalue\n", bytes.Repeat([]byte{'x'}, 20<<20))
		values["small"] = []byte("value")

		for _, flags := range []uint32{0, 7} {
			l := server.load(door.Request{Rows: door.Rows{Flags: flags}}, rows.Bytes())
			if int(l.Stored) != len(values) || l.Rejected != 1 || l.Rejects[0].Line != uint64(len(values)) {
				t.Fatalf("%+v", l)
			}
			for key, value := range values {
				item, err := server.cache().Get(key)
				if err != nil || !bytes.Equal(item.Value, value) || item.Flags != flags {
					t.Errorf("flags %d: %s differs (%v)", flags, key, err)
				}
			}
		}
		server.missing("too_large")
	})
}

// A value that cannot be stored takes the key's old one with it: a stale value is worse than none.
func TestRejectRemovesOldValue(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		server.load(door.Request{}, []byte("k\told\nuntouched\told\n"))
		// Just too large for an item, and too large for the loader to take in whole.
		for _, size := range []int{1 << 20, 5 << 20} {
			server.load(door.Request{}, []byte("k\told\n"))
			l := server.load(door.Request{}, []byte("k\t"+strings.Repeat("x", size)+"\nnext\tvalue\n"))
			if l.Rejected != 1 || l.Stored != 1 || l.Rejects[0].Line != 1 || l.Rejects[0].Key != `"k"` {
				t.Fatalf("%+v", l)
			}
			server.missing("k")
		}
		if got := server.get("untouched"); got != "old" {
			t.Errorf("untouched: %q", got)
		}
		// add and replace would not have changed it.
		server.load(door.Request{}, []byte("k\tnew\n"))
		server.load(door.Request{Rows: door.Rows{Mode: record.ModeReplace}}, []byte("k\t"+strings.Repeat("x", 1<<20)))
		if got := server.get("k"); got != "new" {
			t.Errorf("after a failed replace: %q", got)
		}
	})
}

// The article's bare call, a descriptor and nothing else, by the documented client in Python.
func TestBareCall(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		text := strings.ReplaceAll(blockWith(t, "preload/README.md", "python", "send_fds"), door.DefaultPath, server.door)
		cmd := exec.Command("python3", "-c", text)
		cmd.Stdin = strings.NewReader("user_1\tTrond\n")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "'stored': 1") {
			t.Fatalf("%v: %s", err, out)
		}
		if got := server.get("user_1"); got != "Trond" {
			t.Errorf("user_1: %q", got)
		}
	})
}

// What is no input is refused with words, and costs the door nothing.
func TestBadDescriptors(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		before := server.descriptors()
		directory, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer directory.Close()
		writeOnly, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer writeOnly.Close()
		file := fileOf(t, []byte("k\tv\n"))
		for _, test := range []struct {
			name  string
			files []*os.File
		}{
			{"none", nil},
			{"two", []*os.File{file, file}},
			{"directory", []*os.File{directory}},
			{"write only", []*os.File{writeOnly}},
		} {
			reply, err := call(server.door, door.Request{Op: door.OpLoad}, test.files...)
			if err != nil || reply.Error == nil || reply.Error.Code != door.CodeDescriptor {
				t.Errorf("%s: %+v, %v", test.name, reply.Error, err)
			}
		}
		if now := server.descriptors(); now != before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		server.missing("k")
	})
}

// A load into memcached's restartable memory (-e), whose mapping is shared: the proof's
// child must leave it alone.
func TestRestartableMemory(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		restart(t, h, filepath.Join(t.TempDir(), "memory"))
	})
}

// restart loads into a memcached whose memory is a file, ends it, and looks what the next one has.
func restart(t *testing.T, h shape, memory string) {
	server := newServer(t, h.program, "-e", memory, "-m", "64")
	server.start()
	if status := server.waitDoor(); h.native() && status.Engine != door.EngineNative {
		t.Fatalf("%+v", status)
	}
	var rows bytes.Buffer
	const n = 50000
	for i := range n {
		fmt.Fprintf(&rows, "key_%d\tvalue_%d\n", i, i)
	}
	if l := server.load(door.Request{}, rows.Bytes()); l.Stored != n {
		t.Fatalf("%+v", l)
	}
	if status := server.end(syscall.SIGUSR1); status.ExitStatus() != 0 {
		t.Fatalf("SIGUSR1: %v\n%s", status, server.output.String())
	}
	// memcached takes its memory back only if its clock went on meanwhile (memcached.c:
	// _mc_meta_load_cb), in whole seconds.
	stopped := time.Now().Unix()
	wait(t, "the next second", func() error {
		if time.Now().Unix() == stopped {
			return fmt.Errorf("still %d", stopped)
		}
		return nil
	})
	again := newServer(t, h.program, "-e", memory, "-m", "64")
	again.start()
	again.waitDoor()
	cache := again.cache()
	for i := range n {
		key := fmt.Sprintf("key_%d", i)
		item, err := cache.Get(key)
		if err != nil || string(item.Value) != fmt.Sprintf("value_%d", i) {
			t.Fatalf("%s after the restart: %+v, %v", key, item, err)
		}
	}
	if l := again.load(door.Request{Rows: door.Rows{TTL: 500}}, []byte("new\tvalue\n")); l.Stored != 1 {
		t.Fatalf("%+v", l)
	}
	if left := again.metaTTL("new"); left < 495 || left > 501 {
		t.Errorf("%d s to live, want 500", left)
	}
}

// A load whose pipe stalls delays no other, and continues when its rows come.
func TestStalledPipeStopsNoOther(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		server := start(t, h.program)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		type result struct {
			reply door.Reply
			err   error
		}
		stalled := make(chan result, 1)
		go func() {
			reply, err := call(server.door, door.Request{Op: door.OpLoad}, r)
			stalled <- result{reply, err}
		}()
		fmt.Fprintf(w, "before\tvalue\nhalf a ro")
		wait(t, "the first row", func() error { _, err := server.cache().Get("before"); return err })
		// Several seconds' worth of other loads while it stalls.
		for began := time.Now(); time.Since(began) < 3*time.Second; {
			if l := server.load(door.Request{}, []byte("other\tvalue\n")); l.Stored != 1 {
				t.Fatalf("%+v", l)
			}
		}
		fmt.Fprintf(w, "w\trejected for its space\nafter\tvalue\n")
		w.Close()
		got := <-stalled
		if got.err != nil || got.reply.Load == nil || got.reply.Load.Stored != 2 || got.reply.Load.Rejected != 1 {
			t.Fatalf("%+v, %v", got.reply.Load, got.err)
		}
		if server.get("after") != "value" {
			t.Error("after differs")
		}
	})
}

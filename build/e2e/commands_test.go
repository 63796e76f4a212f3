package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// memcachedTool is Debian's, which has it outside of the path.
const memcachedTool = "/usr/share/memcached/scripts/memcached-tool"

// What memcached-tool dump writes of one memcached makes another the same: values, flags and times to live.
func TestMemcachedTool(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		from := newServer(t, stock(t))
		from.preload = ""
		from.onPort("127.0.0.1", "-l", "127.0.0.1")
		from.start()
		from.waitServing()
		texts := hostile()
		random := make([]byte, 100<<10)
		rand.NewChaCha8([32]byte{1}).Read(random)
		texts["random"] = string(random)
		texts["command"] = "a\r\nset plain 0 0 1\r\nx\r\nEND\r\n"
		texts[strings.Repeat("k", 250)] = "longest key"
		texts["ключ:%25"] = "a key that is escaped"
		lives := []int32{0, 500, 30 * 24 * 3600, int32(time.Now().Unix()) + 100*24*3600}
		i := 0
		items := map[string]*memcache.Item{}
		for key, text := range texts {
			items[key] = &memcache.Item{Key: key, Value: []byte(text), Flags: uint32(i) * 0x10001, Expiration: lives[i%len(lives)]}
			if err := from.cache().Set(items[key]); err != nil {
				t.Fatal(err)
			}
			i++
		}
		n := uint64(len(texts))
		dump := func() *exec.Cmd { return exec.Command(memcachedTool, from.socket, "dump") }
		to := start(t, h.program)
		began := to.clock()
		to.pipe(dump(), account{rows: n, stored: n}, "--from", "memcached")
		for range 2 {
			to.holds(texts)
			for key, item := range items {
				got, err := to.cache().Get(key)
				if err != nil || got.Flags != item.Flags {
					t.Fatalf("%q: flags %d, want %d, %v", key, got.Flags, item.Flags, err)
				}
				life := int64(-1)
				if date := from.date(key); date != 0 {
					life = date - began.machine
				}
				to.lasts(key, life, began)
			}
			// What it writes is add: nothing that is there is stored again, unless it is asked for.
			to.pipe(dump(), account{rows: n, skipped: n}, "--from", "memcached")
			if err := to.cache().Set(&memcache.Item{Key: "plain", Value: []byte("another")}); err != nil {
				t.Fatal(err)
			}
			out, err := dump().Output()
			if err != nil {
				t.Fatal(err)
			}
			to.outcome(nil, account{rows: n, stored: n}, "--mode", "set", written(t, "dump.memcached", out))
		}
		to.lives()
	})
}

// What a client sends to a memcached, and what is written down as that, has the same effect when it is loaded.
func TestCommands(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		loaded, sent := start(t, h.program), start(t, h.program)
		began := map[*server]clock{loaded: loaded.clock(), sent: sent.clock()}
		in31Days, past := began[sent].machine+31*24*3600, began[sent].machine-1
		stream := recorded(t) + "set old 1 0 3\r\nold\r\n" + "add old 2 0 3\r\nnew\r\n" + "replace none 0 0 1\r\nx\r\n" +
			"replace old 3 500 8 noreply\r\nreplaced\r\n" + "add new 4 2592000 0\r\n\r\n" +
			fmt.Sprintf("set date 5 %d 2\r\n\r\n\r\n", in31Days) + fmt.Sprintf("set past 5 %d 2\r\nxx\r\n", past) + "set gone 5 -1 2\r\nxx\r\n" +
			"ms meta 4 T600 F4294967295 q\r\na\nb\r\r\n" + "ms plain 1\r\nx\r\n" + "ms plain 1 ME\r\ny\r\n" + "ms plain 3 MR F9 O123 k\r\nxyz\r\n" +
			"ms b2xkOmtleQ== 5 b F1 T-1\r\nthere\r\n" + "ms a2V5OmI2NA== 5 b F1\r\nthere\r\n" + "mn\r\n"
		// What has expired takes the old value with it, unless it is added.
		for i, expired := range []string{"set stale_0 0 -1 1", fmt.Sprintf("replace stale_1 0 %d 1", past), "add stale_2 0 -1 1", "ms stale_3 1 T-1"} {
			stream += fmt.Sprintf("set stale_%d 0 0 3\r\nold\r\n%s\r\nx\r\n", i, expired)
		}
		l := loaded.outcome(strings.NewReader(stream), account{rows: 28, stored: 18, skipped: 10}, "--from", "memcached")
		if l.Reasons["expired already"] != 7 || l.Reasons["key exists"] != 2 || l.Reasons["key does not exist"] != 1 {
			t.Errorf("reasons %v", l.Reasons)
		}

		conn := dial(sent)
		defer conn.Close()
		if _, err := io.WriteString(conn, stream+"quit\r\n"); err != nil {
			t.Fatal(err)
		}
		if answers, err := io.ReadAll(conn); err != nil || bytes.Contains(answers, []byte("ERROR")) {
			t.Fatalf("memcached answers %q, %v", answers, err)
		}
		const never = -1
		for key, seconds := range map[string]int64{
			"client_0": never, "client_1": 1000, "client_2": 2000, "client_3": 3000, "client_4": 4000, "client_5": 5000,
			"old": 500, "none": never, "new": 2592000, "date": 31 * 24 * 3600, "past": never, "gone": never,
			"meta": 600, "plain": never, "old:key": never, "key:b64": never,
			"stale_0": never, "stale_1": never, "stale_2": never, "stale_3": never,
		} {
			want, err := sent.cache().Get(key)
			if err != nil {
				loaded.missing(key)
				continue
			}
			got, err := loaded.cache().Get(key)
			if err != nil || got.Flags != want.Flags || !bytes.Equal(got.Value, want.Value) {
				t.Errorf("%s: %+v, %v, want %+v", key, got, err, want)
				continue
			}
			for s, began := range began {
				s.lasts(key, seconds, began)
			}
		}
		if got, want := loaded.stat("", "curr_items"), sent.stat("", "curr_items"); got != want {
			t.Errorf("%d items, want %d", got, want)
		}
		loaded.lives()
	})
}

// recorded is what gomemcache writes to store some items.
func recorded(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cache := memcache.New(l.Addr().String())
	cache.Timeout = waitLimit
	stream := make(chan string)
	go func() {
		defer close(stream)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		var all strings.Builder
		buffer := make([]byte, 1<<20) // each item is written at once
		for {
			n, err := conn.Read(buffer)
			all.Write(buffer[:n])
			if err != nil {
				break
			}
			io.WriteString(conn, "STORED\r\n")
		}
		stream <- all.String()
	}()
	for i, value := range []string{"value", "", "\r\n", "a\r\nset b 0 0 1\r\nc", "\x00\xff\n", strings.Repeat("long\r\n", 100)} {
		item := &memcache.Item{Key: fmt.Sprintf("client_%d", i), Value: []byte(value), Flags: uint32(i), Expiration: int32(i * 1000)}
		store := []func(*memcache.Item) error{cache.Set, cache.Add}[i%2]
		if err := store(item); err != nil {
			t.Fatal(err)
		}
	}
	cache.Close()
	return <-stream
}

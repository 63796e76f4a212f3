package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

var inBrowser = flag.Bool("browser", false, "look at a report in chromium")

// chunks is what memcached's own statistics say of its slab classes: chunks that are used, and their bytes.
func (s *server) chunks() (used, bytes uint64) {
	s.t.Helper()
	size := map[string]uint64{}
	number := regexp.MustCompile(`^STAT (\d+):(chunk_size|used_chunks) (\d+)$`)
	for _, line := range s.ask("stats slabs", regexp.MustCompile("^END$")) {
		m := number.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, err := strconv.ParseUint(m[3], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		if m[2] == "chunk_size" {
			size[m[1]] = n
		} else {
			used += n
			bytes += n * size[m[1]]
		}
	}
	return used, bytes
}

// reported is what report --json says.
type reported struct {
	Items, Shown, Filtered, Lost, Bytes, Memory uint64
	Engine                                      door.Engine
}

// The memory in a report is that of memcached's own statistics, chunk by chunk, also of large items and of keys that are binary.
func TestReport(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		const large = `{"key":"img:{n}","size":[520000,1000000],"count":40}
{"key":"img:exact","size":524288}
{"key":"flags:{n}","size":[1,9000],"flags":9,"ttl":"1d","count":3000}
`
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(large)); l.Stored != 3041 {
			t.Fatalf("%+v", l)
		}
		s.inspect()
		file := filepath.Join(s.dir, "cache.html")
		var got reported
		s.printed(&got, 0, "report", file)
		used, bytes := s.chunks()
		if got.Items != 203_042 || got.Shown != got.Items || got.Filtered+got.Lost != 0 || got.Memory != bytes {
			t.Errorf("%+v; memcached says %d chunks of %d bytes", got, used, bytes)
		}
		if native := got.Engine == door.EngineNative; native != h.native() {
			t.Errorf("%+v", got)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := regexp.MustCompile(`<bdi>All</bdi></th><td>203042</td><td>[^<]*</td><td>[^<]*</td><td>0 B</td>`)
		if !all.Match(text) || !strings.Contains(string(text), "<dd>203042</dd>") {
			t.Errorf("%s", regexp.MustCompile(`<tr><th scope="row"><bdi>(All|[0-9.]+ k?B)</bdi>.*`).FindAll(text, -1))
		}
		s.printed(&got, 0, "report", "--match", "user:?", file)
		if got.Items != 203_042 || got.Shown != 2 || got.Filtered != 203_040 || got.Bytes != 300_000 {
			t.Errorf("%+v", got)
		}
		s.lives()
	})
}

// Of an item in extstore the memory is that of its header.
func TestReportExtstore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		storage := filepath.Join(t.TempDir(), "storage")
		s := start(t, h.program, "-m", "512", "-o", "ext_path="+storage+":256m,ext_item_size=512,ext_item_age=0,ext_threads=2,slab_automove=0,ext_low_ttl=0")
		const rows = `{"key":"k:{n}","size":[0,4000],"count":6000}
{"key":"flags:{n}","size":[0,4000],"flags":3,"count":1000}
{"key":"large:{n}","size":640000,"count":5}
`
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows)); l.Stored != 7005 {
			t.Fatalf("%+v", l)
		}
		file := filepath.Join(s.dir, "cache.html")
		wait(t, "items on the disk, and a moment in which no item goes there", func() error {
			n := s.stat("", "extstore_objects_written")
			var got reported
			s.printed(&got, 0, "report", file)
			_, bytes := s.chunks()
			if n < 2000 || got.Shown != 7005 || got.Memory != bytes {
				return fmt.Errorf("%d objects are written, %+v, memcached says %d bytes", n, got, bytes)
			}
			return nil
		})
		s.lives()
	})
}

// A report that cannot be made leaves nothing, and the one before stays.
func TestReportStays(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.load(door.Request{}, []byte("a:1\tx\n"))
	dir := directoryOf(t, "report")
	file := filepath.Join(dir, "cache.html")
	if _, errOut, status := s.client(nil, "report", file); status != 0 {
		t.Fatal(errOut)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.end(syscall.SIGTERM)
	if _, errOut, status := s.client(nil, "report", file); status != 10 {
		t.Errorf("status %d: %s", status, errOut)
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != string(before) {
		t.Errorf("%v: %.100q", err, after)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

// The times to live are counted to the item.
func TestTTLs(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		const rows = `{"key":"session:eu:{n}","size":100,"ttl":"90m","count":5000}
{"key":"session:us:{n}","size":10,"ttl":"6h","count":3000}
{"key":"user:1","size":3000,"flags":7}
{"key":"user:2","value":"","ttl":"50h"}
`
		if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(rows)); l.Stored != 8002 {
			t.Fatalf("%+v", l)
		}
		s.setBinary("one")
		type bin struct{ From, To int64 }
		type sum struct{ Keys, Bytes uint64 }
		var got struct {
			Items, Bytes uint64
			TTL          []struct {
				bin
				sum
			}
			Never sum `json:"never_expire"`
		}
		s.printed(&got, 0, "ttl")
		seen := map[bin]sum{}
		for _, b := range got.TTL {
			if b.Keys > 0 {
				seen[b.bin] = b.sum
			}
		}
		const hour = 3600
		want := map[bin]sum{{hour, 2 * hour}: {5000, 500_000}, {4 * hour, 8 * hour}: {3000, 30_000}, {48 * hour, 96 * hour}: {1, 0}}
		if !maps.Equal(seen, want) || got.Items != 8003 || got.Bytes != 533_003 || got.Never != (sum{2, 3003}) {
			t.Errorf("%+v, want %v", got, want)
		}
		out, errOut, status := s.client(nil, "ttl", "--prefix", "session:")
		if status != 0 || errOut != "" || !strings.Contains(out, "\n1h to 2h  ") || !strings.Contains(out, "\n8000 items: 8000 expiring, 0 for ever (530.0 kB of values, ") {
			t.Errorf("status %d: %s%s", status, out, errOut)
		}
	})
}

// markup are items whose keys would be markup, and would call a script.
const markup = `{"key":"</script><script>alert(1)</script>:{n}","size":5000,"count":300}
{"key":"<img/src=http://127.0.0.1:1/x/onerror=alert(2)>:{n}:x","size":4000,"ttl":"1h","count":300}
{"key":"\"onmouseover=alert(3)x=\":{n}","size":3000,"ttl":"2d","count":300}
{"key":"</title></svg><style>@import'http://127.0.0.1:1/'</style>:1","size":900000}
{"key":"a_key_of_many_bytes_without_any_delimiter_in_it_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","size":800000}
{"key":"日本語のキー:{n}:ключ:😀","size":3000,"count":300}
`

// In a browser a report asks for nothing, runs nothing, and has room on any screen; its keys are text.
func TestReportInBrowser(t *testing.T) {
	if !*inBrowser {
		t.Skip("`make test-report` runs it: chromium is large")
	}
	s := start(t, stock(t), "-m", "256")
	if l := s.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(markup)); l.Stored != 1202 {
		t.Fatalf("%+v", l)
	}
	s.inspect()
	file := filepath.Join(s.dir, "cache.html")
	stop := s.asking("get nobody\r\nget <script>alert(4)</script>:"+strings.Repeat("y", 200)+"\r\n", 2, time.Millisecond)
	out, errOut, status := s.client(nil, "report", "--hot", "500ms", file)
	stop()
	if status != 0 {
		t.Fatal(out, errOut)
	}
	pictures := filepath.Join(built(t, "."), "report")
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	b := browser(t)
	for _, on := range []screen{
		{"light", 1200, 900, "light", "screen"}, {"dark", 1200, 900, "dark", "screen"}, {"phone", 360, 740, "light", "screen"},
		{"phone-dark", 360, 740, "dark", "screen"}, {"print", 794, 1123, "light", "print"},
	} {
		t.Run(on.name, func(t *testing.T) {
			b.t = t
			url := "file://" + file
			b.open(url, on)
			b.evaluate("document.querySelectorAll('details').forEach(d => d.open = true), 0", new(int))
			b.looks(on)
			b.picture(filepath.Join(pictures, on.name+".png"))
			if others := b.others(url); len(others) > 0 || len(b.errors) > 0 {
				t.Errorf("it asks for %q, and says %q", others, b.errors)
			}
		})
	}
	b.t = t
	b.open("file://"+built(t, "../client/prefixes.svg"), screen{"alone", 900, 460, "light", "screen"})
	if len(b.requests) != 1 || len(b.errors) > 0 {
		t.Errorf("a picture asks for %q, and says %q", b.requests, b.errors)
	}
}

// looks checks what is seen of the page: there is no element of a key's, nothing is wider than the screen, texts in pictures are
// within them and do not overlap, and each text can be told from what is behind it.
func (b *chromium) looks(on screen) {
	b.t.Helper()
	var found struct {
		Foreign           []string
		Width, View       int
		Wide              []string
		Outside, Overlaps []string
		Texts             int
		Background, Ink   string
		Largest           string
	}
	b.evaluate(looking, &found)
	if len(found.Foreign) > 0 {
		b.t.Errorf("elements that are not the page's: %q", found.Foreign)
	}
	if found.Width > on.width || len(found.Wide) > 0 {
		b.t.Errorf("%d pixels are wider than the screen: %q", found.Width, found.Wide)
	}
	if found.Texts < 50 || len(found.Outside) > 0 || len(found.Overlaps) > 0 {
		b.t.Errorf("%d texts, outside of their pictures: %q, above others: %q", found.Texts, found.Outside, found.Overlaps)
	}
	if dark := found.Background == "rgb(21, 24, 28)"; dark != (on.scheme == "dark") {
		b.t.Errorf("the page's color is %s", found.Background)
	}
	if !strings.HasPrefix(found.Largest, "</title></svg><style>") {
		b.t.Errorf("the largest item is %q", found.Largest)
	}
}

// looking is what looks asks the page.
const looking = `(() => {
  const own = new Set('html head meta link title style body header h1 h2 p dl div dt dd main section svg desc g rect text path details summary table thead tbody tr th td bdi footer'.split(' '));
  const all = [...document.querySelectorAll('*')];
  const width = document.documentElement.clientWidth;
  const shown = e => e.getClientRects().length > 0;
  const texts = all.filter(e => e.tagName == 'text' && shown(e));
  const outside = [], overlaps = [];
  const boxes = new Map();
  for (const t of texts) {
    const b = t.getBoundingClientRect(), s = t.ownerSVGElement.getBoundingClientRect();
    if (b.left < s.left - 1 || b.right > s.right + 1 || b.top < s.top - 2 || b.bottom > s.bottom + 2) outside.push(t.textContent);
    const picture = t.closest('div');
    const others = boxes.get(picture) || boxes.set(picture, []).get(picture);
    for (const o of others) {
      if (Math.min(b.right, o.b.right) - Math.max(b.left, o.b.left) > 1 && Math.min(b.bottom, o.b.bottom) - Math.max(b.top, o.b.top) > 3)
        overlaps.push(t.textContent + ' / ' + o.t.textContent);
    }
    others.push({t, b});
  }
  return {
    Foreign: all.filter(e => !own.has(e.tagName.toLowerCase()) || [...e.attributes].some(a => a.name.startsWith('on'))).map(e => e.outerHTML.slice(0, 80)),
    Width: document.documentElement.scrollWidth,
    Wide: all.filter(e => !e.closest('svg') && shown(e) && e.getBoundingClientRect().right > width + 1).map(e => e.tagName + ' ' + e.textContent.slice(0, 40)),
    Outside: outside, Overlaps: overlaps, Texts: texts.length,
    Background: getComputedStyle(document.body).backgroundColor,
    Largest: document.querySelector('#largest-section tbody bdi').textContent,
  };
})()`

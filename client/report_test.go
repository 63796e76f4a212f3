package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

var update = flag.Bool("update", false, "write the picture of the documents")

// reported serves a door with a cache, and slab classes.
func (c cache) reported(t *testing.T) (path string) {
	t.Helper()
	return serve(t, func(call *door.Call, request door.Request) {
		switch request.Op {
		case door.OpHot:
			found := hottest
			for n, key := range nasty {
				found.Keys = append(found.Keys, door.HotKey{Key: []byte(key), Requests: float64(100 - n)})
			}
			call.Finish(door.Reply{Hot: &found})
			return
		case door.OpStatus:
			call.Finish(door.Reply{Status: &door.Status{Memcached: "1.6.18", PID: 7, Slabs: &door.Slabs{Limit: 64 << 20, ChunkMax: 512 << 10, Classes: []door.SlabUsage{
				{ID: 1, ChunkSize: 96, Pages: 1, Used: 20, Free: 7}, {ID: 2, ChunkSize: 1 << 20, Pages: 1, Used: 2},
			}}}})
			return
		}
		counts, err := dump.Dump(c, filtered(request), call.Output, request.Items, dump.Hooks{})
		if err != nil {
			call.Fail(&door.Error{Code: door.CodeWrite, Message: err.Error(), Dump: &door.Dump{}})
			return
		}
		call.Finish(door.Reply{Dump: &door.Dump{Items: counts.Items, Written: counts.Written, Filtered: counts.Filtered, Engine: door.EngineNative}})
	})
}

// nasty are keys that would be markup.
var nasty = []string{
	"</script><img src=x onerror=alert(1)>:1", "</title></svg><script>alert(2)</script>:x:1", "\"'onload=alert(3) x='", "\x00\xff\r\n<b>:1", "]]><!--", "{{.}}:1",
	"\u202egnp.exe:1", "&lt;i&gt;:1", "javascript:alert(4)",
}

// A page has every item in it, and no key is markup.
func TestReport(t *testing.T) {
	var c cache
	for n, key := range nasty {
		c = append(c, walk.Item{Key: []byte(key), Size: 10 + n, Total: 90, Class: 1, TTL: int64(n-1) * 1000, Idle: int64(n)})
	}
	file := filepath.Join(t.TempDir(), "cache.html")
	runWith(t, c.reported(t), "", "report", "--hot", "1s", file).ends(0, "9 items met: 9 in the page, 0 filtered, 0 lost (126 B of values, 864 B of memory, 0.00 s, native)\n", "")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`^</?(html|head|meta|link|title|style|body|header|h1|h2|p|dl|div|dt|dd|main|section|svg|desc|g|rect|text|path|details|summary|table|thead|tbody|tr|th|td|bdi|footer)\b[^<>]*>`)
	for at, b := range text {
		if rest := string(text[at:min(at+300, len(text))]); b == '<' && !known.MatchString(rest) && !strings.HasPrefix(rest, "<!DOCTYPE html>") {
			t.Errorf("markup: %.80q", rest)
		}
	}
	for _, never := range []string{"http:", "https:", "@import", "url("} {
		if strings.Contains(string(text), never) {
			t.Errorf("the page has %q", never)
		}
	}
	for _, want := range []string{
		"&lt;/script&gt;&lt;img", "<dd>864 B of 67.1 MB</dd>", "<dd>1.6.18</dd>", "{{.}}:", `\x00\xff\r\n&lt;b&gt;:`, `\u202egnp.exe:1`,
		"<bdi>user:1</bdi></th><td>12346</td><td>10%</td><td>2.5 MB</td><td>0.0</td>", "onerror=alert(1)&gt;:1&#34;</bdi></th><td>100</td>",
		"123880 requests in 10.0 s (12388/s): 20000 seen, 1 line of the log dropped.",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if n := strings.Count(string(text), "\u202e"); n != 0 {
		t.Error("a key can turn the text around")
	}
}

// The page is there when it is complete, or not at all.
func TestReportFails(t *testing.T) {
	dir := t.TempDir()
	gone := serve(t, func(call *door.Call, request door.Request) {
		if request.Op == door.OpStatus {
			call.Finish(door.Reply{Status: &door.Status{}})
			return
		}
		call.Fail(&door.Error{Code: door.CodeHost, Message: "there are no items"})
	})
	runWith(t, gone, "", "report", filepath.Join(dir, "a.html")).ends(11, "", "error: there are no items\n")
	unlogged := serve(t, func(call *door.Call, request door.Request) {
		if request.Op != door.OpHot {
			t.Errorf("%s came before what may be refused", request.Op)
		}
		call.Fail(&door.Error{Code: door.CodeHost, Message: "there is no log"})
	})
	runWith(t, unlogged, "", "report", "--hot", "5", filepath.Join(dir, "a.html")).ends(11, "", "error: there is no log\n")
	runWith(t, gone, "", "report", dir).ends(1, "", "error: "+dir+": is a directory\n")
	runWith(t, gone, "", "report", filepath.Join(dir, "none", "a.html")).ends(1, "", "error: "+filepath.Join(dir, "none", "a.html")+": no such file or directory\n")
	runWith(t, prefixed.reported(t), "", "report", "/dev/full").ends(1, "", "error: /dev/full: no space left on device\n")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// An empty cache has a page, and - is standard output.
func TestReportOfNothing(t *testing.T) {
	p := start(t, cache{}.reported(t), nil, "report", "--hot", "2", "-")
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	if out := p.out.String(); !strings.HasSuffix(out, "</html>\n") || strings.Count(out, "There are no items.") != 1 || !strings.Contains(out, "<bdi>user:1</bdi>") || strings.Contains(out, "NaN") {
		t.Errorf("%s", out)
	}
	if got := p.errOut.String(); !strings.HasPrefix(got, "0 items met: 0 in the page") {
		t.Errorf("%q", got)
	}
}

func TestReportJSON(t *testing.T) {
	p := start(t, prefixed.reported(t), nil, "report", "--json", "--match", "user:*", filepath.Join(t.TempDir(), "a"))
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	var got reportDocument
	if err := json.Unmarshal(p.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Items != 6 || got.Shown != 3 || got.Filtered != 3 || got.Lost != 0 || got.Bytes != 2000 || got.Engine != "native" {
		t.Errorf("%s", p.out.String())
	}
}

// However many items and prefixes there are, the page is small, and its figures add up.
func TestReportOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := cacheReport{of: &reportCommand{Delimiter: ":"}, status: &door.Status{}}
	r.begin()
	const items = 3 * prefixesMax
	for n := range items {
		size := 50 + random.Uint64N(4000)
		r.add(&dump.Listed{Key: fmt.Appendf(nil, "%d:%d:%d", n%97, n, n), Size: size, Total: size + 60, Expires: r.now.Unix() + random.Int64N(1<<30)})
	}
	r.largest.cut()
	var page strings.Builder
	if err := r.write(&page, &door.Dump{Written: items}); err != nil {
		t.Fatal(err)
	}
	if page.Len() > 200_000 {
		t.Errorf("%d bytes", page.Len())
	}
	if !strings.Contains(page.String(), fmt.Sprintf("more than %d prefixes", prefixesMax)) {
		t.Error("the page does not say that prefixes were merged")
	}
	for name, sum := range map[string]bin{"ttl": r.ttl.all(), "idle": r.idle.all()} {
		if sum != (bin{items, r.bytes, r.memory}) {
			t.Errorf("%s: %+v", name, sum)
		}
	}
	if all := r.prefixes.table(3).all; all.keys != items || all.memory != r.memory {
		t.Errorf("%+v", all)
	}
}

// The picture of the documents is what the client draws.
func TestDocumentedPicture(t *testing.T) {
	r := cacheReport{of: &reportCommand{Delimiter: ":"}, status: &door.Status{}}
	r.begin()
	for _, of := range []struct {
		prefix string
		items  uint64
		size   uint64
	}{
		{"session:eu:", 40_000, 1200}, {"session:us:", 22_000, 1200}, {"session:asia:", 10_000, 500}, {"page:html:", 1500, 31_000}, {"page:json:", 2500, 3000},
		{"page:css:", 300, 5500}, {"img:thumb:", 900, 19_000}, {"img:full:", 22, 650_000}, {"user:", 60_000, 280}, {"rate:ip:", 20_000, 40}, {"", 2000, 300},
	} {
		i := dump.Listed{Key: []byte(of.prefix), Size: of.size, Total: of.size + 60}
		for range of.items {
			r.add(&i)
		}
	}
	got, file := r.treemap(900, 460).File(), "prefixes.svg"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != got {
		t.Errorf("%s is not what is drawn (%v): go test ./client -run %s -update", file, err, t.Name())
	}
}

// A page of a part of the cache says of which: no condition is left out.
func TestReportConditions(t *testing.T) {
	if words := conditionsOf(filter.Options{}); len(words) != 0 {
		t.Errorf("%q without a condition", words)
	}
	kind := reflect.TypeFor[filter.Options]()
	said := map[string]string{}
	for n := range kind.NumField() {
		var o filter.Options
		switch f := reflect.ValueOf(&o).Elem().Field(n); f.Kind() {
		case reflect.String:
			f.SetString("<x>")
		case reflect.Uint64:
			f.SetUint(7200)
		case reflect.Int64:
			f.SetInt(7200)
		case reflect.Bool:
			f.SetBool(true)
		default:
			t.Fatalf("%s has a type of its own", kind.Field(n).Name)
		}
		words := conditionsOf(o)
		if len(words) != 1 || said[words[0]] != "" {
			t.Errorf("%s: %q, %v", kind.Field(n).Name, words, said)
			continue
		}
		said[words[0]] = kind.Field(n).Name
	}
	file := filepath.Join(t.TempDir(), "a.html")
	p := start(t, prefixed.reported(t), nil, "report", "--regex", "^<", "--never-expires", "--min-size", "2k", "--older-than", "1h", file)
	if err := p.Wait(); err != nil {
		t.Fatal(err, p.errOut.String())
	}
	want := `Only items whose keys match the regular expression &#34;^&lt;&#34;, whose values have 2000 bytes at least, that were not stored or read for 1h, that never expire.`
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%v: %s", err, text)
	}
}

// Prefixes of one part and of two are merged independently: what is left of a prefix is not less than nothing.
func TestReportOthers(t *testing.T) {
	r := cacheReport{of: &reportCommand{Delimiter: ":"}, memory: 100}
	r.prefixes, r.inner = newPrefixes("memory"), newPrefixes("memory")
	r.prefixes.groups["a:"] = &prefixGroup{prefix: "a:", keys: 1, bytes: 10, memory: 80}
	r.inner.groups["a:b:"] = &prefixGroup{prefix: "a:b:", keys: 2, bytes: 20, memory: 60}
	for _, g := range r.shownPrefixes() {
		for _, in := range g.inner {
			if in.memory > 100 || in.keys > 2 || in.bytes > 20 {
				t.Errorf("%s: %+v", in.full, in.prefixGroup)
			}
		}
	}
}

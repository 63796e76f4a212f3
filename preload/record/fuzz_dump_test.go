package record

import (
	"bytes"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/walk"
)

// cache is a cache with one item.
type cache struct{ item walk.Item }

func (c *cache) Walk(walk.Options) (walk.Walker, error) { return &single{item: c.item}, nil }

type single struct {
	item walk.Item
	met  bool
}

func (s *single) Next(each func(*walk.Item) error) error {
	if s.met {
		return io.EOF
	}
	s.met = true
	return each(&s.item)
}

func (s *single) Part() float64 { return 1 }
func (s *single) Close()        {}

// sealed reports whether the input has an item with its checksum, as package dump writes it.
func sealed(input string, row found) bool {
	for at := 0; ; {
		n := strings.Index(input[at:], "ms ")
		if n < 0 {
			return false
		}
		at += n
		line, data, _ := strings.Cut(input[at:], "\n")
		line = strings.TrimSuffix(line, "\r")
		at += len("ms ")
		head, sum, ok := strings.Cut(line, " O")
		if !ok || !strings.HasPrefix(data, row.value) {
			continue
		}
		letters := map[[2]bool]string{{}: "", {true, false}: "X", {false, true}: "Z", {true, true}: "XZ"}[row.marks]
		behind := ""
		if letters != "" {
			lines := map[string]int{"X": 1, "XZ": 2, "Z": 2}[letters]
			if strings.Contains(head, " T") {
				lines = min(lines, len(letters))
			}
			rest := strings.TrimPrefix(data[len(row.value):], "\r\n")
			behind = strings.Join(strings.SplitAfterN(rest, "\r\n", lines+1)[:min(lines, strings.Count(rest, "\r\n"))], "")
			if !strings.HasPrefix(behind, map[bool]string{true: "md ", false: "mg "}[row.marks[0]]) {
				continue
			}
		}
		want, err := strconv.ParseUint(strings.TrimSuffix(sum, letters+" q"), 16, 32)
		if err == nil && crc32.Checksum([]byte(head+row.value+behind), crc32.MakeTable(crc32.Castagnoli)) == uint32(want) {
			return true
		}
	}
}

// FuzzDump: what is dumped is read again, and nothing is an item whose checksum does not match.
func FuzzDump(f *testing.F) {
	for i, input := range []string{
		"", "mn\r\n", "ms c 1 O944ef0c5 q\r\n3\r\nmn\r\n", "ms b 1 F7 Oa04a6e77 q\r\n2\r\nms c 1 O944ef0c4 q\r\n3\r\n",
		"ms Yg== 1 b O0f516786 q\r\nm\r\nms c 9 O944ef0c5 q\r\n3\r\nmn\r\n", "ms c 1 O944ef0c5 q F7\r\n3\r\nset c 0 0 1\r\n3\r\n",
		"ms k 1 O8eb49ab5X q\r\nv\r\nmd k I q\r\nms k 1 O2c6adbc8XZ q\r\nv\r\nmd k I q\r\nmg k u\r\n", "ms k 1 O9f596611Z q\r\nv\r\nmg k u T2147483646 R2147483647\r\nmg k u T0\r\nmn\r\n",
		"ms b 100 O2c875e96 q\r\n" + strings.Repeat("0123456789", 10) + "\r\nms c 1 O944EF0C5 q\n3\n",
	} {
		f.Add(input, "key", "value\r\nmn\r\n", uint32(i), int64(i-1), uint8(i*7), uint8(i))
	}
	f.Fuzz(func(t *testing.T, input, key, value string, flags uint32, ttl int64, size, bit uint8) {
		marks := [2]bool{bit&8 != 0, bit&16 != 0}
		if len(input) > inputMax || len(key)+len(value) > inputMax {
			return
		}
		options := Options{Format: Dump}
		for _, rowMax := range []int{0, 64 + int(size)} {
			for _, row := range parse(t, options, rowMax, input) {
				if row.kind == Item && (row.oversize || !sealed(input, row)) {
					t.Fatalf("%q: %+v", input, row)
				}
			}
		}
		if !validKey(key) {
			return
		}
		ttl = max(-1, ttl%TTLMax)
		var out bytes.Buffer
		began := time.Now()
		item := walk.Item{Key: []byte(key), Value: []byte(value), Flags: uint64(flags), TTL: ttl, Stale: marks[0], Won: marks[1]}
		if _, err := dump.Dump(&cache{item}, nil, &out, dump.Options{}, dump.Hooks{}); err != nil {
			t.Fatal(err)
		}
		rows := parse(t, options, 0, out.String())
		if len(rows) != 2 || rows[1].kind != Nothing || rows[0].key != key && rows[0].kind == Item {
			t.Fatalf("%q: %+v", out.String(), rows)
		}
		took := int64(time.Since(began)/time.Second) + 1
		if row := rows[0]; row.kind != Item || row.value != value || row.flags != flags || row.marks != marks || ttl < 0 && row.ttl != 0 || ttl > took && (row.ttl > ttl || row.ttl < ttl-took) {
			if ttl < 0 || ttl > took || row.kind != Skip || row.reason != Expired {
				t.Fatalf("%q: %+v", out.String(), row)
			}
		}
		// One bit of it is flipped.
		damaged := out.Bytes()
		damaged[int(size)*len(damaged)/256] ^= 1 << (bit % 8)
		for _, row := range parse(t, options, 0, string(damaged)) {
			if row.kind == Item && (row.key != key || row.value != value || row.flags != flags || row.marks != marks) {
				t.Fatalf("%q: %+v", damaged, row)
			}
		}
	})
}

package record

import "testing"

func marked(key string, stale, won bool) found {
	return found{kind: Item, key: key, value: "v", marks: [2]bool{stale, won}}
}

// What a dump writes, and what differs a little from that.
func TestDump(t *testing.T) {
	t.Parallel()
	run(t, Dump, []parserTest{
		{"items", Options{}, "ms b 1 F7 Oa04a6e77 q\r\n2\r\nms c 1 O944ef0c5 q\r\n3\r\nmn\r\n", []found{{kind: Item, key: "b", value: "2", flags: 7}, item("c", "3"), nothing}},
		{"base64", Options{}, "ms Yg== 1 b O0f516786 q\r\nm\r\n", []found{item("b", "m")}},
		{"line feeds", Options{}, "ms c 1 O944ef0c5 q\n3\nmn\n", []found{item("c", "3"), nothing}},
		{"another command", Options{}, "set c 0 0 1\r\n3\r\nget c\r\nquit\r\n", []found{reject(NoChecksum, 1), reject(NoChecksum, 1), reject(NoChecksum, 1)}},
		{"another checksum", Options{}, "ms c 1 O944ef0c4 q\r\n3\r\nms c 1 O944ef0c5 q\r\n4\r\n", []found{reject(BadChecksum, 1), reject(BadChecksum, 1)}},
		{"more behind the checksum", Options{}, "ms c 1 O944ef0c5 F7 q\r\n3\r\nms c 1 O944ef0c5 q F7\r\n3\r\nms c 1 O944ef0c5\r\n3\r\n", []found{reject(NoChecksum, 1), reject(NoChecksum, 1), reject(NoChecksum, 1)}},
		{"no length", Options{}, "ms c O944ef0c5 q\r\nms c F1 O944ef0c5 q\r\n", []found{reject(BadCommand, 1), reject(BadCommand, 1)}},
		{"marks", Options{}, "ms k 1 O8eb49ab5X q\r\nv\r\nmd k I q\r\nms k 1 O2c6adbc8XZ q\r\nv\r\nmd k I q\r\nmg k u\r\n" +
			"ms k 1 O9f596611Z q\r\nv\r\nmg k u T2147483646 R2147483647\r\nmg k u T0\r\nms AA== 1 b Oc2290526X q\r\nv\r\nmd AA== b I q\r\nms k 1 O16809a83 q\r\nv\r\n",
			[]found{marked("k", true, false), marked("k", true, true), marked("k", false, true), marked("\x00", true, false), item("k", "v")}},
		{"an expired one", Options{}, "ms k 1 T2592001 O13aac576X q\r\nv\r\nmd k I q\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{skip(Expired), item("c", "3")}},
		{"marks of another kind", Options{}, "ms k 1 O8eb49ab5Z q\r\nv\r\nmd k I q\r\nms k 1 O8eb49ab5ZX q\r\nv\r\nms k 1 O8eb49ab5x q\r\nv\r\nms k 1 O8eb49ab5XX q\r\nv\r\n",
			[]found{reject(BadChunk, 22), reject(NoChecksum, 1), reject(NoChecksum, 1)}},
		{"marks that are not there", Options{}, "ms k 1 O8eb49ab5X q\r\nv\r\nms c 1 O944ef0c5 q\r\n3\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{reject(BadChunk, 22), reject(NoChecksum, 1), item("c", "3")}},
		{"marks of another item", Options{}, "ms k 1 O8eb49ab5X q\r\nv\r\nmd l I q\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{reject(BadMarks, 23), item("c", "3")}},
		{"marks without the commands' letter", Options{}, "ms k 1 O8eb49ab5 q\r\nv\r\nmd k I q\r\n", []found{reject(BadChecksum, 1), reject(NoChecksum, 1)}},
		{"marks, line feeds", Options{}, "ms k 1 O8eb49ab5X q\nv\nmd k I q\nms c 1 O944ef0c5 q\n3\n", []found{reject(BadChunk, 21), reject(NoChecksum, 1)}},
		{"no marks here", Options{NoStale: true}, "ms k 1 O8eb49ab5X q\r\nv\r\nmd k I q\r\nms k 1 O9f596611Z q\r\nv\r\nmg k u T2147483646 R2147483647\r\nmg k u T0\r\n",
			[]found{reject(NoStale, 1), marked("k", false, true)}},
		{"another length", Options{}, "ms c 2 O944ef0c5 q\r\n3\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{reject(BadChunk, 21), item("c", "3")}},
	})
}

// Only an input that ends with the end of a dump, and nothing behind it, is complete.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	const row = "ms c 1 O944ef0c5 q\r\n3\r\n"
	for input, want := range map[string]bool{
		"": true, row: true, "mn\r\n": false, row + "mn\r\n": false, row + "mn\r\n\r\n": false, row + "mn\r\n" + row: true,
		row + "mn\r\n" + row + "mn\r\n": false, row + "mn": false, row + "mx\r\n": true, "mn\r\nms c": true, "mn\r\nms c 8 O944ef0c5 q\r\nmn\r\n": true,
	} {
		p, err := New(Options{Format: Dump, ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		for data := []byte(input); len(data) > 0; {
			var row Row
			p.Next(data, true, &row)
			data = data[row.Size:]
		}
		if p.Incomplete() != want {
			t.Errorf("%q is incomplete: %t", input, !want)
		}
	}
	if p, err := New(Options{Format: Raw, ValueMax: 100}); err != nil || p.Incomplete() {
		t.Errorf("another format is incomplete, %v", err)
	}
}

package record

import "testing"

// What a dump writes, and what is nearly that.
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
		{"another length", Options{}, "ms c 2 O944ef0c5 q\r\n3\r\nms c 1 O944ef0c5 q\r\n3\r\n", []found{reject(BadChunk, 21), item("c", "3")}},
	})
}

// Only an input that ends with the end of a dump, and has nothing behind it, is complete.
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

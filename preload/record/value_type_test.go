package record

import "testing"

// TestValueTypes: a value that a reader would take for another one is rejected, and the key's old value goes.
func TestValueTypes(t *testing.T) {
	t.Parallel()
	for typ, values := range map[ValueType]struct{ good, bad []string }{
		"":          {good: []string{"", "abc", "\xff"}},
		TypeText:    {[]string{"", "abc", "é😀", "\x00"}, []string{"\xff", "a\xc3", "\xed\xa0\x80"}},
		TypeInteger: {[]string{"0", "-42", "+7", "99999999999999999999"}, []string{"", "abc", "1.5", " 1", "1 ", "0x10", "1_0", "1\r"}},
		TypeInt64:   {[]string{"0", "-42", "+7", "9223372036854775807"}, []string{"", "abc", "1.5", "9223372036854775808"}},
		TypeNumber:  {[]string{"0", "-1.5", "1e9", ".5", "5."}, []string{"", "abc", "NaN", "inf", "1e999", "0x1p2", "1_0", "1,5"}},
		TypeBoolean: {[]string{"", "0", "1"}, []string{"true", "t", "2", "01", "1\r"}},
		TypeJSON:    {[]string{`{"a":[1,null]}`, `"x"`, "12345678901234567890", " 1 "}, []string{"", "{", "{'a':1}", "NaN", "abc"}},
	} {
		for _, value := range values.good {
			if got := parse(t, Options{ValueType: typ}, 0, "k\t"+value+"\n"); got[0].kind != Item || got[0].value != value {
				t.Errorf("%s: %q is %+v", typ, value, got)
			}
		}
		for _, value := range values.bad {
			var row Row
			p, err := New(Options{ValueType: typ, ValueMax: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if kind := p.Next([]byte("k\t"+value+"\n"), true, &row); kind != Reject || row.Reason != BadType || !row.Known || row.Column != 3 {
				t.Errorf("%s: %q is %+v", typ, value, row)
			}
		}
	}
	columns := Options{Format: TSV, Key: "1", Value: "2", FlagsColumn: "3", Flags: 1, ValueType: TypeInteger}
	got := parse(t, columns, 0, "a\tx\t2\nb\tx\t\nc\tx\t1\nd\t7\t1\n")
	for i, want := range []Kind{Item, Reject, Reject, Item} {
		if got[i].kind != want {
			t.Errorf("row %d with flags of its own is %+v", i+1, got[i])
		}
	}
	if _, err := New(Options{ValueType: "float"}); err == nil {
		t.Error("there is a type float")
	}
}

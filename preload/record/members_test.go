package record

import (
	"slices"
	"testing"
)

// A member that looks like an option is never left out without a word.
func TestLookalikes(t *testing.T) {
	t.Parallel()
	parser := func(o Options) *Parser {
		o.Format, o.ValueMax = JSONL, 100
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	next := func(p *Parser, member string) (Kind, Row) {
		var row Row
		kind := p.Next([]byte(`{"key":"k","value":"v","`+member+`":60}`), true, &row)
		return kind, row
	}
	for member, advice := range map[string]string{
		"exptime": adviceTime, "TTL": adviceTime, "Ttl": adviceTime, "expires_at": adviceTime, "expiresAt": adviceTime, "expiration": adviceTime, "Max-Age": adviceTime,
		"flag": adviceFlags, "Flags": adviceFlags, "KEY": adviceKey, "keyBase64": adviceKey, "val": adviceValue, "Value": adviceValue, "value_b64": adviceValue,
		"cas_unique": adviceCAS, "Stale": `it is "stale"`, "COUNT": `it is "count"`, `e\u0078ptime`: adviceTime,
	} {
		kind, row := next(parser(Options{}), member)
		name := member
		if name == `e\u0078ptime` {
			name = "exptime"
		}
		if want := `"` + name + `": ` + advice; kind != Reject || row.Reason != ExtraMember || row.Detail != want || row.Column != 25 {
			t.Errorf("%s: kind %d, %s, byte %d; want %s", member, kind, row.Reason.With(row.Detail), row.Column, want)
		}
		if known := advice != adviceKey; row.Known != known {
			t.Errorf("%s: known %t", member, row.Known)
		}
		for _, o := range []Options{{AllowExtra: true}, {Key: "key"}, {Value: "value"}, {Key: "key", Value: "json"}} {
			if kind, row := next(parser(o), member); kind != Item || row.TTL != 0 {
				t.Errorf("%s: %+v: kind %d, %s", member, o, kind, row.Reason)
			}
		}
	}
	for _, member := range []string{"", "id", "name", "created_at", "version", "a member with a name that is very long", "ttlx", "flagged"} {
		if kind, row := next(parser(Options{}), member); kind != Item {
			t.Errorf("%q: %s", member, row.Reason.With(row.Detail))
		}
	}
	// A member that is asked for is one, whatever its name; the one that it replaces is none.
	for member, want := range map[string]Kind{"exptime": Item, "ttl": Reject, "expires": Reject, "flags": Item} {
		if kind, row := next(parser(Options{TTLColumn: "exptime"}), member); kind != want {
			t.Errorf("%s: kind %d, %s", member, kind, row.Reason.With(row.Detail))
		}
	}
	// The member that is missing is said first.
	var row Row
	if parser(Options{}).Next([]byte(`{"id":1,"flag":true}`), true, &row); row.Reason != NoMember {
		t.Errorf("%s", row.Reason)
	}
}

func TestKeyBase64(t *testing.T) {
	t.Parallel()
	run(t, JSONL, []parserTest{
		{name: "binary", input: `{"key_base64":"AGs=","value":"v","flags":7}`, want: []found{{kind: Item, key: "\x00k", value: "v", flags: 7}}},
		{name: "text", input: `{"value":"v","key_base64":"az\u0067="}`, want: []found{item("k8", "v")}},
		{name: "both in base64", input: `{"key_base64":"/w==","value_base64":"/w=="}`, want: []found{item("\xff", "\xff")}},
		{name: "null besides", input: `{"key":null,"key_base64":"aw==","value":"v"}` + `{"key":"k","key_base64":null,"value":"v"}`, want: []found{item("k", "v"), item("k", "v")}},
		{name: "both", input: `{"key":"k","key_base64":"aw==","value":"v"}`, want: []found{reject(TwoKeys, 26)}},
		{name: "empty", input: `{"key_base64":"","value":"v"}`, want: []found{reject(EmptyKey, 16)}},
		{name: "bad", input: `{"key_base64":"a","value":"v"}` + `{"key_base64":true,"value":"v"}`, want: []found{reject(BadBase64, 16), reject(BadBase64, 15)}},
		{name: "too long for the protocol", options: Options{BinaryKeyMax: 1}, input: `{"key_base64":"AGs=","value":"v"}` + `{"key_base64":"a2s=","value":"v"}`,
			want: []found{reject(BinaryKey, 16), item("kk", "v")}},
		{name: "expired", input: `{"key_base64":"AGs=","value":"v","ttl":-1}`, want: []found{skip(Expired)}},
		{name: "mock", input: `{"key_base64":"IHtufQ==","value":"{n}","count":2}`, want: []found{{kind: Item, key: " 1", value: "1", left: 1}, item(" 2", "2")}},
		{name: "a member where a key is named", options: Options{Key: "id"}, input: `{"id":"k","value":"v","key_base64":"?"}`, want: []found{item("k", "v")}},
	})
}

// What dump --format csv writes is known by its first line, and so are its columns.
func TestDumpAsCSV(t *testing.T) {
	t.Parallel()
	const rows = "\"k\",\"a\nb\",7,946684860\n\"\x00 \xff\",\"\",0,0\n"
	want := []found{nothing, {kind: Item, key: "k", value: "a\nb", flags: 7, ttl: 60}, item("\x00 \xff", "")}
	run(t, CSV, []parserTest{
		{name: "dump", input: dumpHeader + "\n" + rows, want: want},
		{name: "behind a mark and an empty line", input: mark + "\r\n" + dumpHeader + "\r\n" + rows, want: append([]found{nothing}, want...)},
		{name: "backslashes are data", input: dumpHeader + "\n\"k\",\"a\\\nb\",0,0\n\"l\",\\N,0,0\n", want: []found{nothing, item("k", "a\\\nb"), item("l", `\N`)}},
		{name: "not in the first row", input: "a,b\n" + dumpHeader + "\n", want: []found{item("a", "b"), reject(MoreColumn, 11)}},
		{name: "not with columns", options: Options{Key: "1", Value: "2"}, input: dumpHeader + "\n", want: []found{item("key", "value")}},
		{name: "not in the middle", options: Options{Header: true, Key: "value", Value: "key"}, input: dumpHeader + "\nk,v,1,x\n", want: []found{nothing, item("v", "k")}},
		{name: "keys only", input: "key,size,flags,expires\n", want: []found{reject(MoreColumn, 10)}},
		{name: "no number", input: dumpHeader + "\nk,v,x,0\nl,v,0,x\n", want: []found{nothing, reject(BadFlags, 5), reject(BadDate, 7)}},
	})
	p, err := New(Options{Format: CSV, ValueMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	var row Row
	if kind := p.Next([]byte(dumpHeader+"\n"), true, &row); kind != Nothing || !row.Header {
		t.Errorf("kind %d, header %t", kind, row.Header)
	}
	if notes := p.Notes(); !slices.Equal(notes, []string{"the first line is that of a dump: the columns are key, value, flags and expires"}) {
		t.Errorf("notes are %q", notes)
	}
}

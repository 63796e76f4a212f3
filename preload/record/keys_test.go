package record

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"memcached-backdoor/preload/meta"
)

// storedKey is the key under which a row with this key is stored, by the rule in LOADING.md.
func storedKey(prefix, key string) string {
	if len(prefix+key) > 250 {
		return prefix + fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
	}
	return prefix + key
}

// The hash is what sha256sum prints of the key.
const sha256OfK251 = "3b8059c637939a483bdc7beef09f11b566581be6d14e25083b3041b77717de02"

func TestKeyPrefix(t *testing.T) {
	t.Parallel()
	o := Options{KeyPrefix: "shop:", Key: "1", Value: "2"}
	long := strings.Repeat("k", meta.KeyMax-len("shop:"))
	named := func(kind Kind, reason Reason, key string, column int) found {
		return found{kind: kind, reason: reason, key: key, column: column}
	}
	tests := []parserTest{
		{name: "columns", options: o, input: "k\tv\n" + long + "\tv\n", want: []found{item("shop:k", "v"), item("shop:"+long, "v")}},
		{name: "template", options: Options{KeyPrefix: "a:", Key: "b:{1}", Value: "2"}, input: "k\tv\n", want: []found{item("a:b:k", "v")}},
		{name: "bad keys", options: o, input: "\tv\na b\tv\n" + long + "k\tv\n",
			want: []found{named(Reject, EmptyKey, "", 1), named(Reject, KeyByte, "shop:a b", 2), named(Reject, KeyTooLong, "shop:"+long+"k", len(long)+1)}},
		{name: "NULL in the key", options: Options{Format: PSQL, KeyPrefix: "shop:"}, input: "\\N\tv\n", want: []found{reject(NullKey, 1)}},
		{name: "expired", options: Options{KeyPrefix: "shop:", Key: "1", Value: "2", TTLColumn: "3"}, input: "k\tv\t-1\n", want: []found{named(Skip, Expired, "shop:k", 0)}},
	}
	run(t, TSV, tests)
	run(t, CSV, []parserTest{{name: "coded", options: o, input: "\"k\"\"1\",v\n", want: []found{item(`shop:k"1`, "v")}}})
	o.Key, o.Value = "", ""
	run(t, Raw, []parserTest{
		{name: "raw", options: o, input: mark + "k\tv\n" + long + "\tv\n" + long + "k\tv\n", want: []found{item("shop:k", "v"), item("shop:"+long, "v"), reject(KeyTooLong, len(long)+1)}},
		{name: "a value that fits is never cut", options: Options{HashLongKeys: HashSHA256, ValueMax: 300}, input: strings.Repeat("k", keyRoom) + "\t" + long + "\n", want: []found{item(storedKey("", strings.Repeat("k", keyRoom)), long)}},
		{name: "no tab", options: o, input: "kv\n", want: []found{named(Reject, NoTab, "kv", 1)}},
	})
	run(t, JSONL, []parserTest{
		{name: "jsonl", options: o, input: `{"key":"\u006b","value":"v"}` + "\n", want: []found{item("shop:k", "v")}},
		{name: "count", options: o, input: `{"key":"{n}","value":"v","count":2}` + "\n", want: items(2, func(n int) found { return item(fmt.Sprint("shop:", n), "v") })},
	})
	run(t, Memcached, []parserTest{
		{name: "memcached", options: o, input: "set k 0 0 1\r\nv\r\nms AGs= 1 b\r\nv\r\nms - 1 KAGs=\r\nv\r\n", want: []found{item("shop:k", "v"), item("shop:\x00k", "v"), item("shop:\x00k", "v")}},
		{name: "binary, too long for the protocol", options: Options{KeyPrefix: "shop:", BinaryKeyMax: 6}, input: "ms AA== 1 b\r\nv\r\nms AGs= 1 b\r\nv\r\n", want: []found{item("shop:\x00", "v"), reject(BinaryKey, 4)}},
	})
	// The checksum is that of the key without the prefix; marks are those of the item.
	run(t, Dump, []parserTest{{name: "dump", options: o, input: "ms c 1 O944ef0c5 q\r\n3\r\nms Yg== 1 b O0f516786 q\r\nm\r\nms shop:c 1 O944ef0c5 q\r\n3\r\nms k 1 O8eb49ab5X q\r\nv\r\nmd k I q\r\nmn\r\n",
		want: []found{item("shop:c", "3"), item("shop:b", "m"), reject(BadChecksum, 1), {kind: Item, key: "shop:k", value: "v", marks: [2]bool{true, false}}, nothing}}})
}

func TestHashLongKeys(t *testing.T) {
	t.Parallel()
	o := Options{HashLongKeys: HashSHA256}
	k250, k251 := strings.Repeat("k", 250), strings.Repeat("k", 251)
	if storedKey("", k251) != sha256OfK251 {
		t.Fatalf("the hash is %s", storedKey("", k251))
	}
	both := Options{HashLongKeys: HashSHA256, KeyPrefix: "p:"}
	spaces := strings.Repeat("a b ", 99)
	run(t, TSV, []parserTest{
		{name: "hash", options: o, input: k250 + "\tv\n" + k251 + "\tv\n", want: []found{item(k250, "v"), item(sha256OfK251, "v")}},
		{name: "prefix", options: both, input: k250[2:] + "\tv\n" + k250[1:] + "\tv\n" + k251 + "\tv\n", want: []found{item("p:"+k250[2:], "v"), item(storedKey("p:", k250[1:]), "v"), item("p:"+sha256OfK251, "v")}},
		{name: "any byte of a long key", options: o, input: spaces + "\tv\na b\tv\n", want: []found{item(storedKey("", spaces), "v"), reject(KeyByte, 2)}},
		{name: "longer than a value", options: Options{HashLongKeys: HashSHA256, ValueMax: 300}, input: strings.Repeat("k", 300) + "\tv\n" + strings.Repeat("k", 301) + "\tv\n",
			want: []found{item(storedKey("", strings.Repeat("k", 300)), "v"), reject(KeyTooLong, 1)}},
	})
	places := strings.Repeat("{n}", 90)
	run(t, JSONL, []parserTest{
		{name: "count", options: Options{HashLongKeys: HashSHA256, ValueMax: 300}, input: `{"key":"` + places + `","size":0,"count":10}`, want: items(10, func(n int) found {
			return item(storedKey("", strings.ReplaceAll(places, "{n}", fmt.Sprint(n))), "")
		})},
		{name: "count, not all places", options: Options{HashLongKeys: HashSHA256, ValueMax: 270}, input: `{"key":"` + strings.Repeat("{n}", 300) + `","size":0,"count":1}`, want: []found{reject(KeyTooLong, 9)}},
	})
	run(t, Memcached, []parserTest{
		{name: "memcached", options: both, input: "set " + k251 + " 0 0 1\r\nv\r\nset k\tk 0 0 1\r\nv\r\n", want: []found{item("p:"+sha256OfK251, "v"), reject(KeyByte, 6)}},
	})
}

// TestLongKeyThatIsCut: a key of which only a part is known is not hashed, nor is one whose bytes the row cannot have.
func TestLongKeyThatIsCut(t *testing.T) {
	t.Parallel()
	key, value := strings.Repeat("k", 300), strings.Repeat("v", 500)
	stored := large(storedKey("", key))
	tooLong := reject(TooLong, 1)
	for _, test := range []struct {
		options Options
		row     string
		known   found // of a row that is cut behind the key
		cut     found // in the key
	}{
		{Options{}, key + "\t" + value + "\n", stored, reject(NoTab, 1)},
		{Options{Format: TSV}, key + "\t" + value + "\n", stored, tooLong},
		{Options{Format: PSQL}, key + "\t" + value + "\n", stored, tooLong},
		{Options{Format: CSV}, `"` + key + `","` + value + "\"\n", stored, tooLong},
		{Options{Format: JSONL}, `{"key":"` + key + `","value":"` + value + "\"}\n", stored, tooLong},
		{Options{Format: JSONL}, `{"key":"` + key + "\xff" + `","value":"` + value + "\"}\n", tooLong, tooLong},
	} {
		test.options.HashLongKeys = HashSHA256
		check(t, test.row, parse(t, test.options, 400, test.row), []found{test.known})
		check(t, test.row, parse(t, test.options, 200, test.row), []found{test.cut})
	}
	// A rejected row takes out the old value of the key under which it would have been stored, unless the key is not certain.
	for row, known := range map[string]bool{
		`{"key":"` + key + `","value":1,"flags":-1}`:               true,
		`{"key":"` + key + "\xff" + `","value":1}`:                 false,
		`{"key":"` + key + `","value":1,"other":"` + "\xff" + `"}`: true,
	} {
		p, err := New(Options{Format: JSONL, HashLongKeys: HashSHA256, ValueMax: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var got Row
		if kind := p.Next([]byte(row), true, &got); kind != Reject || got.Known != known || known && string(got.Key.Of(nil)) != storedKey("", key) {
			t.Errorf("%.20q: kind %d, known %t, key %.90q", row, kind, got.Known, got.Key.Made)
		}
	}
}

// FuzzKeys: the key of a row becomes the same in each format, by the rule in the documentation.
func FuzzKeys(f *testing.F) {
	for i, key := range []string{"k", "", "a b", strings.Repeat("k", 244), strings.Repeat("é ", 130), strings.Repeat("k", 300)} {
		f.Add(key, uint8(i*3), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, key string, prefix uint8, hash bool) {
		if len(key) > inputMax || strings.ContainsAny(key, "\t\n\r\x00") || strings.HasPrefix(key, mark) || strings.HasPrefix(key, mark[:1]) {
			return
		}
		o := Options{KeyPrefix: strings.Repeat("p", int(prefix)%180)}
		if hash {
			o.HashLongKeys = HashSHA256
		}
		want := storedKey(o.KeyPrefix, key)
		good := validKey(want) && key != ""
		if !hash {
			good = key != "" && validKey(o.KeyPrefix+key)
		}
		inputs := map[Format]string{Raw: key + "\tv\n", TSV: key + "\tv\n"}
		if utf8.ValidString(key) {
			text, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			inputs[JSONL] = `{"value":"v","key":` + string(text) + "}\n"
		}
		if good {
			inputs[Memcached] = "ms " + base64.StdEncoding.EncodeToString([]byte(key)) + " 1 b\r\nv\r\n"
		}
		for format, input := range inputs {
			o.Format = format
			rows := parse(t, o, 0, input)
			if len(rows) != 1 || good != (rows[0].kind == Item) || good && (rows[0].key != want || rows[0].value != "v") {
				t.Errorf("%s %q: %+v, want %t, %q", format, key, rows, good, want)
			}
		}
	})
}

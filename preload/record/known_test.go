package record

import (
	"strings"
	"testing"
)

// Rejects are Known if their keys are valid beyond doubt, and only then.
func TestKnown(t *testing.T) {
	t.Parallel()
	numbers := func(format Format) Options {
		return Options{Format: format, Key: "1", Value: "2", FlagsColumn: "3", TTLColumn: "4"}
	}
	meta := func(flags string) string { return "ms k 1" + flags + "\r\nv\r\n" }
	long := strings.Repeat("v", 100)
	for _, tt := range []struct {
		options Options
		input   string
		reason  Reason
		key     string // "": it is not known
	}{
		{Options{Format: MySQL}, "k\tv\\r\n", BadEscape, "k"},
		{Options{Format: MySQL}, "\\\\\tv\\\n", LoneEscape, "\\"},
		{Options{Format: MySQL}, "k\\r\tv\n", BadEscape, ""},
		{Options{Format: MySQL}, "a b\tv\\r\n", KeyByte, ""},
		{Options{Format: MySQL}, "k\tv\\r\tw\n", MoreColumn, ""},
		{Options{Format: MySQL}, "k\n", NoColumn, ""},
		{Options{Format: MySQL, Header: true, Key: "user:{id}", Value: "json"}, "id\tbio\n7\tx\xff\n", NotUTF8, "user:7"},
		{Options{Format: MySQL, Header: true, Key: "user:{id}", Value: "json"}, "id\tbio\n7\tx\\\n", LoneEscape, "user:7"},
		{Options{Format: MySQL, Header: true, Key: "user:{id}", Value: "json", JSONColumns: "bio"}, "id\tbio\n7\tx\n", NotJSON, "user:7"},
		{numbers(PSQL), "k\tv\tx\t\\N\n", BadFlags, "k"},
		{numbers(TSV), "k\tv\t1\tx\n", BadTTL, "k"},
		{numbers(TSV), "a b\tv\t1\tx\n", KeyByte, ""},
		{numbers(CSV), "k,\"v\nw\",4294967296,1\n", BadFlags, "k"},
		{numbers(CSV), "k,v\"w,1,x\n", BareQuote, ""},
		{numbers(CSV), "k,\"v\"w,1,x\n", AfterQuote, ""},
		{numbers(CSV), "k,\"v,1,x\n", OpenQuote, ""},
		{numbers(CSV), "k,v,1\n", NoColumn, ""},
		{Options{Format: CSV}, "k,v,1\n", MoreColumn, ""},
		{Options{Format: CSV}, "k,\"v\\\nw\"\n", OutfileLine, ""},
		{numbers(Outfile), "k\\0\tv\tx\t1\n", KeyByte, ""},
		{numbers(Outfile), "k\\\\\tv\\\n\tx\t1\n", BadFlags, `k\`},
		{Options{Format: Outfile}, "k\tv\\", LoneEscape, "k"},
		{Options{Format: Outfile, Quote: `"`}, "\"k\"\t\"v\"\r\n", CarriageEnd, ""},
		{Options{Format: Outfile, Quote: `"`}, "\"k\"\t\"v\n", OpenQuote, ""},
		{Options{Format: Raw}, "k", NoTab, ""},
		{Options{Format: Raw, Decode: Hex}, "k\tv", BadHex, "k"},
		{Options{Format: Raw, Decode: Hex}, "a b\tv", KeyByte, ""},
		{Options{Format: TSV, Decode: Base64}, "k\tv", BadBase64, "k"},
		{Options{Format: JSONL, Decode: Bytea}, `{"key":"k","value":"\\x0"}`, BadBytea, "k"},
		{Options{Format: JSONL}, `{"value":"\ud800","key":"k"}`, BadString, "k"},
		{Options{Format: JSONL}, `{"key":"k\ud800","value":1}`, BadString, ""},
		{Options{Format: JSONL}, "{\"key\":\"k\",\"value\":\"\xff\"}", NotUTF8, "k"},
		{Options{Format: JSONL}, "{\"key\":\"k\",\"other\":\"\xff\",\"value\":1}", NotUTF8, "k"},
		{Options{Format: JSONL}, "{\"key\":\"\xff\",\"value\":1}", NotUTF8, ""},
		{Options{Format: JSONL}, "{\"key\":\"k\",\"value\":\"\xff\"", NotUTF8, ""},
		{Options{Format: JSONL}, `{"key":"k","value":1`, OpenObject, ""},
		{Options{Format: JSONL}, `{"key":"k","value":1} x`, BadJSON, ""},
		{Options{Format: JSONL}, `{"key":"k"}`, NoMember, "k"},
		{Options{Format: JSONL}, `{"value":1}`, NoMember, ""},
		{Options{Format: JSONL}, `{"key":null,"value":1}`, NullKey, ""},
		{Options{Format: JSONL}, `{"key":"\u006b","value":1,"flags":-1}`, BadFlags, "k"},
		{Options{Format: JSONL}, `{"key":"k","value":1,"ttl":1,"expires":1}`, TwoTTLs, "k"},
		{Options{Format: JSONL}, `{"key":"k","value_base64":"*"}`, BadBase64, "k"},
		{Options{Format: JSONL}, `{"key":"k","size":-1}`, BadSize, "k"},
		{Options{Format: JSONL, NoCAS: true}, `{"key":"k","value":1,"cas":1}`, NoCAS, "k"},
		{Options{Format: JSONL}, `{"key":"k{n}","size":-1,"count":2}`, BadSize, ""},
		{Options{Format: JSONL}, `{"key":"k{n}","value":1,"ttl":"x","count":2}`, BadTTL, ""},
		{Options{Format: JSONL}, `{"key":"k{n}","size":1,"count":0}`, BadCount, ""},
		{Options{Format: JSONL, Key: "id", Value: "json", TTLColumn: "t"}, `{"id":"k","t":"x"}`, BadTTL, "k"},
		{Options{Format: Memcached}, "set k x 0 1\r\nv\r\n", BadFlags, "k"},
		{Options{Format: Memcached}, "set k 0 x 1\r\nv\r\n", BadExptime, "k"},
		{Options{Format: Memcached}, "set k 0 x 1\r\nvv\r\n", BadExptime, ""},
		{Options{Format: Memcached}, "set k 0 99999999999 1\r\nv\r\n", FarDate, "k"},
		{Options{Format: TSV, Key: "1", Value: "2", ExpiresColumn: "3"}, "k\tv\t01/12/2037\n", BadDate, "k"},
		{Options{Format: Memcached}, "set k 0 0 9\r\nv\r\n", BadChunk, "k"},
		{Options{Format: Memcached}, "set k 0 -1 9\r\nv\r\n", BadChunk, "k"},
		{Options{Format: Memcached}, "set k 0 0 x\r\n", BadCommand, ""},
		{Options{Format: Memcached}, "set a b 0 0 1\r\nv\r\n", BadCommand, ""},
		{Options{Format: Memcached}, "set a\tb x 0 1\r\nv\r\n", BadFlags, ""},
		{Options{Format: Memcached}, "get k\r\n", NoCommand, ""},
		{Options{Format: Memcached}, meta(" Fx"), BadFlags, "k"},
		{Options{Format: Memcached}, meta(" Tx F1 q"), BadExptime, "k"},
		{Options{Format: Memcached}, "ms AGs= 1 Fx T1 b\r\nv\r\n", BadFlags, "\x00k"},
		{Options{Format: Memcached}, "ms - 1 Fx KAGs=\r\nv\r\n", BadFlags, "\x00k"},
		{Options{Format: Memcached, BinaryKeyMax: 1}, "ms AGs= 1 Fx b\r\nv\r\n", BadFlags, ""},
		{Options{Format: Memcached}, "ms AG 1 Fx b\r\nv\r\n", BadFlags, ""},
		{Options{Format: Memcached}, meta(" Fx C1"), BadFlags, ""},
		{Options{Format: Memcached}, meta(" C1 Fx"), BadFlag, ""},
		{Options{Format: Memcached}, meta(" MA"), BadFlag, ""},
		{Options{Format: Dump}, "ms k 1 Fx O5b9a5d4e q\r\nv\r\n", BadChecksum, ""},
		{Options{Format: Dump}, "ms k 9 O00000000 q\r\nv\r\n", BadChunk, ""},
		// Rows that are cut.
		{Options{Format: Memcached, ValueMax: 10}, "set k 0 0 100\r\n" + long + "\r\n", "", "k"},
		{Options{Format: Memcached, ValueMax: 10}, "set k x 0 100\r\n" + long + "\r\n", BadFlags, "k"},
		{Options{Format: Memcached, ValueMax: 10}, "set k 0 -1 100\r\n" + long + "\r\n", TooLong, "k"},
		{Options{Format: Memcached, ValueMax: 10}, "ms k 100 I\r\n" + long + "\r\n", TooLong, ""},
		{Options{Format: Dump, ValueMax: 10}, "ms k 100 O00000000 q\r\n" + long + "\r\n", TooLong, ""},
	} {
		cut := tt.options.ValueMax > 0
		if !cut {
			tt.options.ValueMax = 1 << 20
		}
		p, err := New(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(tt.input)
		var row Row
		var kind Kind
		if cut {
			data = data[:50]
			p.rowMax = 49
			if kind = p.Next(data, false, &row); kind == More {
				kind = p.Cut(data, &row)
			}
		} else if kind = p.Next(data, true, &row); row.Header {
			data = data[row.Size:]
			kind = p.Next(data, true, &row)
		}
		known := row.Known
		if cut && tt.reason == "" {
			known = kind == Item && row.Oversize // the store is what rejects it
		} else if kind != Reject {
			t.Errorf("%q: kind %d", tt.input, kind)
		}
		if row.Reason != tt.reason || known != (tt.key != "") || known && (string(row.Key.Of(data)) != tt.key || row.Command != Set) {
			t.Errorf("%q: %q, known %t, key %q", tt.input, row.Reason, known, row.Key.Of(data))
		}
	}
}

// Good rows, and what is not a row, are not Known; and a byte order mark before the row does not move the key.
func TestKnownElsewhere(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Format: CSV, Key: "1", Value: "2", FlagsColumn: "3", ValueMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("\xef\xbb\xbfk,v,x\nl,w,1\n\n")
	var row Row
	if kind := p.Next(data, true, &row); kind != Reject || !row.Known || string(row.Key.Of(data)) != "k" {
		t.Errorf("%d, %+v", kind, row)
	}
	for range 2 {
		data = data[row.Size:]
		if kind := p.Next(data, true, &row); kind == Reject || row.Known {
			t.Errorf("%d, %+v", kind, row)
		}
	}
}

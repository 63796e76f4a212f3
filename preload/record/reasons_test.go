package record

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"memcached-backdoor/preload/meta"
)

// TestReasons: each is reached, and said once.
func TestReasons(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", meta.KeyMax+1)
	reached := map[Reason]bool{}
	for _, test := range []struct {
		options Options
		rowMax  int
		input   string
		want    found
	}{
		{Options{}, 0, "\tv", reject(EmptyKey, 1)},
		{Options{}, 0, long + "\tv", reject(KeyTooLong, meta.KeyMax+1)},
		{Options{}, 0, "ab c\tv", reject(KeyByte, 3)},
		{Options{}, 0, "k", reject(NoTab, 1)},
		{Options{Format: PSQL}, 0, "\\N\tv", reject(NullKey, 1)},
		{Options{Format: PSQL}, 0, "k\t\\N", skip(NullValue)},
		{Options{Format: TSV, Key: "1", Value: "2", FlagsColumn: "3"}, 0, "k\tv\tx", reject(BadFlags, 5)},
		{Options{Format: TSV, Key: "1", Value: "2", TTLColumn: "3"}, 0, "k\tv\tx", reject(BadTTL, 5)},
		{Options{Format: TSV, Key: "1", Value: "2", TTLColumn: "3"}, 0, "k\tv\t-1", skip(Expired)},
		{Options{Format: TSV, Key: "1", Value: "2", ExpiresColumn: "3"}, 0, "k\tv\tx", reject(BadDate, 5)},
		{Options{Format: TSV, Key: "1", Value: "2", ExpiresColumn: "3"}, 0, "k\tv\t99999999999", reject(FarDate, 5)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","ttl":1,"expires":2}`, reject(TwoTTLs, 42)},
		{Options{Format: TSV, Key: "2", Value: "1"}, 8, "0123456789", reject(TooLong, 1)},
		{Options{Format: TSV}, 0, "k", reject(NoColumn, 2)},
		{Options{Format: TSV}, 0, "k\tv\tx", reject(MoreColumn, 5)},
		{Options{Format: JSONL}, 0, "{\"key\":\"\xff\"}", reject(NotUTF8, 9)},
		{Options{Format: CSV, Header: true, Value: "json", JSONColumns: "k"}, 0, "k\nx", reject(NotJSON, 1)},
		{Options{Format: MySQL}, 0, "k\tv\\r", reject(BadEscape, 4)},
		{Options{Format: MySQL}, 0, "k\tv\\", reject(LoneEscape, 4)},
		{Options{ValueType: TypeInteger}, 0, "k\tv", reject(BadType, 3)},
		{Options{Format: CSV}, 0, `k,v"`, reject(BareQuote, 4)},
		{Options{Format: CSV}, 0, `"k"v`, reject(AfterQuote, 4)},
		{Options{Format: CSV}, 0, `k,"v`, reject(OpenQuote, 3)},
		{Options{Format: CSV}, 0, "k,\"a\\\nb\"", reject(OutfileLine, 6)},
		{Options{Format: CSV}, 0, `k,"a\"b"`, reject(OutfileQuote, 7)},
		{Options{Format: Outfile, Quote: `"`}, 0, "k\t\"v\"\r\n", reject(CarriageEnd, 6)},
		{Options{Format: Outfile, Quote: `"`, Escape: none}, 0, `k	"v""w"`, reject(TwoQuotes, 5)},
		{Options{Format: JSONL}, 0, `{]}`, reject(BadJSON, 2)},
		{Options{Format: JSONL}, 0, `{]`, reject(OpenObject, 3)},
		{Options{Format: JSONL}, 0, `{"key":"\ud800","value":1}`, reject(BadString, 9)},
		{Options{Format: JSONL}, 0, `{"key":"k"}`, reject(NoMember, 1)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","value_base64":"AA=="}`, reject(TwoValues, 40)},
		{Options{Format: JSONL}, 0, `{"key":"k","key_base64":"aw==","value":1}`, reject(TwoKeys, 26)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":1,"TTL":1}`, reject(ExtraMember, 23)},
		{Options{Format: JSONL}, 0, `{"key":"k","value_base64":"*"}`, reject(BadBase64, 28)},
		{Options{Decode: Hex}, 0, "k\tv", reject(BadHex, 3)},
		{Options{Decode: Bytea}, 0, "k\t\\", reject(BadBytea, 3)},
		{Options{Format: JSONL, Decode: Hex}, 0, `{"key":"k","value":10}`, reject(NotText, 20)},
		{Options{Format: MySQL, Decode: Hex}, 0, "k\tNULL", reject(MaybeNull, 3)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","cas":1,"cas":1}`, reject(TwiceMember, 33)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","expired":1}`, reject(BadExpired, 34)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","expired":true,"ttl":1}`, reject(TwoExpiries, 34)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","stale":"true"}`, reject(BadStale, 33)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","won":1}`, reject(BadWon, 30)},
		{Options{Format: JSONL, NoStale: true}, 0, `{"key":"k","value":"v","stale":true}`, reject(NoStale, 32)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","cas":0}`, reject(BadCAS, 30)},
		{Options{Format: JSONL, NoCAS: true}, 0, `{"key":"k","value":"v","cas":1}`, reject(NoCAS, 30)},
		{Options{Format: JSONL}, 0, `{"key":"k","size":-1}`, reject(BadSize, 19)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","size":1}`, reject(SizedValue, 31)},
		{Options{Format: JSONL}, 0, `{"key":"k","size":1,"seed":-1}`, reject(BadSeed, 28)},
		{Options{Format: JSONL}, 0, `{"key":"k{n}","value":"v","count":0}`, reject(BadCount, 35)},
		{Options{Format: JSONL}, 0, `{"key":"k","value":"v","count":2}`, reject(NoPlace, 9)},
		{Options{Format: Memcached, BinaryKeyMax: 2}, 0, "ms AAAA 1 b\r\nv\r\n", reject(BinaryKey, 4)},
		{Options{Format: Memcached}, 0, "get k", reject(NoCommand, 1)},
		{Options{Format: Memcached}, 0, "set k", reject(BadCommand, 1)},
		{Options{Format: Memcached}, 0, "set k 0 24h 1\r\nv\r\n", reject(BadExptime, 9)},
		{Options{Format: Memcached}, 0, "ms k 0 I\r\n\r\n", reject(BadFlag, 8)},
		{Options{Format: Memcached}, 0, "set k 0 0 1\r\n", reject(BadChunk, 14)},
		{Options{Format: Dump}, 0, "ms k 1 q\r\nv\r\n", reject(NoChecksum, 1)},
		{Options{Format: Dump}, 0, "ms k 1 O00000000 F7 q\r\nv\r\n", reject(NoChecksum, 1)},
		{Options{Format: Dump}, 0, "ms k 1 O00000000 q F7\r\nv\r\n", reject(NoChecksum, 1)},
		{Options{Format: Dump}, 0, "ms k 1 O00000000 q\r\nv\r\n", reject(BadChecksum, 1)},
		{Options{Format: Dump}, 0, "ms k 1 O8eb49ab5X q\r\nv\r\nmd l I q\r\n", reject(BadMarks, 23)},
	} {
		rows := parse(t, test.options, test.rowMax, test.input)
		check(t, test.input, rows[max(len(rows)-1, 0):], []found{test.want}) // the last one
		reached[test.want.reason] = true
	}

	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^\s*(?:const )?(\w+)\s+Reason = "(.*)"$`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range constant.FindAllStringSubmatch(string(source), -1) {
			if reason := Reason(match[2]); !reached[reason] {
				t.Errorf("%s: %s is reached by no row, or stands here twice", file, match[1])
			} else {
				reached[reason] = false
			}
		}
	}
	for reason, left := range reached {
		if left {
			t.Errorf("%q is no constant", reason)
		}
	}
}

// The reasons that say a limit say the one that holds.
func TestLimitsInReasons(t *testing.T) {
	for reason, limit := range map[Reason]int{KeyTooLong: meta.KeyMax, BinaryKey: meta.BinaryKeyMax} {
		if want := fmt.Sprintf(" %d bytes", limit); !strings.Contains(string(reason), want) {
			t.Errorf("%q is not about%s", reason, want)
		}
	}
}

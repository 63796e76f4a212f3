package record

import (
	"strings"
	"testing"
)

// BenchmarkNext parses rows of about 110 bytes, with what their format has to be decoded.
func BenchmarkNext(b *testing.B) {
	text := strings.Repeat("x", 40)
	for _, bench := range []struct {
		name    string
		options Options
		header  string
		row     string
	}{
		{"raw", Options{Format: Raw}, "", "user_1234567\t" + text + "\\n" + text + "\\\\0123456789\n"},
		{"mysql", Options{Format: MySQL}, "", "user_1234567\t" + text + `\n` + text + `\\0123456789` + "\n"},
		{"mysql/template", Options{Format: MySQL, Key: "user_{1}", Value: "{2}:{3}"}, "", "1234567\t" + text + `\n` + "\t" + text + `\\0123456789` + "\n"},
		{"mysql/json", Options{Format: MySQL, Header: true, Value: "json"}, "id\tbio\n", "user_1234567\t" + text + `\n` + text + `\\0123456789` + "\n"},
		{"mysql/hex", Options{Format: MySQL, Decode: Hex}, "", "user_1234567\t" + strings.Repeat("5c0a", 24) + "\n"},
		{"psql/bytea", Options{Format: PSQL, Decode: Bytea}, "", "user_1234567\t\\\\x" + strings.Repeat("5c0a", 24) + "\n"},
		{"psql", Options{Format: PSQL}, "", "user_1234567\t" + text + `\r\n` + text + `\\0123456789` + "\n"},
		{"csv", Options{Format: CSV}, "", "user_1234567,\"" + text + "\n" + text + "\"\"0123456789\"\r\n"},
		{"csv/plain", Options{Format: CSV}, "", "user_1234567," + text + text + "0123456789\r\n"},
		{"tsv", Options{Format: TSV}, "", "user_1234567\t" + text + text + "0123456789012\n"},
		{"tsv/numbers", Options{Format: TSV, Key: "1", Value: "2", TTLColumn: "3", FlagsColumn: "4"}, "", "user_1234567\t" + text + text + "0123456789012\t86400\t7\n"},
		{"outfile", Options{Format: Outfile}, "", "user_1234567\t" + text + "\\\n" + text + `\\0123456789` + "\n"},
		{"outfile/quotes", Options{Format: Outfile, Delimiter: ",", Quote: `"`}, "", `"user_1234567","` + text + "\\\n" + text + `\"0123456789"` + "\n"},
		{"tsv/dates", Options{Format: TSV, Key: "1", Value: "2", ExpiresColumn: "3"}, "", "user_1234567\t" + text + text + "0123456789012\t2067-12-01 00:00:00+02\n"},
		{"jsonl", Options{Format: JSONL}, "", `{"key":"user_1234567","value":"` + text + `\n` + text + `\"0"}` + "\n"},
		{"jsonl/plain", Options{Format: JSONL}, "", `{"key":"user_1234567","value":"` + text + text + `"}` + "\n"},
		{"jsonl/base64", Options{Format: JSONL}, "", `{"key":"user_1234567","value_base64":"` + text + text + `","ttl":86400}` + "\n"},
		{"jsonl/json", Options{Format: JSONL, Key: "id", Value: "json"}, "", `{"id":1234567,"name":"` + text + `\n","bio":"` + text + `\"0","on":true}` + "\n"},
		{"jsonl/array", Options{Format: JSONL}, "[", `{"key":"user_1234567","value":"` + text + `\n` + text + `\"0"},`},
		{"jsonl/pretty", Options{Format: JSONL}, "", "{\n  \"key\": \"user_1234567\",\n  \"value\": \"" + text + `\n` + text + "\\\"0\"\n}\n"},
		{"memcached", Options{Format: Memcached}, "", "set user_1234567 7 86400 83\r\n" + text + "\r\n" + text + "0\r\n"},
		{"memcached/meta", Options{Format: Memcached}, "", "ms user_1234567 83 F7 T86400\r\n" + text + "\r\n" + text + "0\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.options.ValueMax = 1 << 20
			p, err := New(bench.options)
			if err != nil {
				b.Fatal(err)
			}
			var row Row
			if bench.header != "" {
				p.Next([]byte(bench.header+bench.row), false, &row)
			}
			data := []byte(strings.Repeat(bench.row, 1000))
			b.SetBytes(int64(len(bench.row)))
			b.ReportAllocs()
			for rest := data; b.Loop(); {
				if len(rest) == 0 {
					rest = data
				}
				if kind := p.Next(rest, true, &row); kind != Item {
					b.Fatalf("kind %d: %s", kind, row.Reason)
				}
				rest = rest[row.Size:]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/row")
		})
	}
}

package record

import (
	"errors"
	"memcached-backdoor/preload/option"
	"strings"
	"testing"
)

// foreigners are beginnings of files that are not rows, of what tools write, and what they are called.
var foreigners = []struct{ name, input, what string }{
	{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03K\xb4", "compressed by gzip"},
	{"zstd", "(\xb5/\xfd\x04\x58\x21\x00\x00a\tb\n", "compressed by zstd"},
	{"zstd, skippable", "P*M\x18\x04\x00\x00\x00\tv\n", "compressed by zstd or lz4"},
	{"xz", "\xfd7zXZ\x00\x00\x04", "compressed by xz"},
	{"bzip2", "BZh91AY&SY\tv\n", "compressed by bzip2"},
	{"bzip2 of nothing", "BZh9\x17rE8P\x90\x00\x00\x00\x00", "compressed by bzip2"},
	{"lz4", "\x04\x22\x4d\x18d@\xa7", "compressed by lz4"},
	{"zip", "PK\x03\x04\n\x00", "a zip archive"},
	{"parquet", "PAR1\x15\x04\x15\n", "a file of Parquet"},
	{"sqlite", "SQLite format 3\x00\x10\x00", "a database of SQLite"},
	{"pg_dump -Fc", "PGDMP\x01\x0e\x00\x04\x08\x01\n", "an archive of pg_dump"},
	{"COPY binary", "PGCOPY\n\xff\r\n\x00\x00\x00", "the binary format of COPY"},
	{"tar", "rows.csv" + strings.Repeat("\x00", 92) + strings.Repeat("0", 157) + "ustar\x0000root", "an archive of tar"},
	{"RDB", "REDIS0011\xfa\tredis-ver\x057.2.4\n", "a file of Redis"},
	{"RDB of old", "REDIS0006\xfe\x00\x00\x01k\x01v\xff", "a file of Redis"},
	{"AOF", "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", "a file of Redis"},
	{"UTF-16", "\xff\xfek\x00\t\x00v\x00\n\x00", "UTF-16 text"},
	{"UTF-16, big-endian", "\xfe\xff\x00k\x00\t\x00v\x00\n", "UTF-16 text"},
	{"UTF-16 of Chinese", "\xff\xfe\x2d\x4e\x09\x00v\x00\n\x00", "UTF-16 text"},
	{"diff -u", "--- /dev/null\t2026-11-27\n+++ r.tsv\t2026-11-27\n@@ -0,0 +1 @@\n+key\tvalue\n", "a patch"},
	{"git diff", "diff --git a/r.tsv b/r.tsv\nindex 1..2 100644\n--- a/r.tsv\n+++ b/r.tsv\n+key\tvalue\n", "a patch"},
	{"ar", "!<arch>\nr.tsv/          0           0     0     644     780       `\nkey\tvalue\n", "an archive of ar"},
	{"UTF-16 with half a line feed", "\xff\xfe\x0a\x4e\x77\x6d\x09\x00v\x00\n\x00", "UTF-16 text"},
	{"UTF-16BE with half a line feed", "\xfe\xff\x4e\x0a\x6d\x77\x00\x09\x00v\x00\n", "UTF-16 text"},
	{"UTF-16 without a mark", "k\x00e\x00y\x00,\x00v\x00\n\x00", "UTF-16 text"},
	{"UTF-16, big-endian, without a mark", "\x00k\x00e\x00y\x00,\x00v\x00\n", "UTF-16 text"},
	{"UTF-32", "\xff\xfe\x00\x00k\x00\x00\x00\t\x00\x00\x00", "UTF-32 text"},
	{"XML", "<?xml version=\"1.0\"?>\n\n<resultset>", "XML"},
	{"XML of spaces", " \r\n<svg width=\"1\">\n", "XML"},
	{"HTML", "\n <!DOCTYPE html>\n<html>", "HTML"},
	{"HTML, capitals and a mark", "\xef\xbb\xbf<HTML>\n", "HTML"},
	{"mysql --html", "<TABLE BORDER=1><TR><TH>id</TH></TR></TABLE>", "HTML"},
	{"PNG", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "an image"},
	{"JPEG", "\xff\xd8\xff\xe0\x00\x10JFIF", "an image"},
	{"GIF", "GIF89a\t\x00\t\x00\xf0\n", "an image"},
	{"BMP", "BM\t\x01\x00\x00\x00\x00\x00\x006\x00\x00\x00\x28\x00\x00\x00", "an image"},
	{"TIFF", "II*\x00\x08\x00", "an image"},
	{"WebP", "RIFF\n\x01\x00\x00WEBPVP8 ", "an image"},
	{"AVIF", "\x00\x00\x00 ftypavif\x00\x00\x00\x00", "an image"},
	{"PPM", "P6\n640 480\n255\n\x01\x02", "an image"},
	{"PDF", "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "a document"},
	{"ELF", "\x7fELF\x02\x01\x01\x00", "a program"},
	{"git", "PACK\x00\x00\x00\x02\x00\x00", "a pack of git"},
	{"openssl", "Salted__\t\x8f\x01\x02\x03\x04\x05\x06\x07\n", "encrypted by openssl enc"},
	{"pickle", "\x80\x04\x95\x1a\x00\x00\x00", "a pickle of Python"},
	{"gob", "\x0c\xff\x81\x02\x01\x02\xff\n", "a binary file"},
	{"mysqldump", "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib\n", "an SQL script of mysqldump"},
	{"mysqldump of old", "-- MySQL dump 10.13  Distrib 8.0.36\n", "an SQL script of mysqldump"},
	{"sqlite3 .dump", "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", "an SQL script of sqlite3's .dump"},
	{"INSERTs", "INSERT INTO \"user\" VALUES(1,'a');\n", "an SQL script"},
	{"SET", "SET statement_timeout = 0;\nSET lock_timeout = 0;\n", "an SQL script"},
	{"CREATE TABLE", "-- mine\n\nCREATE TABLE user (\n", "an SQL script"},
	{"mysql --table", "+----+-------+\n| id | bio   |\n+----+-------+\n", "a table for people to read"},
	{"psql", " id |  bio  \n----+-------\n  1 | Trond\n", "a table for people to read"},
	{"sqlite3 -box", "┌────┬───────┐\n│ id │  bio  │\n", "a table for people to read"},
	{"sqlite3 -column", "id  bio  \n--  -----\n1   Trond\n", "a table for people to read"},
	{"sqlite3 -markdown", "| id |  bio  |\n|----|-------|\n", "a table for people to read"},
	{"mysql \\G", "*************************** 1. row ***************************\n id: 1\n", "rows for people to read"},
	{"psql \\x", "-[ RECORD 1 ]---\nid  | 1\n", "rows for people to read"},
	{"PEM", "-----BEGIN CERTIFICATE-----\nMII\n", "a key or a certificate"},
}

// TestForeign: a foreign file fails at its beginning in each format, however its bytes come, and the message says what it is.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, format := range Formats {
		for _, f := range foreigners {
			if format == PSQL && strings.HasPrefix(f.what, "an SQL script") && !strings.Contains(f.what, "of ") {
				continue // table_test.go
			}
			if isCommands(format) && f.name == "gob" {
				continue // no command is in it
			}
			t.Run(string(format)+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				rows := parse(t, Options{Format: format}, 0, f.input)
				if len(rows) != 1 || rows[0].kind != Failed || !strings.HasPrefix(rows[0].err, "the input is "+f.what) {
					t.Errorf("%q is %+v", f.input, rows)
				}
			})
		}
	}
	for _, format := range []Format{Raw, MySQL, PSQL, CSV, TSV} {
		for _, test := range []struct{ input, what string }{
			{`{"key":"a","value":"b"}` + "\n", "JSON"},
			{"[\n  {\n    \"key\": \"a\"\n  }\n]\n", "JSON"},
			{"\xef\xbb\xbf{\n\t\"key\": \"a\"\n}\n", "JSON"},
			{"add k 0 0 1\r\nv\r\n", "commands of memcached"},
			{"ms k 1 T5\r\nv\r\n", "commands of memcached"},
			{"ms k 1 O8eb49ab5 q\r\nv\r\nmn\r\n", "a dump of memcached"},
		} {
			rows := parse(t, Options{Format: format}, 0, test.input)
			if len(rows) != 1 || rows[0].kind != Failed || !strings.HasPrefix(rows[0].err, "the input is "+test.what+", not rows") {
				t.Errorf("%s: %q is %+v", format, test.input, rows)
			}
		}
	}
}

// TestBinary: one bad line before rows of text is a bad row, and else it is a binary file.
func TestBinary(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Raw, MySQL, PSQL, CSV, TSV, Outfile, JSONL} {
		for _, input := range []string{
			"\x01\tv\n\x02\tv\nk\tv\nk,v\n",
			"\x01\tv\nk\t\x02\nk,\x02\n",
			"\x01\tv\nk\t\xff\nk,\xff\n",
			"\x01\xff\tv\nk\tv\nk,v\n",
			"\x01\tv\n",
		} {
			rows := parse(t, Options{Format: format}, 0, input)
			if len(rows) != 1 || rows[0].kind != Failed || !strings.HasPrefix(rows[0].err, "the input is a binary file") {
				t.Errorf("%s: %q is %+v", format, input, rows)
			}
		}
	}
}

// TestForeignHeader: what is foreign is no header.
func TestForeignHeader(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Header: true, Key: "id", Value: "bio"}, {Header: true, Key: "1", Value: "json"}, {Header: true}} {
		for _, f := range foreigners {
			if o.Format = CSV; f.name == "CREATE TABLE" && o.Key != "1" {
				continue // its first line fails as a header
			}
			rows := parse(t, o, 0, f.input)
			if last := rows[len(rows)-1]; last.kind != Failed || !strings.HasPrefix(last.err, "the input is "+f.what) {
				t.Errorf("%+v: %s is %+v", o, f.name, rows)
			}
		}
	}
}

// TestNotForeign: rows that begin as foreign files do are rows, and so is what merely has a bad first line.
func TestNotForeign(t *testing.T) {
	t.Parallel()
	swapped := Options{Key: "2", Value: "1"}
	run(t, Raw, []parserTest{
		{name: "names of formats", input: "PAR1\tv\nBM\tv\n", want: []found{item("PAR1", "v"), item("BM", "v")}},
		{name: "binary values", input: "BM\t\x00\x01\nk\tv\n", want: []found{item("BM", "\x00\x01"), item("k", "v")}},
		{name: "an empty key, and JSON", input: "\t{\"a\":1}\nk\tv\n", want: []found{{kind: Reject, reason: EmptyKey, column: 1}, item("k", "v")}},
		{name: "a bad key that begins as JSON", input: "{\"a\": 1}\tv\nk\tv\n", want: []found{{kind: Reject, key: `{"a": 1}`, reason: KeyByte, column: 6}, item("k", "v")}},
		{name: "numbers in 64 bits", input: "BM123\t\x00\x00\x00\x00\x00\x00\x00\x05\nk\tv\n", want: []found{item("BM123", "\x00\x00\x00\x00\x00\x00\x00\x05"), item("k", "v")}},
		{name: "webp", input: "RIFF1234WEBP\tv\n", want: []found{item("RIFF1234WEBP", "v")}},
		{name: "avif", input: "mimeftypavif\tv\n", want: []found{item("mimeftypavif", "v")}},
		{name: "redis and an emoji", input: "REDIS0001😀\tv\n", want: []found{item("REDIS0001😀", "v")}},
		{name: "bzip2", input: "BZh9\tv\n", want: []found{item("BZh9", "v")}},
		{name: "gif", input: "GIF89a\tv of some length\n", want: []found{item("GIF89a", "v of some length")}},
		{name: "redis", input: "REDIS0011\tv\n", want: []found{item("REDIS0011", "v")}},
		{name: "salted", input: "Salted__\tsome text behind it\n", want: []found{item("Salted__", "some text behind it")}},
		{name: "html", input: "<html>\t<p>\n", want: []found{item("<html>", "<p>")}},
		{name: "json", input: "{\"a\":1}\tv\n", want: []found{item(`{"a":1}`, "v")}},
		{name: "pdf", input: "%PDF-1.4\tv\n", want: []found{item("%PDF-1.4", "v")}},
		{name: "comment", input: "-- rows\nk\tv\n", want: []found{reject(NoTab, 1), item("k", "v")}},
		{name: "not UTF-16", input: "\xff\xfekey\tv\n", want: []found{item("\xff\xfekey", "v")}},
		{name: "empty lines", input: "\n\n<html>\tv\n", want: []found{reject(NoTab, 1), reject(NoTab, 1), item("<html>", "v")}},
		{name: "border in the second row", input: "bad\n---\tv\n", want: []found{reject(NoTab, 1), item("---", "v")}},
		{name: "empty key", input: "\t\x00\x01\nk\tv\n", want: []found{reject(EmptyKey, 1), item("k", "v")}},
	})
	run(t, Raw, []parserTest{
		{name: "a control byte in the first key", input: "k\x01\tv\nl\tw\n", want: []found{{kind: Reject, key: "k\x01", reason: KeyByte, column: 2}, item("l", "w")}},
		{name: "a control byte in a first line without a tab", input: "\n\x02\nl\tw\n", want: []found{reject(NoTab, 1), reject(NoTab, 1), item("l", "w")}},
		{name: "a control byte, and a value with a tab", input: "k\x00\tv\r\nl\tGrüße\tw\r\n", want: []found{{kind: Reject, key: "k\x00", reason: KeyByte, column: 2}, item("l", "Grüße\tw\r")}},
	})
	run(t, CSV, []parserTest{
		{name: "a control byte in the first key", input: "k\x7f,v\nl,w\n", want: []found{{kind: Reject, key: "k\x7f", reason: KeyByte, column: 2}, item("l", "w")}},
		{name: "html", options: swapped, input: "<html>,k\n", want: []found{item("k", "<html>")}},
		{name: "html on lines", options: swapped, input: "\"<!DOCTYPE html>\n<html>\",k\n", want: []found{item("k", "<!DOCTYPE html>\n<html>")}},
		{name: "long html", options: swapped, input: "<html>" + strings.Repeat("x", 2*lookMax) + ",k\n", want: []found{item("k", "<html>"+strings.Repeat("x", 2*lookMax))}},
		{name: "binary value in a bad row", options: Options{TTLColumn: "3"}, input: "k,\x00\x01,x\nk,v,1\n", want: []found{reject(BadTTL, 6), {kind: Item, key: "k", value: "v", ttl: 1}}},
		{name: "binary value without a key", input: " k,\x00\x01\nk,v\n", want: []found{reject(KeyByte, 1), item("k", "v")}},
		{name: "empty line", input: "\n<html>,v\n", want: []found{nothing, item("<html>", "v")}},
	})
	run(t, MySQL, []parserTest{
		{name: "html", options: swapped, input: "<!DOCTYPE html>\\n<html>\tk\n", want: []found{item("k", "<!DOCTYPE html>\n<html>")}},
		{name: "json", options: swapped, input: "{\"a\": 1}\tk\n", want: []found{item("k", `{"a": 1}`)}},
		{name: "NULL skipped", options: Options{Key: "2", Value: "1", Null: NullSkip}, input: "NULL\t<p>\n", want: []found{skip(NullValue)}},
	})
	run(t, Memcached, []parserTest{
		{name: "binary data", input: "set k 0 x 2\r\n\x00\x01\r\nset k 0 0 1\r\nv\r\n", want: []found{reject(BadExptime, 9), item("k", "v")}},
	})
}

// TestForeignNotAwaited: a row is parsed when its line is there, though more of it would be a foreign file.
func TestForeignNotAwaited(t *testing.T) {
	t.Parallel()
	for _, input := range []string{"BZh91AY&S\tv\n", "PGDMP\tv\n", "SQLite\tv\n", "R\tv\n", "\xff\xfe\tv\n"} {
		p, err := New(Options{ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		if kind := p.Next([]byte(input), false, &row); kind != Item {
			t.Errorf("%q: kind %d", input, kind)
		}
	}
}

// TestForeignHint: the hint names the command that exports right, for this format.
func TestForeignHint(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"\x1f\x8b\x08":                  "gzip -dc FILE | client load --from tsv",
		"-- MySQL dump 10.13\n":         "client load --from mysql",
		"PGDMP\x01":                     "COPY (SELECT …) TO STDOUT",
		"PRAGMA foreign_keys=OFF;\n":    "sqlite3 -csv -header",
		"PK\x03\x04":                    "export the sheet as CSV",
		"{\"key\":\"k\",\"value\":1}\n": "--from jsonl",
	} {
		p, err := New(Options{Format: TSV})
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		kind := p.Next([]byte(input), true, &row)
		if refused, ok := errors.AsType[*option.Error](row.Err); kind != Failed || !ok || !strings.Contains(refused.Hint, want) {
			t.Errorf("%q: %+v", input, row.Err)
		}
	}
}

// TestResumed: what a resumed load begins with is a row, whatever it looks like.
func TestResumed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		delimiter, input string
		kind             Kind
		key              string
	}{
		{",", "<html>\n", Reject, ""},
		{",", "\xef\xbb\xbfk,v\n", Item, "\xef\xbb\xbfk"},
		{",", "-- MySQL dump 10\n", Reject, ""},
		{";", "sep=;\n", Item, "sep="},
		{";", "sep=|\n", Reject, ""},
	} {
		p, err := New(Options{Format: CSV, Delimiter: test.delimiter, ValueMax: 100})
		if err != nil {
			t.Fatal(err)
		}
		p.Resume(State{})
		var row Row
		kind := p.Next([]byte(test.input), true, &row)
		if key := string(row.Key.Of([]byte(test.input))); kind != test.kind || key != test.key {
			t.Errorf("%q: kind %d, key %q, %v", test.input, kind, key, row.Err)
		}
	}
}

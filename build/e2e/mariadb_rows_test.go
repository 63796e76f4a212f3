package e2e

import (
	"maps"
	"os/exec"
	"regexp"
	"testing"
)

// rows are what the database has, by an expression for the bytes.
func (m mariadb) rows(t *testing.T, value, from string) contents {
	t.Helper()
	out, err := m.command("-D", "test", "--batch", "--quick", "--skip-column-names", "-e",
		"SELECT HEX(id), IFNULL(HEX("+value+"), 'NULL') FROM "+from).Output()
	if err != nil {
		t.Fatal(err)
	}
	return parseContents(t, out)
}

// What mariadb writes of rows that are hard to write is in the cache as it is in the database, by each of its dialects, and
// what cannot be told from it is as the options say.
func TestMariaDBRows(t *testing.T) {
	t.Parallel()
	m := startMariaDB(t)
	texts, binary := drawRows(t, utf8Text), drawRows(t, anyByte)
	const id = "CONVERT(x'%x' USING utf8mb4)"
	m.execute(t, `CREATE DATABASE test; USE test; SET autocommit = 0;
CREATE TABLE texts (id VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4);
CREATE TABLE bytes (id VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v LONGBLOB);
CREATE TABLE latin (id VARCHAR(99) PRIMARY KEY, v TEXT CHARACTER SET latin1);
`+texts.inserted("texts", id, "CONVERT(x'%x' USING utf8mb4)")+binary.inserted("bytes", id, "x'%x'")+
		contents{"latin1": []byte("Gr\xfc\xdfe\\\xff")}.inserted("latin", id, "_latin1 x'%x'")+"COMMIT;\n")
	rows, text := m.rows(t, "v", "bytes"), m.rows(t, "v", "texts")
	if !rows.equal(binary) || !text.equal(texts) {
		t.Fatal("the database has other rows than were drawn")
	}
	// With --raw nothing is escaped.
	const oneLine = " WHERE NOT LOCATE('\n', CONCAT(id, IFNULL(v, ''))) AND NOT LOCATE('\t', id)"
	const noTabs = oneLine + " AND NOT LOCATE('\t', IFNULL(v, ''))"

	// With the header there is one row more, unless the client is told that.
	header := rows.null("NULL")
	header["id"] = []byte("v")

	// The client replaces a character that is not in its character set, and nobody can tell that from what was there.
	replaced := contents{}
	for key, value := range text.null("NULL") {
		replaced[fourBytes.ReplaceAllString(key, "?")] = []byte(fourBytes.ReplaceAllString(string(value), "?"))
	}

	batch := func(query string, options ...string) *exec.Cmd {
		return m.command(append([]string{"-D", "test", "--batch", "-e", query}, options...)...)
	}
	loaded(t, map[string]dialect{
		"no names": {
			export: batch("SELECT id, v FROM bytes", "--skip-column-names"), load: []string{"--from", "mysql"},
			want: rows.null("NULL"),
		},
		"a header": {
			export: batch("SELECT id, v FROM bytes"), load: []string{"--from", "mysql", "--header"},
			want: rows.null("NULL"),
		},
		"a header that is not expected": {
			export: batch("SELECT id, v FROM bytes"), load: []string{"--from", "mysql"},
			want: header,
		},
		"unbuffered, by name": {
			export: batch("SELECT 1 AS one, v, id, LENGTH(v) AS n FROM bytes", "--quick"),
			load:   []string{"--from", "mysql", "--header", "--key", "user:{id}", "--value", "v", "--null", "literal"},
			want:   rows.null("NULL").under("user:"),
		},
		"NULL skipped": { // and the text NULL, which looks like it
			export: batch("SELECT id, v FROM bytes"), load: []string{"--from", "mysql", "--header", "--null", "skip"},
			want: rows.skipping("NULL"),
		},
		"NULL empty": {
			export: batch("SELECT id, v FROM bytes"), load: []string{"--from", "mysql", "--header", "--null", "empty"},
			want: rows.skipping("NULL").null(""),
		},
		"a header with an expression": {
			export: batch(`SELECT id, REPLACE(v, '\r', '\r'), 1 AS 'a\\b' FROM texts`),
			load:   []string{"--from", "mysql", "--header", "--key", "id", "--value", `REPLACE(v, '\r', '\r')`},
			want:   text.null("NULL"),
		},
		"a column that is called NULL": {
			export: batch("SELECT id, v AS 'NULL' FROM bytes"),
			load:   []string{"--from", "mysql", "--header", "--key", "id", "--value", "NULL", "--null", "empty"},
			want:   rows.skipping("NULL").null(""),
		},
		"text": {
			export: batch("SELECT id, v FROM texts"), load: []string{"--from", "mysql", "--header"},
			want: text.null("NULL"),
		},
		"text as binary": {
			export: batch("SELECT id, v FROM texts", "--default-character-set=binary"), load: []string{"--from", "mysql", "--header"},
			want: text.null("NULL"),
		},
		"text in latin1": {
			export: batch("SELECT id, v FROM latin", "--skip-column-names", "--default-character-set=latin1"), load: []string{"--from", "mysql"},
			want: m.rows(t, "v", "latin"),
		},
		"text from latin1": {
			export: batch("SELECT id, v FROM latin", "--skip-column-names"), load: []string{"--from", "mysql"},
			want: m.rows(t, "CONVERT(v USING utf8mb4)", "latin"),
		},
		"text in utf8mb3, which has not all characters": {
			export: batch("SELECT id, v FROM texts", "--skip-column-names", "--default-character-set=utf8mb3"), load: []string{"--from", "mysql"},
			want: replaced,
		},
		"rows as JSON": {
			export: batch("SELECT id, v AS 'a \"value\"' FROM texts WHERE LENGTH(v) < 100000"), load: []string{"--from", "mysql", "--header", "--key", "id", "--value", "json"},
			want: m.rows(t, "v", "texts WHERE LENGTH(v) < 100000"), read: member(`a "value"`),
		},
		"raw": {
			export: batch("SELECT id, v FROM bytes"+oneLine, "--skip-column-names", "--raw"),
			want:   m.rows(t, "v", "bytes"+oneLine).null("NULL"),
		},
		"raw in columns": {
			export: batch("SELECT id, v FROM bytes"+noTabs, "--raw"), load: []string{"--from", "tsv", "--header"},
			want: m.rows(t, "v", "bytes"+noTabs).null("NULL"),
		},
		"JSON": {
			export: batch("SELECT JSON_OBJECT('key', id, 'value', v) FROM texts", "--skip-column-names", "--raw"), load: []string{"--from", "jsonl"},
			want: text,
		},
		"JSON, escaped once more": { // without --raw a backslash of JSON is doubled, which only the format mysql takes back
			export: batch("SELECT id, JSON_OBJECT('a', v) FROM texts WHERE LENGTH(v) < 100000", "--skip-column-names"), load: []string{"--from", "mysql"},
			want: m.rows(t, "v", "texts WHERE LENGTH(v) < 100000"), read: member("a"),
		},
		// The way for bytes with a NULL that is one.
		"JSON with base64": {
			export: batch("SELECT JSON_OBJECT('key', id, 'value_base64', TO_BASE64(v)) FROM bytes", "--skip-column-names", "--raw"), load: []string{"--from", "jsonl"},
			want: rows,
		},
	})
	t.Run("line feeds in raw", func(t *testing.T) {
		t.Parallel()
		mariadbRaw(t, m)
	})
}

var fourBytes = regexp.MustCompile(`[\x{10000}-\x{10ffff}]`)

// With --raw nothing is escaped: a line feed in a text ends its row, and what is behind it is a row or is rejected.
func mariadbRaw(t *testing.T, m mariadb) {
	export := []string{"-D", "test", "--batch", "--raw", "--skip-column-names", "-e",
		"SELECT id, v FROM bytes WHERE id IN ('plain', 'empty', 'tabs', 'backslash', 'crlf', 'nul', 'null', 'sql-null', 'row', 'carriage') ORDER BY id"}
	want := map[string]string{
		"plain": "value", "empty": "", "backslash": `C:\new\table\0\\\`, "carriage": "a\r", "nul": "a\x00b\x00",
		"null": "NULL", "sql-null": "NULL",
		"crlf": "a\r", // the beginning
		"row":  "a", "key": "value",
	}
	for name, test := range map[string]struct {
		load    []string
		tabs    string
		account account
		reasons map[string]uint64
	}{
		// Behind crlf are "b\r" and "", behind row "key,value" and "".
		"raw": {
			tabs: "\ta\tb\t\tc\t", account: account{rows: 15, stored: 11, rejected: 4},
			reasons: map[string]uint64{"no tab between key and value": 4},
		},
		"tsv": {
			load: []string{"--from", "tsv"}, account: account{rows: 15, stored: 10, rejected: 5},
			reasons: map[string]uint64{"fewer columns than expected": 4, "more columns than expected": 1},
		},
	} {
		s := start(t, stock(t))
		l := s.pipe(m.command(export...), test.account, test.load...)
		if !maps.Equal(l.Reasons, test.reasons) {
			t.Errorf("%s: %v, want %v", name, l.Reasons, test.reasons)
		}
		items := maps.Clone(want)
		if test.tabs != "" {
			items["tabs"] = test.tabs
		}
		s.holds(items)
	}
}

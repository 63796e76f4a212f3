package e2e

import (
	"cmp"
	"maps"
	"testing"
)

// rows are what the database has, by an expression for the bytes.
func (m mariadb) rows(t *testing.T, value, from string) contents {
	t.Helper()
	out, err := m.command("-D", "test", "--batch", "--skip-column-names", "-e",
		"SELECT id, IF(v IS NULL, 'NULL', HEX("+value+")) FROM "+from).Output()
	if err != nil {
		t.Fatal(err)
	}
	return parseContents(t, out)
}

// What mariadb --batch writes of rows that are hard to write is in the cache as it is in the database, and what
// cannot be told from it is as the options say.
func TestMariaDBRows(t *testing.T) {
	t.Parallel()
	m := startMariaDB(t)
	texts := hostile()
	bytes := maps.Clone(texts)
	bytes["nul"] = "a\x00b\x00"
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	bytes["all"] = string(all)
	bytes["latin1"] = "Gr\xfc\xdfe\\\xff"
	m.execute(t, `CREATE DATABASE test; USE test;
CREATE TABLE texts (id VARCHAR(99) PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4);
CREATE TABLE bytes (id VARCHAR(99) PRIMARY KEY, v LONGBLOB);
CREATE TABLE latin (id VARCHAR(99) PRIMARY KEY, v TEXT CHARACTER SET latin1);
`+inserted("texts", texts, "CONVERT(x'%x' USING utf8mb4)")+inserted("bytes", bytes, "x'%x'")+
		inserted("latin", map[string]string{"latin1": bytes["latin1"]}, "_latin1 x'%x'"))

	rows := m.rows(t, "v", "bytes")
	if len(rows) != len(bytes)+1 {
		t.Fatalf("%d rows, %d texts", len(rows), len(bytes))
	}
	text := m.rows(t, "v", "texts")
	latin1, utf8 := m.rows(t, "v", "latin"), m.rows(t, "CONVERT(v USING utf8mb4)", "latin")

	// With the header there is one row more, unless the client is told that.
	header := rows.items("NULL")
	header["id"] = "v"
	// NULL cannot be told from the text NULL.
	skipped, empty := rows.items(), rows.items("")
	delete(skipped, "null")
	empty["null"] = ""

	for name, test := range map[string]struct {
		export []string
		query  string
		want   account
		items  map[string]string
		load   []string
		from   string // if it is not mysql
	}{
		"no names": {
			export: []string{"--skip-column-names"}, query: "SELECT id, v FROM bytes",
			want: rows.all(), items: rows.items("NULL"),
		},
		"a header": {
			query: "SELECT id, v FROM bytes", load: []string{"--header"},
			want: rows.all(), items: rows.items("NULL"),
		},
		"a header that is not expected": {
			query: "SELECT id, v FROM bytes",
			want:  account{rows: rows.count() + 1, stored: rows.count() + 1}, items: header,
		},
		"unbuffered, by name": {
			export: []string{"--quick"}, query: "SELECT 1 AS one, v, id, LENGTH(v) AS n FROM bytes",
			load: []string{"--header", "--key", "{id}", "--value", "v", "--null", "literal"},
			want: rows.all(), items: rows.items("NULL"),
		},
		"NULL skipped": {
			query: "SELECT id, v FROM bytes", load: []string{"--header", "--null", "skip"},
			want: account{rows: rows.count(), stored: rows.count() - 2, skipped: 2}, items: skipped,
		},
		"NULL empty": {
			query: "SELECT id, v FROM bytes", load: []string{"--header", "--null", "empty"},
			want: rows.all(), items: empty,
		},
		"a header with an expression": {
			query: `SELECT id, REPLACE(v, '\r', '\r'), 1 AS 'a\\b' FROM texts`, load: []string{"--header", "--key", "id", "--value", `REPLACE(v, '\r', '\r')`},
			want: text.all(), items: text.items("NULL"),
		},
		"a column that is called NULL": {
			query: "SELECT id, v AS 'NULL' FROM bytes", load: []string{"--header", "--key", "id", "--value", "NULL", "--null", "empty"},
			want: rows.all(), items: empty,
		},
		"text": {
			query: "SELECT id, v FROM texts", load: []string{"--header"},
			want: text.all(), items: text.items("NULL"),
		},
		"text in latin1": {
			export: []string{"--skip-column-names", "--default-character-set=latin1"}, query: "SELECT id, v FROM latin",
			want: latin1.all(), items: latin1.items("NULL"),
		},
		"text from latin1": {
			export: []string{"--skip-column-names"}, query: "SELECT id, v FROM latin",
			want: utf8.all(), items: utf8.items("NULL"),
		},
		// The way for bytes with a NULL that is one.
		"JSON with base64": {
			export: []string{"--skip-column-names", "--raw"}, query: "SELECT JSON_OBJECT('key', id, 'value_base64', TO_BASE64(v)) FROM bytes",
			from: "jsonl",
			want: account{rows: rows.count(), stored: rows.count() - 1, skipped: 1}, items: rows.items(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t))
			export := m.command(append([]string{"-D", "test", "--batch", "-e", test.query}, test.export...)...)
			s.pipe(export, test.want, append(test.load, "--from", cmp.Or(test.from, "mysql"))...)
			s.holds(test.items)
		})
	}
	t.Run("raw", func(t *testing.T) {
		t.Parallel()
		mariadbRaw(t, m)
	})
}

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

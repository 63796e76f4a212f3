package e2e

import (
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sqlite is a database's file.
type sqlite struct{ file string }

// shell is the database's own program. From 3.50 on it writes control bytes as ^X if it is not told otherwise.
func (q sqlite) shell(args ...string) *exec.Cmd {
	options := []string{"-init", "/dev/null"}
	if off := []string{"-escape", "off"}; exec.Command("sqlite3", append(off, ":memory:", "SELECT 1")...).Run() == nil {
		options = append(options, off...)
	}
	return exec.Command("sqlite3", append(append(options, q.file), args...)...)
}

// rows are what the database has, by an expression for the bytes.
func (q sqlite) rows(t *testing.T, value, from string) contents {
	t.Helper()
	out, err := q.shell("-list", "SELECT hex(id) || char(9) || iif("+value+" IS NULL, 'NULL', hex("+value+")) FROM "+from).Output()
	if err != nil {
		t.Fatal(err)
	}
	return parseContents(t, out)
}

// What sqlite3 writes of rows that are hard to write is in the cache as it is in the database, by each of its dialects; -tabs
// escapes nothing, so that a line feed in a text ends its row.
func TestSQLiteRows(t *testing.T) {
	t.Parallel()
	q := sqlite{filepath.Join(t.TempDir(), "rows")}
	texts, characters, binary := drawRows(t, utf8SansNUL), drawRows(t, utf8Text), drawRows(t, anyByte)
	const id = "CAST(x'%x' AS TEXT)"
	create := q.shell()
	create.Stdin = strings.NewReader("BEGIN;\nCREATE TABLE texts (id TEXT PRIMARY KEY, v TEXT);\n" +
		texts.inserted("texts", id, "CAST(x'%x' AS TEXT)") +
		"CREATE TABLE characters (id TEXT PRIMARY KEY, v TEXT);\n" + characters.inserted("characters", id, "CAST(x'%x' AS TEXT)") +
		"CREATE TABLE bytes (id TEXT PRIMARY KEY, v BLOB);\n" + binary.inserted("bytes", id, "x'%x'") + "COMMIT;\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows, all := q.rows(t, "v", "texts"), q.rows(t, "v", "characters")
	if !rows.equal(texts) || !all.equal(characters) || !q.rows(t, "v", "bytes").equal(binary) {
		t.Fatal("the database has other rows than were drawn")
	}
	// With -tabs nothing is escaped.
	const oneLine = " WHERE NOT instr(id || ifnull(v, ''), char(10)) AND NOT instr(id, char(9))"
	const noTabs = oneLine + " AND NOT instr(ifnull(v, ''), char(9)) AND id != ''"
	const noNUL = " WHERE NOT instr(ifnull(v, x''), x'00')"
	const short = " WHERE ifnull(length(v), 0) < 100000"

	script := func(from, code string) *exec.Cmd {
		return exec.Command("python3", "-c", "import base64, csv, json, sqlite3, sys\n"+
			"out, rows = open(1, 'w', encoding='utf-8', newline=''), sqlite3.connect(sys.argv[1]).execute('SELECT id, v FROM ' + sys.argv[2])\n"+code, q.file, from)
	}
	loaded(t, map[string]dialect{
		"CSV by a script": {
			export: script("texts", "csv.writer(out).writerows(rows)"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none"},
			want: rows.null(""),
		},
		"JSON by a script": { // which has all but ASCII as \u escapes
			export: script("characters", "for k, v in rows: print(json.dumps({'key': k, 'value': v}), file=out)"), load: []string{"--from", "jsonl"},
			want: all,
		},
		"JSON with base64 by a script": {
			export: script("bytes", "for k, v in rows: print(json.dumps({'key': k, 'value_base64': v if v is None else base64.b64encode(v).decode()}), file=out)"), load: []string{"--from", "jsonl"},
			want: q.rows(t, "v", "bytes"),
		},
		"csv": {
			export: q.shell("-csv", "SELECT id, v FROM texts"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none"},
			want: rows.null(""),
		},
		"csv, header": {
			export: q.shell("-csv", "-header", "SELECT v, id FROM texts"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header", "--key", "user:{id}", "--value", "v"},
			want: rows.null("").under("user:"),
		},
		"csv, NULL skipped": {
			export: q.shell("-csv", "SELECT id, v FROM texts"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--null", "skip"},
			want: rows,
		},
		// The shell's own mode ends rows with CR LF.
		"csv by .mode": {
			export: q.shell("-cmd", ".mode csv", "SELECT id, v FROM texts"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none"},
			want: rows.null(""),
		},
		"csv of blobs": { // of which it writes nothing behind a NUL
			export: q.shell("-csv", "SELECT id, v FROM bytes"+noNUL), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--null", "skip"},
			want: q.rows(t, "v", "bytes"+noNUL),
		},
		"rows of csv as JSON": {
			export: q.shell("-csv", "-header", "SELECT id, v FROM texts"+short), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header", "--key", "id", "--value", "json"},
			want: q.rows(t, "v", "texts"+short).null(jsonNull), read: member("v"),
		},
		"json": {
			export: q.shell("-json", `SELECT id AS "key", v AS value FROM texts`), load: []string{"--from", "jsonl"},
			want: rows,
		},
		"json, by name": {
			export: q.shell("-json", `SELECT id, v AS "a ""b""\", 1.5 AS n FROM texts`),
			load:   []string{"--from", "jsonl", "--key", "user:{id}", "--value", `a "b"\`, "--null", "empty"},
			want:   rows.null("").under("user:"),
		},
		"json_object": { // which escapes also a NUL
			export: q.shell("SELECT json_object('key', id, 'value', v) FROM characters"), load: []string{"--from", "jsonl"},
			want: all,
		},
		"tabs": {
			export: q.shell("-tabs", "SELECT id, v FROM texts"+oneLine),
			want:   q.rows(t, "v", "texts"+oneLine).null(""),
		},
		"tabs in columns": {
			export: q.shell("-tabs", "-header", "SELECT id, v FROM texts"+noTabs), load: []string{"--from", "tsv", "--header"},
			want: q.rows(t, "v", "texts"+noTabs).null(""),
		},
		"tabs in columns, NULL skipped": { // and empty texts, which look like it
			export: q.shell("-tabs", "SELECT id, v FROM texts"+noTabs), load: []string{"--from", "tsv", "--null", "skip"},
			want: q.rows(t, "v", "texts"+noTabs).skipping(""),
		},
	})
	t.Run("what is not written", func(t *testing.T) {
		t.Parallel()
		sqliteLosses(t, q)
	})
}

// What sqlite3 does not write is rejected as far as it can be seen.
func sqliteLosses(t *testing.T, q sqlite) {
	texts := hostile()
	some := " WHERE id IN ('plain', 'empty', 'sql-null', 'null', 'quotes', 'backslash', 'carriage', 'crlf', 'tabs', 'row')"
	cut := map[string]string{
		"plain": "value", "empty": "", "sql-null": "", "null": "NULL", "quotes": texts["quotes"], "backslash": texts["backslash"],
		"carriage": "a\r", "crlf": "a\r", "row": "a", "key": "value",
	}
	cutRaw := maps.Clone(cut)
	cutRaw["tabs"] = texts["tabs"]

	for name, test := range map[string]struct {
		mode    []string
		query   string
		load    []string
		want    account
		items   map[string]string
		reasons map[string]uint64
	}{
		// A blob in JSON is cut off at its first NUL and its other bytes stand there as they are, which JSON has no place for.
		"json of blobs": {
			mode: []string{"-json"}, query: `SELECT id AS "key", v AS value FROM bytes WHERE id IN ('utf8', 'latin1', 'sql-null')`, load: []string{"--from", "jsonl"},
			want: account{rows: 3, stored: 1, rejected: 1, skipped: 1}, items: map[string]string{"utf8": texts["utf8"]},
			reasons: map[string]uint64{"not UTF-8, which JSON must be": 1, "the value is NULL": 1},
		},
		"csv of a NUL": {
			mode: []string{"-csv"}, query: "SELECT id, v FROM bytes WHERE id = 'nul'", load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none"},
			want: account{rows: 1, stored: 1}, items: map[string]string{"nul": "a"},
		},
		"tabs, header": {
			mode: []string{"-tabs", "-header"}, query: "SELECT id, v FROM texts" + some, load: []string{"--from", "tsv", "--header"},
			want: account{rows: 15, stored: 10, rejected: 5}, items: cut,
			reasons: map[string]uint64{"fewer columns than expected": 4, "more columns than expected": 1},
		},
		"tabs, raw": {
			mode: []string{"-tabs"}, query: "SELECT id, v FROM texts" + some,
			want: account{rows: 15, stored: 11, rejected: 4}, items: cutRaw,
			reasons: map[string]uint64{"no tab between key and value": 4},
		},
	} {
		s := start(t, stock(t))
		l := s.pipe(q.shell(append(test.mode, test.query)...), test.want, test.load...)
		if test.reasons != nil && !maps.Equal(l.Reasons, test.reasons) {
			t.Errorf("%s: reasons %v, want %v", name, l.Reasons, test.reasons)
		}
		s.holds(test.items)
	}
}

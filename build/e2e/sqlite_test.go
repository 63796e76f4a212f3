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

// shell is the database's own program.
func (q sqlite) shell(args ...string) *exec.Cmd {
	return exec.Command("sqlite3", append([]string{"-init", "/dev/null", q.file}, args...)...)
}

// What sqlite3 writes of rows that are hard to write is in the cache as it is in the database, by CSV and JSON; -tabs
// escapes nothing, so that a line feed in a text ends its row.
func TestSQLiteRows(t *testing.T) {
	t.Parallel()
	q := sqlite{filepath.Join(t.TempDir(), "rows")}
	texts := hostile()
	create := q.shell()
	create.Stdin = strings.NewReader("BEGIN;\nCREATE TABLE texts (id TEXT PRIMARY KEY, v TEXT);\n" +
		inserted("texts", texts, "CAST(x'%x' AS TEXT)") +
		"CREATE TABLE bytes (id TEXT PRIMARY KEY, v BLOB);\n" +
		inserted("bytes", map[string]string{"text": "Grüße", "latin1": "Gr\xfc\xdfe", "nul": "a\x00b"}, "x'%x'") + "COMMIT;\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := q.shell("-tabs", "SELECT id, iif(v IS NULL, 'NULL', hex(v)) FROM texts").Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := parseContents(t, out)
	if len(rows) != len(texts)+1 {
		t.Fatalf("%d rows, %d texts", len(rows), len(texts))
	}
	users := map[string]string{}
	for id, text := range rows.items("") {
		users["user:"+id] = text
	}
	but1 := account{rows: rows.count(), stored: rows.count() - 1, skipped: 1}
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
		"csv": {
			mode: []string{"-csv"}, query: "SELECT id, v FROM texts", load: []string{"--from", "csv"},
			want: rows.all(), items: rows.items(""),
		},
		"csv, header": {
			mode: []string{"-csv", "-header"}, query: "SELECT v, id FROM texts", load: []string{"--from", "csv", "--header", "--key", "user:{id}", "--value", "v"},
			want: rows.all(), items: users,
		},
		"csv, NULL skipped": {
			mode: []string{"-csv"}, query: "SELECT id, v FROM texts", load: []string{"--from", "csv", "--null", "skip"},
			want: but1, items: rows.items(),
		},
		// The shell's own mode ends rows with CR LF.
		"csv by .mode": {
			mode: []string{"-cmd", ".mode csv"}, query: "SELECT id, v FROM texts", load: []string{"--from", "csv"},
			want: rows.all(), items: rows.items(""),
		},
		"json": {
			mode: []string{"-json"}, query: `SELECT id AS "key", v AS value FROM texts`, load: []string{"--from", "jsonl"},
			want: but1, items: rows.items(),
		},
		"json, by name": {
			mode: []string{"-json"}, query: `SELECT id, v AS "a ""b""\", 1.5 AS n FROM texts`,
			load: []string{"--from", "jsonl", "--key", "user:{id}", "--value", `a "b"\`, "--null", "empty"},
			want: rows.all(), items: users,
		},
		// A blob in it is cut off at its first NUL and its other bytes stand there as they are, which JSON has no place for.
		"json of blobs": {
			mode: []string{"-json"}, query: `SELECT id AS "key", v AS value FROM bytes WHERE id != 'nul'`, load: []string{"--from", "jsonl"},
			want: account{rows: 3, stored: 1, rejected: 1, skipped: 1}, items: map[string]string{"text": "Grüße"},
			reasons: map[string]uint64{"not UTF-8, which JSON must be": 1, "the value is NULL": 1},
		},
		"tabs, header": {
			mode: []string{"-tabs", "-header"}, query: "SELECT id, v FROM texts" + some, load: []string{"--from", "tsv", "--header"},
			want: account{rows: 15, stored: 10, rejected: 5}, items: cut,
			reasons: map[string]uint64{"fewer columns than expected": 4, "more columns than expected": 1},
		},
		"tabs, NULL skipped": {
			mode: []string{"-tabs"}, query: "SELECT id, v FROM texts WHERE id IN ('plain', 'empty', 'sql-null')", load: []string{"--from", "tsv", "--null", "skip"},
			want: account{rows: 3, stored: 1, skipped: 2}, items: map[string]string{"plain": "value"},
		},
		"tabs, raw": {
			mode: []string{"-tabs"}, query: "SELECT id, v FROM texts" + some,
			want: account{rows: 15, stored: 11, rejected: 4}, items: cutRaw,
			reasons: map[string]uint64{"no tab between key and value": 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t))
			l := s.pipe(q.shell(append(test.mode, test.query)...), test.want, test.load...)
			if test.reasons != nil && !maps.Equal(l.Reasons, test.reasons) {
				t.Errorf("reasons %v, want %v", l.Reasons, test.reasons)
			}
			s.holds(test.items)
		})
	}
}

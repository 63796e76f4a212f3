package e2e

import (
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blobs are bytes that no text format has a place for, and a value that fits in an item although its text does not.
func blobs() map[string]string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	large := make([]byte, 1_000_000)
	rand.NewChaCha8([32]byte{18}).Read(large)
	return map[string]string{
		"all": string(all), "empty": "", "nul": "\x00", "backslash": `\x00\\`, "text": "0x", "latin1": "Gr\xfc\xdfe\n",
		"line": string(large[:57]), "lines": string(large[:58]), "long": string(large[:10_000]), "large": string(large),
	}
}

// encodedTest is an export of encoded bytes, and how it is loaded.
type encodedTest struct {
	export *exec.Cmd
	load   []string
	null   string // skip, empty, or reject: what becomes of NULL
}

// decodes loads exports of blobs, and compares the cache with the rows of the database.
func decodes(t *testing.T, rows contents, tests map[string]encodedTest) {
	if len(rows) != len(blobs())+1 {
		t.Fatalf("the database has %d rows", len(rows))
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, items := account{rows: rows.count(), stored: rows.count() - 1}, rows.items()
			switch test.null {
			case "skip":
				want.skipped = 1
			case "reject":
				want.rejected = 1
			case "empty":
				want, items = rows.all(), rows.items("")
			case "none":
				want.rows--
			}
			s := start(t, stock(t))
			s.pipe(test.export, want, test.load...)
			s.holds(items)
		})
	}
}

// Bytes that a database writes in an encoding are in the cache as they are in the database.
func TestEncodedMariaDBRows(t *testing.T) {
	t.Parallel()
	m := startMariaDB(t)
	m.execute(t, "CREATE DATABASE test; USE test; CREATE TABLE bytes (id VARCHAR(99) PRIMARY KEY, v LONGBLOB);\n"+inserted("bytes", blobs(), "x'%x'"))
	query := func(query string, more ...string) *exec.Cmd {
		return m.command(append([]string{"-D", "test", "--batch", "-e", query + " FROM bytes"}, more...)...)
	}
	decodes(t, m.rows(t, "v", "bytes"), map[string]encodedTest{
		"HEX": {query("SELECT id, HEX(v)"), []string{"--from", "mysql", "--header", "--decode", "hex", "--null", "skip"}, "skip"},
		"HEX, NULL not said": {query("SELECT HEX(v) AS v, id"),
			[]string{"--from", "mysql", "--header", "--key", "id", "--value", "v", "--decode", "hex"}, "reject"},
		"HEX, raw":      {query("SELECT id, IFNULL(HEX(v), '')", "--raw", "--skip-column-names"), []string{"--decode", "hex"}, "empty"},
		"binary-as-hex": {query("SELECT id, v", "--binary-as-hex"), []string{"--from", "mysql", "--header", "--decode", "hex", "--null", "empty"}, "empty"},
		"TO_BASE64":     {query("SELECT id, TO_BASE64(v)"), []string{"--from", "mysql", "--header", "--decode", "base64", "--null", "skip"}, "skip"},
		"TO_BASE64, no NULL": {m.command("-D", "test", "--batch", "-e", "SELECT id, TO_BASE64(v) FROM bytes WHERE v IS NOT NULL"),
			[]string{"--from", "mysql", "--header", "--decode", "base64"}, "none"},
		"HEX in JSON": {query("SELECT JSON_OBJECT('key', id, 'value', HEX(v))", "--raw", "--skip-column-names"), []string{"--from", "jsonl", "--decode", "hex"}, "skip"},
		"TO_BASE64 in JSON": {query("SELECT JSON_OBJECT('key', id, 'value', TO_BASE64(v))", "--raw", "--skip-column-names"),
			[]string{"--from", "jsonl", "--decode", "base64", "--null", "empty"}, "empty"},
	})
}

func TestEncodedPostgreSQLRows(t *testing.T) {
	t.Parallel()
	p := startPostgreSQL(t)
	p.execute(t, "CREATE TABLE bytes (id text PRIMARY KEY, v bytea);\n"+inserted("bytes", blobs(), `'\x%x'`))
	tests := map[string]encodedTest{
		"base64":      {p.psql("-c", "COPY (SELECT id, encode(v, 'base64') FROM bytes) TO STDOUT"), []string{"--from", "psql", "--decode", "base64"}, "skip"},
		"base64, csv": {p.psql("-c", "COPY (SELECT id, encode(v, 'base64') FROM bytes) TO STDOUT CSV"), []string{"--from", "csv", "--decode", "base64"}, "empty"},
		"hex":         {p.psql("-c", "COPY (SELECT id, encode(v, 'hex') FROM bytes) TO STDOUT"), []string{"--from", "psql", "--decode", "hex", "--null", "empty"}, "empty"},
	}
	for _, output := range []string{"hex", "escape"} {
		as := func(args ...string) *exec.Cmd {
			return p.psql(append([]string{"-c", "SET bytea_output = " + output}, args...)...)
		}
		maps.Copy(tests, map[string]encodedTest{
			"bytea, " + output:        {as("-c", "COPY bytes TO STDOUT"), []string{"--from", "psql", "--decode", "bytea"}, "skip"},
			"bytea, csv, " + output:   {as("-c", "COPY bytes TO STDOUT CSV HEADER"), []string{"--from", "csv", "--header", "--decode", "bytea", "--null", "skip"}, "skip"},
			"bytea, tabs, " + output:  {as("-At", "-F", "\t", "-c", "TABLE bytes"), []string{"--from", "tsv", "--decode", "bytea"}, "empty"},
			"bytea, raw, " + output:   {as("-At", "-F", "\t", "-c", "TABLE bytes"), []string{"--decode", "bytea"}, "empty"},
			"bytea, jsonl, " + output: {as("-At", "-c", "SELECT row_to_json(bytes) FROM bytes"), []string{"--from", "jsonl", "--key", "id", "--value", "v", "--decode", "bytea"}, "skip"},
		})
	}
	decodes(t, p.rows(t, "v", "bytes"), tests)
}

func TestEncodedSQLiteRows(t *testing.T) {
	t.Parallel()
	q := sqlite{filepath.Join(t.TempDir(), "rows")}
	create := q.shell()
	create.Stdin = strings.NewReader("BEGIN; CREATE TABLE bytes (id TEXT PRIMARY KEY, v BLOB);\n" + inserted("bytes", blobs(), "x'%x'") + "COMMIT;\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const orNull = "SELECT id, iif(v IS NULL, NULL, hex(v)) AS v FROM bytes"
	out, err := q.shell("-tabs", "SELECT id, iif(v IS NULL, 'NULL', hex(v)) FROM bytes").Output()
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, parseContents(t, out), map[string]encodedTest{
		// hex() of NULL is an empty text.
		"csv":            {q.shell("-csv", "SELECT id, hex(v) FROM bytes"), []string{"--from", "csv", "--decode", "hex"}, "empty"},
		"csv, with NULL": {q.shell("-csv", "-header", orNull), []string{"--from", "csv", "--header", "--decode", "hex", "--null", "skip"}, "skip"},
		"tabs":           {q.shell("-tabs", orNull), []string{"--decode", "hex"}, "empty"},
		"json":           {q.shell("-json", orNull), []string{"--from", "jsonl", "--key", "id", "--value", "v", "--decode", "hex"}, "skip"},
	})
}

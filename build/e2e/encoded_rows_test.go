package e2e

import (
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Bytes that a database writes in an encoding are in the cache as they are in the database. One of the rows is as large as
// an item can be, and its text is twice as long.
func TestEncodedMariaDBRows(t *testing.T) {
	t.Parallel()
	m := startMariaDB(t)
	binary := drawRows(t, anyByte)
	m.execute(t, `CREATE DATABASE test; USE test; SET autocommit = 0;
CREATE TABLE bytes (id VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v LONGBLOB);
`+binary.inserted("bytes", "CONVERT(x'%x' USING utf8mb4)", "x'%x'")+"COMMIT;\n")
	const oneLine = " WHERE NOT LOCATE('\n', id) AND NOT LOCATE('\t', id)"
	rows, lines := m.rows(t, "v", "test.bytes"), m.rows(t, "v", "test.bytes"+oneLine)
	if !rows.equal(binary) {
		t.Fatal("the database has other rows than were drawn")
	}
	query := func(query string, options ...string) *exec.Cmd {
		return m.command(append([]string{"-D", "test", "--batch", "--quick", "-e", query}, options...)...)
	}
	loaded(t, map[string]dialect{
		"HEX": {
			export: query("SELECT HEX(v) AS v, id FROM bytes"),
			load:   []string{"--from", "mysql", "--header", "--key", "id", "--value", "v", "--decode", "hex", "--null", "skip"},
			want:   rows,
		},
		"HEX, raw": {
			export: query("SELECT id, IFNULL(HEX(v), '') FROM bytes"+oneLine, "--raw", "--skip-column-names"), load: []string{"--decode", "hex"},
			want: lines.null(""),
		},
		"binary-as-hex": {
			export: query("SELECT id, v FROM bytes", "--binary-as-hex"),
			load:   []string{"--from", "mysql", "--header", "--decode", "hex", "--null", "empty"},
			want:   rows.null(""),
		},
		"TO_BASE64": {
			export: query("SELECT id, TO_BASE64(v) FROM bytes WHERE v IS NOT NULL"), load: []string{"--from", "mysql", "--header", "--decode", "base64"},
			want: rows.withoutNull(),
		},
		"TO_BASE64 in JSON": {
			export: query("SELECT JSON_OBJECT('key', id, 'value', TO_BASE64(v)) FROM bytes", "--raw", "--skip-column-names"),
			load:   []string{"--from", "jsonl", "--decode", "base64"},
			want:   rows,
		},
	})
	t.Run("NULL not said", func(t *testing.T) {
		t.Parallel()
		s := start(t, stock(t))
		l := s.pipe(query("SELECT id, HEX(v) FROM bytes WHERE id IN ('all', 'sql-null')"), account{rows: 2, stored: 1, rejected: 1},
			"--from", "mysql", "--header", "--decode", "hex")
		if len(l.Rejects) != 1 || !strings.Contains(l.Rejects[0].Text(), "--null says") {
			t.Errorf("%+v", l.Rejects)
		}
	})
}

func TestEncodedPostgreSQLRows(t *testing.T) {
	t.Parallel()
	p := startPostgreSQL(t)
	binary := drawRows(t, anyByte)
	p.execute(t, "BEGIN; CREATE TABLE bytes (id text PRIMARY KEY, v bytea);\n"+
		binary.inserted("bytes", `convert_from('\x%x', 'UTF8')`, `'\x%x'::bytea`)+"COMMIT;\n")
	const plain = " WHERE id ~ '^[!-~]+$'" // psql prints them as they are
	rows, lines := p.rows(t, "v", "bytes"), p.rows(t, "v", "bytes"+plain)
	if !rows.equal(binary) {
		t.Fatal("the database has other rows than were drawn")
	}
	dialects := map[string]dialect{
		"base64": {
			export: p.psql("-c", "COPY (SELECT id, encode(v, 'base64') FROM bytes) TO STDOUT"), load: []string{"--from", "psql", "--decode", "base64"},
			want: rows,
		},
		"base64, CSV": {
			export: p.psql("-c", "COPY (SELECT id, encode(v, 'base64') FROM bytes) TO STDOUT CSV"), load: []string{"--from", "csv", "--decode", "base64"},
			want: rows.null(""),
		},
		"hex": {
			export: p.psql("-c", "COPY (SELECT id, encode(v, 'hex') FROM bytes) TO STDOUT"), load: []string{"--from", "psql", "--decode", "hex", "--null", "empty"},
			want: rows.null(""),
		},
	}
	for _, output := range []string{"hex", "escape"} {
		as := func(args ...string) *exec.Cmd {
			return p.psql(append([]string{"-At", "-F", "\t", "-c", "SET bytea_output = " + output, "-c"}, args...)...)
		}
		maps.Copy(dialects, map[string]dialect{
			"bytea, " + output: {
				export: as("COPY bytes TO STDOUT"), load: []string{"--from", "psql", "--decode", "bytea"},
				want: rows,
			},
			"bytea, CSV, " + output: {
				export: as("COPY bytes TO STDOUT CSV HEADER"), load: []string{"--from", "csv", "--header", "--decode", "bytea", "--null", "skip"},
				want: rows,
			},
			"bytea, tabs, " + output: {
				export: as("SELECT id, v FROM bytes" + plain), load: []string{"--from", "tsv", "--decode", "bytea"},
				want: lines.null(""),
			},
			"bytea, raw, " + output: {
				export: as("SELECT id, v FROM bytes" + plain), load: []string{"--decode", "bytea"},
				want: lines.null(""),
			},
			"bytea, JSON, " + output: {
				export: as("SELECT row_to_json(bytes) FROM bytes" + plain),
				load:   []string{"--from", "jsonl", "--key", "id", "--value", "v", "--decode", "bytea"},
				want:   lines,
			},
		})
	}
	loaded(t, dialects)
}

func TestEncodedSQLiteRows(t *testing.T) {
	t.Parallel()
	q := sqlite{filepath.Join(t.TempDir(), "rows")}
	binary := drawRows(t, anyByte)
	create := q.shell()
	create.Stdin = strings.NewReader("BEGIN; CREATE TABLE bytes (id TEXT PRIMARY KEY, v BLOB);\n" +
		binary.inserted("bytes", "CAST(x'%x' AS TEXT)", "x'%x'") + "COMMIT;\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows := q.rows(t, "v", "bytes")
	if !rows.equal(binary) {
		t.Fatal("the database has other rows than were drawn")
	}
	const orNull = "SELECT id, iif(v IS NULL, NULL, hex(v)) AS v FROM bytes"
	loaded(t, map[string]dialect{
		"CSV": { // hex() of NULL is an empty text
			export: q.shell("-csv", "SELECT id, hex(v) FROM bytes"), load: []string{"--from", "csv", "--decode", "hex"},
			want: rows.null(""),
		},
		"CSV, NULL skipped": {
			export: q.shell("-csv", "-header", orNull), load: []string{"--from", "csv", "--header", "--decode", "hex", "--null", "skip"},
			want: rows,
		},
		"JSON": {
			export: q.shell("-json", orNull), load: []string{"--from", "jsonl", "--key", "id", "--value", "v", "--decode", "hex"},
			want: rows,
		},
	})
}

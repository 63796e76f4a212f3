package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// typedRows are of a table whose columns have types: numbers that a float64 would round, JSON, and NULL in each.
const typedRows = `INSERT INTO types VALUES
    (1, 9007199254740993, 0.10, 1.5, 1=1, '{"a": [1, {"b": "\"c\", 世界"}], "n": 12345678901234567890}', 'text 1'),
    (2, -9223372036854775808, -12345678901234567890.12, -25000000000, 1=0, '[]', ''),
    (3, 0, 0.00, 0, 1=0, 'null', '{"a":1}'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, 7, 7.00, 7, 1=1, '"it''s\ttext"', '7');
`

// sameRows compares the objects in the cache, by their types and with all digits of their numbers, with what the
// database itself makes of its rows: on each line an id, a tab and the object, both in hexadecimal.
func (s *server) sameRows(t *testing.T, export *exec.Cmd) {
	t.Helper()
	out, err := export.Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := parseContents(t, out)
	if len(rows) != 5 {
		t.Fatalf("%d rows: %s", len(rows), out)
	}
	for id, row := range rows {
		got, want := objectOf(t, s.get("row:"+id)), objectOf(t, string(row))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("row %s:\n got %v\nwant %v", id, got, want)
		}
	}
}

func objectOf(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return object
}

// typedLoad loads whole rows, of which all columns but one are JSON.
var (
	typedLoad = []string{"--header", "--key", "row:{id}", "--value", "json", "--json-columns", "id,n,d,f,b,j"}
	all5      = account{rows: 5, stored: 5}
)

// Columns of JSON have the types in the cache that they have in the database.
func TestTypedRows(t *testing.T) {
	t.Parallel()
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		m := startMariaDB(t)
		m.execute(t, `CREATE DATABASE test; USE test;
SET sql_mode = 'NO_BACKSLASH_ESCAPES';
CREATE TABLE types (id INT PRIMARY KEY, n BIGINT, d DECIMAL(30,2), f DOUBLE, b BOOLEAN, j JSON, s TEXT) CHARACTER SET utf8mb4;
`+typedRows)
		s := start(t, stock(t))
		s.pipe(m.command("-D", "test", "--batch", "-e", "SELECT * FROM types"), all5,
			append(typedLoad, "--from", "mysql", "--null", "empty")...)
		s.sameRows(t, m.command("-D", "test", "--batch", "--skip-column-names", "-e",
			"SELECT HEX(CONCAT(id)), HEX(JSON_OBJECT('id', id, 'n', n, 'd', d, 'f', f, 'b', b, 'j', JSON_COMPACT(j), 's', s)) FROM types"))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		p := startPostgreSQL(t)
		p.execute(t, "CREATE TABLE types (id int PRIMARY KEY, n bigint, d numeric, f float8, b boolean, j jsonb, s text);\n"+typedRows)
		object := p.psql("-At", "-F", "\t", "-c", "SELECT encode(convert_to(id::text, 'UTF8'), 'hex'), encode(convert_to(row_to_json(types)::text, 'UTF8'), 'hex') FROM types").Args
		for format, from := range map[string]string{"text": "psql", "csv": "csv"} {
			s := start(t, stock(t))
			s.pipe(p.psql("-c", "COPY (SELECT id, n, d, f, to_json(b) AS b, j, s FROM types) TO STDOUT (FORMAT "+format+", HEADER)"), all5,
				append(typedLoad, "--from", from)...)
			s.sameRows(t, exec.Command(object[0], object[1:]...))
		}
		// As it is, a boolean is t or f.
		s := start(t, stock(t))
		l := s.pipe(p.psql("-c", "COPY types TO STDOUT (HEADER)"), account{rows: 5, stored: 1, rejected: 4}, append(typedLoad, "--from", "psql")...)
		for _, r := range l.Rejects {
			if text := r.Text(); !strings.HasPrefix(text, `a column of --json-columns is not JSON: "b" is "`) {
				t.Error(text)
			}
		}
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		q := sqlite{filepath.Join(t.TempDir(), "rows")}
		create := q.shell()
		create.Stdin = strings.NewReader("CREATE TABLE types (id INTEGER PRIMARY KEY, n INTEGER, d TEXT, f REAL, b, j TEXT, s TEXT);\n" + typedRows)
		if out, err := create.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s := start(t, stock(t))
		s.pipe(q.shell("-csv", "-header", "SELECT * FROM types"), all5, append(typedLoad, "--from", "csv")...)
		s.sameRows(t, q.shell("-tabs", `SELECT hex(id), hex(json_object('id', id, 'n', n, 'd', json(d), 'f', f, 'b', b, 'j', json(j), 's', s)) FROM types`))

		// The types that SQLite knows itself are in its JSON.
		s = start(t, stock(t))
		s.pipe(q.shell("-json", "SELECT id, n, f, b, s FROM types"), all5, "--from", "jsonl", "--key", "row:{id}", "--value", "json")
		s.sameRows(t, q.shell("-tabs", `SELECT hex(id), hex(json_object('id', id, 'n', n, 'f', f, 'b', b, 's', s)) FROM types`))
	})
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"
)

// What COPY writes of rows that are hard to write is in the cache as it is in the database, and NULL is as the
// options say: both of COPY's formats tell it from every text.
func TestPostgreSQLRows(t *testing.T) {
	t.Parallel()
	p := startPostgreSQL(t)
	texts := hostile() // which have no NUL: PostgreSQL has none
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	p.execute(t, "CREATE TABLE texts (id text PRIMARY KEY, v text);\n"+inserted("texts", texts, `convert_from('\x%x', 'UTF8')`)+
		"CREATE TABLE bytes (id text PRIMARY KEY, v bytea);\n"+inserted("bytes", map[string]string{"all": string(all)}, `'\x%x'`))
	rows := p.rows(t, "convert_to(v, 'UTF8')", "texts")
	if len(rows) != len(texts)+1 {
		t.Fatalf("%d rows, %d texts", len(rows), len(texts))
	}
	raw, shown := p.rows(t, "v", "bytes"), p.rows(t, "convert_to(v::text, 'UTF8')", "bytes")
	users := map[string]string{}
	for id, text := range rows.items("") {
		users["user:"+id] = text
	}

	but1 := func(c contents) account { return account{rows: c.count(), stored: c.count() - 1, skipped: 1} }
	for name, test := range map[string]struct {
		query string
		load  []string
		want  account
		items map[string]string
	}{
		"text": {
			query: "COPY texts TO STDOUT", load: []string{"--from", "psql"},
			want: but1(rows), items: rows.items(),
		},
		"text, NULL empty": {
			query: "COPY texts TO STDOUT", load: []string{"--from", "psql", "--null", "empty"},
			want: rows.all(), items: rows.items(""),
		},
		"text, NULL literal": {
			query: "COPY texts TO STDOUT", load: []string{"--from", "psql", "--null", "literal"},
			want: rows.all(), items: rows.items(`\N`),
		},
		"text, header": {
			query: `COPY (SELECT 1 AS "a\b", v AS "the	value", id FROM texts) TO STDOUT (HEADER)`,
			load:  []string{"--from", "psql", "--header", "--key", "user:{id}", "--value", "the\tvalue", "--null", "empty"},
			want:  rows.all(), items: users,
		},
		"CSV": {
			query: "COPY texts TO STDOUT (FORMAT csv)", load: []string{"--from", "csv"},
			want: rows.all(), items: rows.items(""),
		},
		"CSV, header, NULL skipped": {
			query: "COPY texts TO STDOUT CSV HEADER", load: []string{"--from", "csv", "--header", "--null", "skip"},
			want: but1(rows), items: rows.items(),
		},
		"CSV, everything quoted": {
			query: `COPY (SELECT v AS "a ""value"", quoted", id FROM texts) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)`,
			load:  []string{"--from", "csv", "--header", "--key", "user:{id}", "--value", `a "value", quoted`},
			want:  rows.all(), items: users,
		},
		"bytea": {
			query: "COPY bytes TO STDOUT", load: []string{"--from", "psql"},
			want: but1(shown), items: shown.items(),
		},
		"JSON with base64": {
			query: "SELECT json_build_object('key', id, 'value_base64', encode(v, 'base64')) FROM bytes", load: []string{"--from", "jsonl"},
			want: but1(raw), items: raw.items(),
		},
		"JSON": {
			query: "SELECT json_build_object('key', id, 'value', v) FROM texts", load: []string{"--from", "jsonl", "--null", "empty"},
			want: rows.all(), items: rows.items(""),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, stock(t))
			s.pipe(p.psql("-At", "-c", test.query), test.want, test.load...)
			s.holds(test.items)
		})
	}
	t.Run("rows as JSON", func(t *testing.T) {
		t.Parallel()
		postgresJSON(t, p, rows)
	})
	t.Run("numbers", func(t *testing.T) {
		t.Parallel()
		postgresNumbers(t, p)
	})
	t.Run("pg_dump", func(t *testing.T) {
		t.Parallel()
		postgresScript(t, p, rows, shown)
	})
}

// A script of pg_dump is refused by name, and nothing of it is stored. The rows of its tables are loaded, one table behind
// the other, each with its end mark, also behind a byte order mark.
func postgresScript(t *testing.T, p postgres, tables ...contents) {
	script, err := exec.Command("pg_dump", "-h", p.dir, "-U", "postgres", "--data-only").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, stock(t))
	stdout, stderr, status := s.client(script, "load", "--from", "psql")
	if status == 0 || stdout != "" || !strings.Contains(stderr, "this is an SQL script, as pg_dump writes") || !strings.Contains(stderr, "COPY (SELECT") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	if n := s.stat("", "curr_items"); n != 0 {
		t.Errorf("%d items of a script", n)
	}
	data := []byte("\xef\xbb\xbf")
	for _, table := range bytes.SplitAfter(script, []byte("\n\\.\n")) {
		if _, rows, ok := bytes.Cut(table, []byte(" FROM stdin;\n")); ok {
			data = append(data, rows...)
		}
	}
	want, items := account{}, map[string]string{}
	for _, table := range tables {
		want.rows += table.count()
		want.stored += table.count() - 1
		want.skipped++
		maps.Copy(items, table.items())
	}
	s.outcome(bytes.NewReader(data), want, "--from", "psql")
	s.holds(items)
}

// A row as a JSON object has the columns' names, their texts and null, in a file whose name says what it is, too.
func postgresJSON(t *testing.T, p postgres, rows contents) {
	for format, load := range map[string][]string{"text": {"--from", "psql"}, "csv": {"--null", "skip"}} {
		out, err := p.psql("-c", `COPY (SELECT id, v AS "a ""value""\", 1 AS one FROM texts) TO STDOUT (FORMAT `+format+`, HEADER)`).Output()
		if err != nil {
			t.Fatal(err)
		}
		s := start(t, stock(t))
		s.outcome(nil, rows.all(), append(load, "--header", "--key", "user:{id}", "--value", "json", written(t, "rows."+format, out))...)
		for id, text := range rows {
			var got map[string]*string
			if err := json.Unmarshal([]byte(s.get("user:"+id)), &got); err != nil {
				t.Fatalf("%s, %s: %v", format, id, err)
			}
			value, there := got[`a "value"\`]
			if len(got) != 3 || *got["id"] != id || *got["one"] != "1" || !there || (value == nil) != (text == nil) {
				t.Errorf("%s, %s: %v", format, id, got)
			} else if value != nil && *value != string(text) {
				t.Errorf("%s, %s: %.300q, want %.300q", format, id, *value, text)
			}
		}
	}
}

// Times to live, dates and flags come from columns; where these are NULL the options hold for the row.
func postgresNumbers(t *testing.T, p postgres) {
	const month, forEver = 30 * 24 * 3600, -1
	stored, rejected, skipped := account{rows: 1, stored: 1}, account{rows: 1, rejected: 1}, account{rows: 1, skipped: 1}
	s := start(t, stock(t))
	began := s.clock()
	in := func(seconds int64) string { return fmt.Sprint(began.machine + seconds) }
	for _, test := range []struct {
		column, number, flags string
		account               account
		left                  int64 // seconds
		want                  uint32
	}{
		{"ttl", "500", "7", stored, 500, 7},
		{"ttl", fmt.Sprint(2 * month), "0", stored, 2 * month, 0}, // no date
		{"ttl", "0", "4294967295", stored, forEver, 1<<32 - 1},
		{"ttl", "NULL", "NULL", stored, 9000, 5},
		{"ttl", "-1", "1", skipped, 0, 0},
		{"ttl", "2147483648", "1", rejected, 0, 0}, // longer than memcached counts
		{"ttl", "1", "4294967296", rejected, 0, 0},
		{"expires", in(500), "7", stored, 500, 7},
		{"expires", in(2 * month), "0", stored, 2 * month, 0},
		{"expires", "0", "1", stored, forEver, 1},
		{"expires", "NULL", "NULL", stored, 9000, 5},
		{"expires", in(-1), "1", skipped, 0, 0},
		{"expires", "-1", "1", skipped, 0, 0}, // before 1970
	} {
		for format, from := range map[string]string{"text": "psql", "csv": "csv"} {
			query := fmt.Sprintf(`COPY (SELECT 'k' AS id, 'v' AS v, %s AS number, %s AS flags) TO STDOUT (FORMAT %s, HEADER)`, test.number, test.flags, format)
			s.pipe(p.psql("-c", query), test.account, "--from", from, "--header", "--ttl", "9000", "--flags", "5",
				"--"+test.column+"-column", "number", "--flags-column", "flags", "--key", "{id}-"+format)
			key := "k-" + format
			if test.account != stored {
				s.missing(key)
				continue
			}
			item, err := s.cache().Get(key)
			if err != nil || string(item.Value) != "v" || item.Flags != test.want {
				t.Fatalf("%+v: %+v, %v", test, item, err)
			}
			s.lasts(key, test.left, began)
			if err := s.cache().Delete(key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"
)

// What psql writes of rows that are hard to write is in the cache as it is in the database, by each of its dialects, and
// NULL is as the options say: both of COPY's formats tell it from every text.
func TestPostgreSQLRows(t *testing.T) {
	t.Parallel()
	p := startPostgreSQL(t)
	texts, binary := drawRows(t, utf8SansNUL), drawRows(t, anyByte).under("bytes:") // pg_dump writes both tables
	const id = `convert_from('\x%x', 'UTF8')`
	p.execute(t, "BEGIN; CREATE TABLE texts (id text PRIMARY KEY, v text);\n"+texts.inserted("texts", id, `convert_from('\x%x', 'UTF8')`)+
		"CREATE TABLE bytes (id text PRIMARY KEY, v bytea);\n"+binary.inserted("bytes", id, `'\x%x'::bytea`)+"COMMIT;\n")
	rows, raw := p.rows(t, "convert_to(v, 'UTF8')", "texts"), p.rows(t, "v", "bytes")
	if !rows.equal(texts) || !raw.equal(binary) {
		t.Fatal("the database has other rows than were drawn")
	}
	// What psql does not print cannot be told from what was not there. Base64 has nothing of that.
	printed, printedRaw := contents{}, contents{}
	for key, value := range rows {
		printed[psqlPrints(key)] = value
		if value != nil {
			printed[psqlPrints(key)] = []byte(psqlPrints(string(value)))
		}
	}
	named := maps.Clone(printed)
	delete(named, "")
	for key, value := range raw {
		printedRaw[psqlPrints(key)] = value
	}
	shown := p.rows(t, "convert_to(v::text, 'UTF8')", "bytes")
	const short = " WHERE coalesce(length(v), 0) < 100000"

	query := func(text string) *exec.Cmd { return p.psql("-At", "-c", text) }
	loaded(t, map[string]dialect{
		"text": {
			export: query("COPY texts TO STDOUT"), load: []string{"--from", "psql"},
			want: rows,
		},
		"text, NULL empty": {
			export: query("COPY texts TO STDOUT"), load: []string{"--from", "psql", "--null", "empty"},
			want: rows.null(""),
		},
		"text, NULL literal": {
			export: query("COPY texts TO STDOUT"), load: []string{"--from", "psql", "--null", "literal"},
			want: rows.null(`\N`),
		},
		"text, header": {
			export: query(`COPY (SELECT 1 AS "a\b", v AS "the	value", id FROM texts) TO STDOUT (HEADER)`),
			load:   []string{"--from", "psql", "--header", "--key", "user:{id}", "--value", "the\tvalue", "--null", "empty"},
			want:   rows.null("").under("user:"),
		},
		"CSV": {
			export: query("COPY texts TO STDOUT (FORMAT csv)"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none"},
			want: rows.null(""),
		},
		"CSV, header, NULL skipped": {
			export: query("COPY texts TO STDOUT CSV HEADER"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header", "--null", "skip"},
			want: rows,
		},
		"CSV, everything quoted": {
			export: query(`COPY (SELECT v AS "a ""value"", quoted", id FROM texts) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)`),
			load:   []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header", "--key", "user:{id}", "--value", `a "value", quoted`},
			want:   rows.null("").under("user:"),
		},
		"CSV of psql": {
			export: p.psql("--csv", "-c", "SELECT id, v FROM texts"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header"},
			want: printed.null(""),
		},
		"CSV of psql, NULL skipped": { // and empty texts, which it writes without quotes
			export: p.psql("--csv", "-c", "SELECT id, v FROM texts WHERE id != ''"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--header", "--null", "skip"},
			want: named.skipping(""),
		},
		"bytea": {
			export: query("COPY bytes TO STDOUT"), load: []string{"--from", "psql"},
			want: shown,
		},
		"bytea in CSV": {
			export: query("COPY bytes TO STDOUT CSV"), load: []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--null", "skip"},
			want: shown,
		},
		"JSON with base64": {
			export: query("SELECT json_build_object('key', id, 'value_base64', encode(v, 'base64')) FROM bytes"), load: []string{"--from", "jsonl"},
			want: printedRaw,
		},
		"JSON": {
			export: query("SELECT json_build_object('key', id, 'value', v) FROM texts"), load: []string{"--from", "jsonl", "--null", "empty"},
			want: printed.null(""),
		},
		"JSON of a row": {
			export: query("SELECT row_to_json(t) FROM (SELECT id AS key, v AS value FROM texts) t"), load: []string{"--from", "jsonl"},
			want: printed,
		},
		"JSONB": {
			export: query("SELECT to_jsonb(t) FROM texts t"), load: []string{"--from", "jsonl", "--key", "id", "--value", "v"},
			want: printed,
		},
		"JSON by COPY": { // which doubles JSON's backslashes, so that its format is psql
			export: query("COPY (SELECT id, row_to_json(t) FROM texts t" + short + ") TO STDOUT"), load: []string{"--from", "psql"},
			want: p.rows(t, "convert_to(v, 'UTF8')", "texts"+short).null(jsonNull), read: member("v"),
		},
		"rows as JSON": {
			export: query(`COPY (SELECT id, v AS "a ""value""\", 1 AS one FROM texts` + short + `) TO STDOUT (HEADER)`),
			load:   []string{"--from", "psql", "--header", "--key", "id", "--value", "json"},
			want:   p.rows(t, "convert_to(v, 'UTF8')", "texts"+short).null(jsonNull), read: member(`a "value"\`),
		},
		"rows of CSV as JSON": {
			export: query(`COPY (SELECT id, v AS "a ""value""\", 1 AS one FROM texts` + short + `) TO STDOUT (FORMAT csv, HEADER)`),
			load:   []string{"--from", "csv", "--delimiter", ",", "--escape", "none", "--null", "skip", "--header", "--key", "id", "--value", "json"},
			want:   p.rows(t, "convert_to(v, 'UTF8')", "texts"+short).null(jsonNull), read: member(`a "value"\`),
		},
	})
	t.Run("numbers", func(t *testing.T) {
		t.Parallel()
		postgresNumbers(t, p)
	})
	t.Run("pg_dump", func(t *testing.T) {
		t.Parallel()
		postgresScript(t, p, shown, rows)
	})
}

// psqlPrints is what psql prints of a text, other than by COPY: without the noncharacters at the end of each plane behind the
// first (fe_utils/mbprint.c: utf_charcheck).
func psqlPrints(text string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff && r&0xfffe == 0xfffe {
			return -1
		}
		return r
	}, text)
}

// A script of pg_dump is refused by name, and nothing of it is stored. The rows of its tables are loaded, one table behind
// the other, each with its end mark, also behind a byte order mark.
func postgresScript(t *testing.T, p postgres, tables ...contents) {
	script, err := exec.Command("pg_dump", "-h", p.dir, "-U", "postgres", "--data-only").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, stock(t), "-m", "1024")
	stdout, stderr, status := s.client(script, "load", "--from", "psql")
	if status == 0 || stdout != "" || !strings.Contains(stderr, "this is an SQL script, as pg_dump writes") || !strings.Contains(stderr, "COPY (SELECT") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	if n := s.stat("", "curr_items"); n != 0 {
		t.Errorf("%d items of a script", n)
	}
	data := []byte("\xef\xbb\xbf")
	for _, table := range bytes.SplitAfter(script, []byte("\n\\.\n")) {
		if _, lines, ok := bytes.Cut(table, []byte(" FROM stdin;\n")); ok {
			data = append(data, lines...)
		}
	}
	rows := contents{}
	for _, table := range tables {
		maps.Copy(rows, table)
	}
	want, _, items := rows.outcome()
	s.outcome(bytes.NewReader(data), want, "--from", "psql")
	s.holds(items)
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

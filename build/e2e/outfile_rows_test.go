package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
)

// MariaDB is asked what the format outfile is.
func TestOutfile(t *testing.T) {
	t.Parallel()
	m := startMariaDB(t)
	m.execute(t, "CREATE DATABASE test")
	t.Run("written", func(t *testing.T) {
		t.Parallel()
		outfileWritten(t, m)
	})
	t.Run("read", func(t *testing.T) {
		t.Parallel()
		loadDataRead(t, m)
	})
}

// What MariaDB writes INTO OUTFILE is in the cache as it is in the table, and as LOAD DATA reads it back, in each dialect.
func outfileWritten(t *testing.T, m mariadb) {
	dir := filepath.Dir(m.socket)
	drawn := drawRows(t, anyByte)
	drawn["inner"] = []byte(`a"b`)
	m.execute(t, `USE test;
CREATE TABLE v (id VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, n INT DEFAULT 7, v LONGBLOB);
SET autocommit = 0;
`+strings.ReplaceAll(drawn.inserted("v", "CONVERT(x'%x' USING utf8mb4)", "x'%x'"), "INTO v", "INTO v (id, v)")+"COMMIT;")
	if !m.rows(t, "v", "test.v").equal(drawn) {
		t.Fatal("the database has other rows than were drawn")
	}

	const (
		both    = `CONCAT(id, IFNULL(v, ''))`
		lines   = `NOT LOCATE('\n', ` + both + `)`
		noQuote = `NOT LOCATE('"', id) AND (NOT LOCATE('"', IFNULL(v, '')) OR v = 'a"b')`
	)
	for name, test := range map[string]struct {
		fields string
		load   []string
		where  string // of the rows that the dialect can hold; "": all
		null   bool   // NULL is its text
	}{
		"default":                     {},
		"commas and double quotes":    {fields: `TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '\\'`, load: []string{"--delimiter", ",", "--quote", `"`}},
		"optional quotes":             {fields: `TERMINATED BY ';' OPTIONALLY ENCLOSED BY ''''`, load: []string{"--delimiter", ";", "--quote", "'"}},
		"tabs and double quotes":      {fields: `ENCLOSED BY '"'`, load: []string{"--quote", `"`}},
		"commas":                      {fields: `TERMINATED BY ','`, load: []string{"--delimiter", ","}},
		"bars escape":                 {fields: `TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '|'`, load: []string{"--delimiter", ",", "--quote", `"`, "--escape", "|"}},
		"quotes escape what has none": {fields: `TERMINATED BY ',' ESCAPED BY '"'`, load: []string{"--delimiter", ",", "--escape", `"`}},
		"csv":                         {fields: `TERMINATED BY ',' ENCLOSED BY '"'`, load: []string{"--from", "csv", "--escape", `\`, "--null", "skip"}},
		"no escapes":                  {fields: `TERMINATED BY ';' ESCAPED BY ''`, load: []string{"--delimiter", ";", "--escape", ""}, where: lines + ` AND NOT LOCATE(';', ` + both + `)`, null: true},
		"quotes and no escapes": {fields: `TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY ''`, load: []string{"--delimiter", ",", "--quote", `"`, "--escape", ""},
			where: noQuote},
		"mysqldump": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := "test.v"
			if test.where != "" {
				from += " WHERE " + test.where
			}
			fields := test.fields
			if fields != "" {
				fields = "FIELDS " + fields
			}
			table := strings.ReplaceAll(name, " ", "_")
			file := filepath.Join(dir, table+".txt")
			if name == "mysqldump" {
				file = filepath.Join(dir, "v.txt")
				dump := exec.Command("mariadb-dump", "--no-defaults", "-u", "root", "-S", m.socket, "--tab="+dir, "test", "v")
				if out, err := dump.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			} else {
				m.execute(t, fmt.Sprintf("SELECT id, n, v INTO OUTFILE '%s' %s FROM %s", file, fields, from))
			}
			m.execute(t, fmt.Sprintf("USE test; CREATE TABLE `%s` LIKE v; LOAD DATA INFILE '%s' INTO TABLE `%[1]s` CHARACTER SET binary %[3]s", table, file, fields))

			want := m.rows(t, "v", from)
			if test.null {
				want = want.null("NULL")
			}
			counts, _, items := want.outcome()
			s := start(t, stock(t), "-m", "1024")
			args := append([]string{"--from", "outfile", "--key", "1", "--value", "3"}, test.load...)
			s.outcome(nil, counts, append(args, file)...)
			s.holds(items)
			back := m.rows(t, "v", "test.`"+table+"`")
			if test.null {
				back = back.null("NULL")
			}
			_, _, items = back.outcome()
			s.holds(items)
		})
	}
}

// What no export has, but LOAD DATA reads, is read as it reads it, or rejected.
func loadDataRead(t *testing.T, m mariadb) {
	dir := filepath.Dir(m.socket)
	texts := randomTexts(4000)
	for name, test := range map[string]struct{ fields, delimiter, quote, escape string }{
		"quoted":    {`TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '\\'`, ",", `"`, `\`},
		"plain":     {`TERMINATED BY ';' ENCLOSED BY '' ESCAPED BY '\\'`, ";", "", `\`},
		"unescaped": {`TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY ''`, ",", `"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var input bytes.Buffer
			random := rand.New(rand.NewPCG(2, 2))
			for _, id := range slices.Sorted(maps.Keys(texts)) {
				text := texts[id]
				if random.IntN(2) == 0 {
					text = test.quote + text + test.quote
				}
				input.WriteString(id + test.delimiter + text + "\n")
			}
			for i, text := range []string{`\N`, "NULL", `N\ULL`, `\NULL`, "", `a""b`, `a"b`, "\\\n", "\n"} {
				fmt.Fprintf(&input, "random9%03d%s%[3]s%s%[3]s\n", i, test.delimiter, test.quote, text)
				fmt.Fprintf(&input, "random8%03d%s%s\n", i, test.delimiter, text)
			}
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, input.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			m.execute(t, fmt.Sprintf("USE test; CREATE TABLE %s (id VARBINARY(255) PRIMARY KEY, v LONGBLOB); LOAD DATA INFILE '%s' IGNORE INTO TABLE %[1]s CHARACTER SET binary FIELDS %[3]s", name, file, test.fields))
			back := m.rows(t, "v", "test."+name+" WHERE id REGEXP '^random[0-9]+$'")

			s := start(t, stock(t), "-m", "1024")
			l := s.accounted(nil, "--from", "outfile", "--mode", "add", "--key", "1", "--value", "2",
				"--delimiter", test.delimiter, "--quote", test.quote, "--escape", test.escape, file)
			same := 0
			for id, value := range back {
				got, ok := s.find(id)
				switch {
				case !ok:
				case value == nil || got != string(value):
					t.Errorf("%s: %q, LOAD DATA reads %q, NULL %t", id, got, value, value == nil)
				default:
					same++
				}
			}
			// A row that is rejected may be one that LOAD DATA reads.
			_, _, items := back.outcome()
			if stored, read := len(items), same+int(l.Rejected); same < stored/2 || read < stored {
				t.Errorf("%d values are the same of the %d of LOAD DATA; %+v", same, stored, l)
			}
		})
	}
}

// find returns the value of a key, if the cache has it.
func (s *server) find(key string) (value string, ok bool) {
	s.t.Helper()
	item, err := s.cache().Get(key)
	switch {
	case err == nil:
		return string(item.Value), true
	case !errors.Is(err, memcache.ErrCacheMiss):
		s.t.Fatal(err)
	}
	return "", false
}

// randomTexts are texts of bytes that dialects have for something else.
func randomTexts(n int) map[string]string {
	random := rand.New(rand.NewPCG(1, 1))
	parts := []string{`\`, `\`, `"`, `"`, "'", ",", ";", "\t", "\n", "\r", "\x00", "|", "N", "NULL", "n", "0", "Z", "\x1a", "\b", "é", "🗒", "\xff", "\xe9\\", "a", " "}
	texts := make(map[string]string)
	for i := range n {
		var text strings.Builder
		for range random.IntN(8) {
			text.WriteString(parts[random.IntN(len(parts))])
		}
		texts[fmt.Sprintf("random%d", i)] = text.String()
	}
	return texts
}

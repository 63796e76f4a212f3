package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every command of the documents and of --help that loads what a database's program writes stores what the database has, byte
// for byte: the tables (testdata/documents) have NULL, tabs, line feeds, quotes, what looks like escapes, characters of
// four bytes, and bytes that are no text.
func TestRecipes(t *testing.T) {
	t.Parallel()
	recipes := findRecipes(t)
	session := newSession(t, recipes)
	session.mariadb.execute(t, "CREATE DATABASE test") // in which rows looks
	shop := session.postgres
	shop.database = "shop"
	db := sqlite{filepath.Join(session.dir, "shop.db")}
	tables := map[string]contents{
		"mysql": session.mariadb.rows(t, "bio", "(SELECT CAST(id AS CHAR) AS id, bio FROM shop.user) AS u"),
		"psql":  shop.rows(t, "convert_to(bio, 'UTF8')", "(SELECT id::text, bio FROM users) AS u"),
		// The tables are the same in each database.
		"sqlite3": db.rows(t, "bio", "user"),
	}
	tables["mariadb"] = tables["mysql"]
	for program, rows := range tables {
		if !rows.equal(tables["mysql"]) {
			t.Errorf("the rows of %s are other ones", program)
		}
	}
	photos := map[string]contents{
		"mariadb": session.mariadb.rows(t, "image", "(SELECT CAST(id AS CHAR) AS id, image FROM shop.photo) AS p"),
		"psql":    shop.rows(t, "photo", "(SELECT id::text, photo FROM users) AS u"),
		"sqlite3": db.rows(t, "image", "photo"),
	}
	for _, r := range recipes {
		session.run(startsMemcached)
		rows := tables[r.program()]
		if strings.Contains(r.command, "photo") {
			rows = photos[r.program()]
		}
		rows = rows.under(r.prefix(t))
		switch {
		case strings.Contains(r.command, "IS NOT NULL"):
			rows = rows.withoutNull()
		case strings.Contains(r.command, "--value json"):
			rows = rows.null(jsonNull)
		case strings.Contains(r.command, "--from mysql") && !strings.Contains(r.command, "--null skip"):
			rows = rows.null("NULL")
		}
		want, _, items := rows.outcome()
		var read func(string) string
		if strings.Contains(r.command, "--value json") {
			read = bioOf
		}
		out := session.run(r.command)
		if !strings.Contains(out, want.summary()) {
			t.Errorf("%s\nprints %s\nand not %s", r.command, out, want.summary())
		}
		memcached := &server{t: t, socket: "127.0.0.1:" + session.port, listen: []string{}}
		memcached.reads(items, read)
	}
}

// bioOf is the member bio of a row as JSON, whose other members may be numbers.
func bioOf(stored string) string {
	var row struct{ Bio *string }
	if err := json.Unmarshal([]byte(stored), &row); err != nil {
		return err.Error()
	}
	if row.Bio == nil {
		return jsonNull
	}
	return *row.Bio
}

// fromDatabase is a command that loads what a database's program writes.
var fromDatabase = regexp.MustCompile(`^(mysql|mariadb|psql|sqlite3) .*\| build/client`)

func findRecipes(t *testing.T) []consoleCommand {
	t.Helper()
	var all []consoleCommand
	add := func(c consoleCommand) {
		same := func(other consoleCommand) bool { return other.command == c.command }
		if fromDatabase.MatchString(c.command) && !slices.ContainsFunc(all, same) {
			all = append(all, c)
		}
	}
	for _, name := range documents(t) {
		for _, c := range consoleCommands(t, name) {
			add(c)
		}
	}
	documented := len(all)
	for _, command := range []string{"", "load"} {
		out, err := exec.Command(built(t, "client"), append(strings.Fields(command), "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			add(consoleCommand{command: strings.Replace(strings.TrimSpace(line), "| client ", "| build/client ", 1)})
		}
	}
	if documented == 0 || len(all) == documented {
		t.Fatalf("the documents have %d recipes, and --help %d others", documented, len(all)-documented)
	}
	return all
}

func (c *consoleCommand) program() string { return fromDatabase.FindStringSubmatch(c.command)[1] }

// keyPrefix finds what the keys of a recipe begin with, before a user's number.
var keyPrefix = regexp.MustCompile(`CONCAT\('(\w+[:_])', id\)|'(\w+:)' \|\| id|--key '(\w+:)\{`)

func (c *consoleCommand) prefix(t *testing.T) string {
	t.Helper()
	found := keyPrefix.FindStringSubmatch(c.command)
	if found == nil {
		t.Fatalf("%s: what are its keys?", c.command)
	}
	return strings.Join(found[1:], "")
}

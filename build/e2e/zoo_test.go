package e2e

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An animal is a file that is not rows, made by a command in a directory with rows.tsv and sheet.csv, and what it is called.
type animal struct{ name, command, what string }

var zoo = []animal{
	{"lz4", "lz4 -q rows.tsv -", "compressed by lz4"},
	{"lz4 of old", "lz4 -q -l rows.tsv -", "compressed by lz4"},
	{"zip", "zip -q - rows.tsv", "a zip archive"},
	{"xlsx", "mkdir xl && echo '<Types/>' >'[Content_Types].xml' && echo '<sst/>' >xl/sharedStrings.xml && zip -qr - '[Content_Types].xml' xl", "a zip archive"},
	{"tar", "tar -cf - rows.tsv sheet.csv", "an archive of tar"},
	{"openssl", "openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in rows.tsv", "encrypted by openssl enc"},
	{"pem", "openssl genpkey -algorithm ed25519", "a key or a certificate"},
	{"git", "git init -q repo && cd repo && cp ../rows.tsv . && git add . && git -c user.name=a -c user.email=b commit -qm x && git repack -qad && cat .git/objects/pack/*.pack", "a pack of git"},
	{"elf", "cat $CLIENT", "a program or a library (ELF)"},
	{"pickle", `python3 -c "import pickle, sys; sys.stdout.buffer.write(pickle.dumps({'key': 'value'}))"`, "a pickle of Python"},
	{"pdf", `printf '%%PDF-1.4\n%%\342\343\317\323\n1 0 obj\n<<\n/Type /Catalog\n>>\nendobj\n'`, "a document"},
	{"html", `printf '\357\273\277\r\n<!doctype HTML>\n<title>x</title>\n<p>key\tvalue\n'`, "HTML"},
	{"json", "echo '[' && echo '  {\"key\": \"a\", \"value\": \"b\"}' && echo ']'", "JSON"},
	{"commands", "printf 'set k 0 0 1\\r\\nv\\r\\nset l 0 0 1\\r\\nw\\r\\n'", "commands of memcached"},

	{"utf16le", "iconv -t UTF-16LE rows.tsv", "UTF-16 text"},
	{"utf16be", "iconv -t UTF-16BE rows.tsv", "UTF-16 text"},
	{"utf32", "iconv -t UTF-32 rows.tsv", "UTF-32 text"},

	{"sqlite", "sqlite3 shop.db <shop.sql && cat shop.db", "a database of SQLite"},
	{"sqlite dump", "sqlite3 shop.db .dump", "an SQL script of sqlite3's .dump"},
	{"sqlite insert", "sqlite3 shop.db '.mode insert' 'SELECT * FROM user'", "an SQL script"},
	{"sqlite box", "sqlite3 -box shop.db 'SELECT * FROM user'", "a table for people to read"},
	{"sqlite table", "sqlite3 -table shop.db 'SELECT * FROM user'", "a table for people to read"},
	{"sqlite column", "sqlite3 -column -header shop.db 'SELECT * FROM user'", "a table for people to read"},
	{"sqlite markdown", "sqlite3 -markdown shop.db 'SELECT * FROM user'", "a table for people to read"},
	{"sqlite html", "sqlite3 -html shop.db 'SELECT * FROM user'", "HTML"},

	{"mysqldump", "mariadb-dump $MARIADB shop", "an SQL script of mysqldump"},
	{"mysqldump inserts", "mariadb-dump $MARIADB --compact --skip-extended-insert --no-create-info shop", "an SQL script"},
	{"mysqldump xml", "mariadb-dump $MARIADB --xml shop", "XML"},
	{"mysql table", "mariadb $MARIADB -t -e 'SELECT * FROM user' shop", "a table for people to read"},
	{"mysql html", "mariadb $MARIADB --html -e 'SELECT * FROM user' shop", "HTML"},
	{"mysql xml", "mariadb $MARIADB --xml -e 'SELECT * FROM user' shop", "XML"},
	{"mysql vertical", "mariadb $MARIADB -E -e 'SELECT * FROM user' shop", "rows for people to read"},

	{"pg_dump", "pg_dump $PSQL", "an SQL script of pg_dump"},
	{"pg_dump inserts", "pg_dump $PSQL --inserts", "an SQL script of pg_dump"},
	{"pg_dump custom", "pg_dump $PSQL -Fc", "an archive of pg_dump"},
	{"pg_dump directory", "pg_dump $PSQL -Fd -f toc && cat toc/toc.dat", "an archive of pg_dump"},
	{"pg_dump tar", "pg_dump $PSQL -Ft", "an archive of tar"},
	{"copy binary", "psql -Xq $PSQL -c 'COPY users TO STDOUT BINARY'", "the binary format of COPY"},
	{"psql", "psql -Xq $PSQL -c 'SELECT * FROM users'", "a table for people to read"},
	{"psql border", "psql -Xq $PSQL -P border=2 -c 'SELECT * FROM users'", "a table for people to read"},
	{"psql html", "psql -Xq $PSQL -H -c 'SELECT * FROM users'", "HTML"},
	{"psql vertical", "psql -Xq $PSQL -x -c 'SELECT * FROM users'", "rows for people to read"},

	{"png", "convert rose: png:-", "an image"},
	{"jpeg", "convert rose: jpeg:-", "an image"},
	{"gif", "convert rose: -resize 9x9 gif:-", "an image"}, // 9 is a tab
	{"webp", "convert rose: webp:-", "an image"},
	{"tiff", "convert rose: x.tiff && cat x.tiff", "an image"},
	{"bmp", "convert rose: bmp:-", "an image"},
	{"ico", "convert rose: ico:-", "an image"},
	{"psd", "convert rose: psd:-", "an image"},
	{"pcx", "convert rose: pcx:-", "an image"},
	{"ppm", "convert rose: ppm:-", "an image"},
	{"pbm", "convert rose: pbm:-", "an image"},
	{"xpm", "convert rose: xpm:-", "an image"},
	{"xbm", "convert rose: xbm:-", "an image"},
	{"miff", "convert rose: miff:-", "an image"},
	{"tga", "convert rose: tga:-", "a binary file"},
}

// TestZoo: of a file that is not rows nothing is stored, and the message says what it is; compressed rows are rows.
func TestZoo(t *testing.T) {
	t.Parallel()
	dir, env := zooKeepers(t)
	var object bytes.Buffer
	if err := gob.NewEncoder(&object).Encode(map[string]int{"key": 1}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"gob": object.Bytes(), "rdb": []byte("REDIS0011\xfa\tredis-ver\x057.2.4\xfa\nredis-bits\xc0@\xfe\x00\xfb\x01\x00\x00\x01k\x01v\xff")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// The order matters: those of SQLite share a database.
	all := append(slices.Clone(zoo), animal{"gob", "cat gob", "a binary file"}, animal{"rdb", "cat rdb", "a file of Redis"})
	s := start(t, stock(t))
	for _, a := range all {
		cmd := exec.Command("sh", "-ec", a.command)
		cmd.Dir, cmd.Env = dir, env
		var errs bytes.Buffer
		cmd.Stderr = &errs
		content, err := cmd.Output()
		if err != nil || len(content) == 0 {
			t.Fatalf("%s: %v: %s", a.name, err, errs.String())
		}
		for _, extension := range []string{"", ".csv", ".mysql", ".jsonl"} {
			file := written(t, "animal"+extension, content)
			if a.name == "json" && extension == ".jsonl" {
				continue // it is rows there
			}
			stdout, stderr, status := s.client(nil, "load", file)
			if status == 0 || stdout != "" || !strings.HasPrefix(stderr, "error: the input is "+a.what) {
				t.Errorf("%s%s: status %d, %s%s", a.name, extension, status, stdout, stderr)
			}
		}
	}
	if n := s.stat("", "curr_items"); n != 0 {
		t.Errorf("%d items", n)
	}
	s.lives()
}

// zooKeepers makes a directory with rows and databases of them, and the environment of the commands.
func zooKeepers(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	m, p := startMariaDB(t), startPostgreSQL(t)
	const rows = "(id INT PRIMARY KEY, bio TEXT);\nINSERT INTO %[1]s VALUES (1, 'Trond');\nINSERT INTO %[1]s VALUES (2, 'Ada, of Grüße');\n"
	m.execute(t, "CREATE DATABASE shop; USE shop; CREATE TABLE user "+fmt.Sprintf(rows, "user"))
	p.execute(t, "CREATE TABLE users "+fmt.Sprintf(rows, "users"))
	for name, content := range map[string]string{
		"rows.tsv": "key_1\tTrond\nkey_2\tGrüße\n", "sheet.csv": "id,bio\n1,Trond\n", "shop.sql": "CREATE TABLE user " + fmt.Sprintf(rows, "user"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir, append(os.Environ(), "LC_ALL=C.UTF-8", "CLIENT="+built(t, "client"),
		"MARIADB=--no-defaults -u root --default-character-set=utf8mb4 -S "+m.socket, "PSQL=-h "+p.dir+" -U postgres")
}

// TestCompressedRows: what the tools compress is loaded as it was, from files and pipes, and a dump is restored and compared.
func TestCompressedRows(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	dir := t.TempDir()
	rows := rowsOf("row", 20_000)
	want := map[string]string{}
	for i := range 20_000 {
		key, value := rowOf("row", i)
		want[key] = value
	}
	shell := func(script string) []byte {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CLIENT="+built(t, "client")+" --door "+s.door)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return out
	}
	if err := os.WriteFile(filepath.Join(dir, "rows.tsv"), rows, 0o666); err != nil {
		t.Fatal(err)
	}
	shell("head -n 9000 rows.tsv >head; tail -n +9001 rows.tsv >tail")
	tools := map[string]string{".gz": "gzip -c", ".zst": "zstd -qc", ".xz": "xz -c", ".bz2": "bzip2 -c"}
	for _, extension := range slices.Sorted(maps.Keys(tools)) {
		pack := tools[extension]
		for _, load := range []string{
			pack + " rows.tsv >rows.tsv$E; $CLIENT load rows.tsv$E",
			pack + " rows.tsv | $CLIENT",
			"(" + pack + " head; sleep 0.1; " + pack + " tail) | $CLIENT load --from tsv",
		} {
			if err := s.cache().FlushAll(); err != nil {
				t.Fatal(err)
			}
			out := shell("E=" + extension + "; " + load)
			if !strings.HasPrefix(string(out), "20000 rows read: 20000 stored") {
				t.Fatalf("%s: %s", load, out)
			}
		}
		// The last of them is read back: a flush does not take items away at once, so that they cannot be counted.
		for key, value := range map[string]string{"row_0": want["row_0"], "row_8999": want["row_8999"], "row_9000": want["row_9000"], "row_19999": want["row_19999"]} {
			if got := s.get(key); got != value {
				t.Errorf("%s: %s is %q", extension, key, got)
			}
		}
		stdout, stderr, status := s.client([]byte(read(t, filepath.Join(dir, "rows.tsv"+extension))[:900]), "load")
		if status != 1 || !strings.Contains(stderr, "is truncated: its end is missing") {
			t.Errorf("%s: status %d, %s%s", extension, status, stdout, stderr)
		}
	}
	s.holds(want)
	out := shell("$CLIENT dump all.dump && gzip all.dump && $CLIENT diff all.dump.gz && $CLIENT restore all.dump.gz && xz -c <rows.tsv >/dev/null")
	if !strings.Contains(string(out), "20000 same, 0 changed, 0 missing, 0 added") || !strings.Contains(string(out), "20000 items read: 20000 stored") {
		t.Errorf("%s", out)
	}
	s.holds(want)
}

// TestUTF16Rows: the rows of PowerShell's redirection.
func TestUTF16Rows(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	const text = "id,bio\r\n1,Ann\r\n2,Grüße \U0001F600\r\n"
	for _, to := range []string{"UTF-16LE", "UTF-16BE"} {
		iconv := exec.Command("iconv", "-f", "UTF-8", "-t", to)
		iconv.Stdin = strings.NewReader("\uFEFF" + text)
		wide, err := iconv.Output()
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr, status := s.client(nil, "load", "--header", "--key", to+":{id}", "--value", "bio", written(t, "rows.csv", wide))
		if status != 0 || !strings.HasPrefix(stdout, "2 rows read: 2 stored") {
			t.Errorf("%s: status %d, %s%s", to, status, stdout, stderr)
		}
	}
	s.holds(map[string]string{"UTF-16LE:1": "Ann", "UTF-16LE:2": "Grüße \U0001F600", "UTF-16BE:1": "Ann", "UTF-16BE:2": "Grüße \U0001F600"})
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mariadb is a MariaDB server of the test's own on a private socket.
type mariadb struct{ socket string }

func startMariaDB(t *testing.T) mariadb {
	t.Helper()
	dir := directoryOf(t, "mariadb")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
		"--skip-test-db", "--datadir="+data, "--user="+me.Username)
	// Servers that share a directory for temporary tables delete each other's.
	install.Env = append(os.Environ(), "TMPDIR="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	m := mariadb{filepath.Join(dir, "sock")}
	server := exec.Command("mariadbd", "--no-defaults", "--skip-networking", "--datadir="+data, "--socket="+m.socket,
		"--pid-file="+filepath.Join(dir, "pid"), "--user="+me.Username)
	server.Env = install.Env
	// Nothing of it is outside of its directory.
	serveDatabase(t, "MariaDB", server, syscall.SIGKILL, func() error { return m.command("-e", "SELECT 1").Run() })
	return m
}

// command is the database's own client.
func (m mariadb) command(args ...string) *exec.Cmd {
	return exec.Command("mariadb", append([]string{"--no-defaults", "-u", "root", "-S", m.socket, "--default-character-set=utf8mb4"}, args...)...)
}

func (m mariadb) execute(t *testing.T, sql string) {
	t.Helper()
	cmd := m.command()
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// The article's session, as the README has it, but for where the servers are: bios from a MariaDB table, through the client,
// back through memcached's own port, each as the database has it.
func TestArticle(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		m := startMariaDB(t)
		bios := map[int]string{
			1: "Trond spends his evenings in front of the computer... bla bla",
			2: "Grüße, 世界 🗒",
			3: "",
			4: "two lines:\n\tand a tab, \\n, \\N, \"quotes\", 'NULL'\r\n",
		}
		var sql strings.Builder
		sql.WriteString("CREATE DATABASE memcached; USE memcached;\nCREATE TABLE user (id INT PRIMARY KEY, bio TEXT CHARACTER SET utf8mb4);\n")
		for i := 5; i <= 5000; i++ {
			bios[i] = fmt.Sprintf("bio of user %d: %s", i, strings.Repeat("bla ", i%50))
		}
		for id, bio := range bios {
			fmt.Fprintf(&sql, "INSERT INTO user VALUES (%d, CONVERT(x'%x' USING utf8mb4));\n", id, bio)
		}
		sql.WriteString("INSERT INTO user VALUES (5001, NULL);\n")
		m.execute(t, sql.String())

		server := newServer(t, h.program)
		server.user = "nobody"
		server.start()
		server.waitDoor()
		pipe := exec.Command("bash", "-o", "pipefail", "-c", `mysql --no-defaults -S "$0" --batch --quick --default-character-set=utf8mb4 -u root -D memcached \
   -e "SELECT CONCAT('user_', id), bio FROM user WHERE bio IS NOT NULL" --skip-column-names \
   |  "$1" load --from mysql`, m.socket, built(t, "client"))
		pipe.Env = append(os.Environ(), "MEMCACHED_BACKDOOR="+server.door)
		out, err := pipe.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if want := "5000 rows read: 5000 stored, 0 rejected, 0 skipped"; !strings.HasPrefix(string(out), want) {
			t.Errorf("the client said %q, want %q", out, want)
		}
		nc := exec.Command("nc", "-q1", "-U", server.socket)
		nc.Stdin = strings.NewReader("get user_1\r\n")
		got, err := nc.Output()
		if want := "VALUE user_1 0 61\r\n" + bios[1] + "\r\nEND\r\n"; err != nil || string(got) != want {
			t.Errorf("nc: %q, %v, want %q", got, err, want)
		}
		for id, bio := range bios {
			if got := server.get(fmt.Sprintf("user_%d", id)); got != bio {
				t.Errorf("user_%d: %q, want %q", id, got, bio)
			}
		}
	})
}

package e2e

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres is a PostgreSQL server of the test's own on a private socket, which is in its directory.
type postgres struct{ dir, database string }

func startPostgreSQL(t *testing.T) postgres {
	t.Helper()
	dir := directoryOf(t, "postgres")
	as := unprivileged(t, dir)
	p, data := postgres{dir, "postgres"}, filepath.Join(dir, "data")
	install := exec.Command(postgresProgram(t, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	install.Dir, install.SysProcAttr = dir, as
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(postgresProgram(t, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Dir, server.SysProcAttr = dir, as
	// SIGQUIT: it ends its children at once, and gives its shared memory back.
	serveDatabase(t, "PostgreSQL", server, syscall.SIGQUIT, func() error { return p.psql("-c", "SELECT 1").Run() })
	return p
}

// postgresProgram is one that Debian keeps out of the path, of the newest version that is there.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) })
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// unprivileged is who a server runs as that refuses to be root's, and gives the directory to them.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// psql is the database's own client.
func (p postgres) psql(args ...string) *exec.Cmd {
	return exec.Command("psql", append([]string{"-X", "-q", "-h", p.dir, "-U", "postgres", "-d", p.database, "-v", "ON_ERROR_STOP=1"}, args...)...)
}

func (p postgres) execute(t *testing.T, sql string) {
	t.Helper()
	cmd := p.psql()
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// rows are what the database has, by an expression for the bytes.
func (p postgres) rows(t *testing.T, value, from string) contents {
	t.Helper()
	out, err := p.psql("-At", "-F", "\t", "-c", "SELECT encode(convert_to(id, 'UTF8'), 'hex'), coalesce(encode("+value+", 'hex'), 'NULL') FROM "+from).Output()
	if err != nil {
		t.Fatal(err)
	}
	return parseContents(t, out)
}

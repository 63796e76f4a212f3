package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// Where not even the protocol can be spoken, the call says what stands against both engines, and memcached serves on.
func TestNoEngine(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("user:password\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	key, cert := certificate(t)
	for name, test := range map[string]struct {
		args []string
		tcp  bool // listens on a port instead of a unix socket
		want string
	}{
		"users":  {args: []string{"-Y", users}, want: "CLIENT_ERROR unauthenticated"},
		"binary": {args: []string{"-B", "binary"}, want: "it closes the connection"},
		"TLS":    {args: []string{"-Z", "-o", "ssl_key=" + key + ",ssl_chain_cert=" + cert}, tcp: true, want: "it closes the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, built(t, "hosts/unknown/memcached"), test.args...)
			if test.tcp {
				s.onPort("127.0.0.1", "-l", "127.0.0.1")
			}
			s.start()
			wait(t, "the door", func() error {
				_, err := call(s.door, door.Request{Op: door.OpStatus})
				return err
			})
			_, stderr, status := s.client([]byte("k\tv\n"))
			if status != 11 || !strings.Contains(stderr, "memcached 1.7.18 is not supported") || !strings.Contains(stderr, "; nor by protocol: ") ||
				!strings.Contains(stderr, test.want) {
				t.Errorf("status %d, stderr %q", status, stderr)
			}
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("it ended with %v\n%s", status, s.output.String())
			}
		})
	}
}

// newest prepares Debian 13's memcached, 1.6.38, under another version, so that only its protocol is left.
func newest(t *testing.T, args ...string) *server {
	t.Helper()
	root := built(t, "hosts/debian/amd64/trixie")
	libraries := filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	program := filepath.Join(t.TempDir(), "memcached")
	original, err := os.ReadFile(filepath.Join(root, "usr/bin/memcached"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, replaced(t, original, "1.6.38", "1.7.38"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, program, args...)
	s.wrap = []string{filepath.Join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries}
	return s
}

// A proxy sends rows on to other memcacheds, which is not what a load is asked to do.
func TestProxyGetsNoRows(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "proxy.lua")
	if err := os.WriteFile(config, []byte("function mcp_config_pools() end\nfunction mcp_config_routes() end\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newest(t, "-o", "proxy_config="+config)
	s.start()
	wait(t, "the door", func() error {
		_, err := call(s.door, door.Request{Op: door.OpStatus})
		return err
	})
	_, stderr, status := s.client([]byte("k\tv\n"))
	if status != 11 || !strings.Contains(stderr, "; nor by protocol: ") || !strings.Contains(stderr, "it is a proxy") {
		t.Errorf("status %d, stderr %q\n%s", status, stderr, s.output.String())
	}
	if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
		t.Errorf("it ended with %v\n%s", status, s.output.String())
	}
}

// certificate makes a key and a certificate of the test's own.
func certificate(t *testing.T) (key, cert string) {
	t.Helper()
	dir := t.TempDir()
	key, cert = filepath.Join(dir, "key"), filepath.Join(dir, "cert")
	tool(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", cert)
	return key, cert
}

// By protocol rows reach a memcached on a port of any kind, and through the plain one where another takes TLS.
func TestProtocolAddresses(t *testing.T) {
	t.Parallel()
	key, cert := certificate(t)
	for name, test := range map[string]struct {
		host string // where it is reached
		args []string
	}{
		"IPv4":          {"127.0.0.1", []string{"-l", "127.0.0.1"}},
		"any":           {"127.0.0.1", []string{"-l", "0.0.0.0"}},
		"IPv6":          {"::1", []string{"-l", "::1"}},
		"TLS and plain": {"127.0.0.2", []string{"-Z", "-o", "ssl_key=" + key + ",ssl_chain_cert=" + cert, "-l", "127.0.0.1,notls:127.0.0.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, built(t, "hosts/unknown/memcached"))
			s.onPort(test.host, test.args...)
			s.start()
			s.waitDoor()
			if l := s.load(door.Request{}, rowsOf("k", 20_000)); l.Stored != 20_000 || l.Engine != door.EngineProtocol {
				t.Errorf("%+v", l)
			}
			readBack(t, s, "k", 20_000, plain)
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("it ended with %v\n%s", status, s.output.String())
			}
		})
	}
}

// Whoever takes the place of memcached's socket gets no rows, though it says what memcached would.
func TestImpostorGetsNoRows(t *testing.T) {
	t.Parallel()
	s := start(t, built(t, "hosts/unknown/memcached"))
	stats := s.ask("stats\r\nstats settings\r\nmn", regexp.MustCompile("^MN$"))
	if err := os.Remove(s.socket); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s\r\nMN\r\n", strings.Join(stats, "\r\n"))
		}
	}()
	_, stderr, status := s.client([]byte("k\tv\n"))
	if status == 0 || !strings.Contains(stderr, "another process listens there") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

// A memcached whose connections are all taken fails the call, and takes rows when they are free again.
func TestProtocolWithoutConnection(t *testing.T) {
	t.Parallel()
	s := start(t, built(t, "hosts/unknown/memcached"), "-c", "64", "-o", "maxconns_fast")
	if l := s.load(door.Request{}, []byte("k\tv\n")); l.Stored != 1 {
		t.Fatalf("%+v", l)
	}
	var taken []net.Conn
	for range 64 {
		taken = append(taken, dial(s))
	}
	_, stderr, status := s.client([]byte("k\tw\n"))
	if status != 1 || !strings.Contains(stderr, "memcached at ") && !strings.Contains(stderr, "too many open files in memcached") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	for _, conn := range taken {
		conn.Close()
	}
	wait(t, "a load", func() error {
		if _, stderr, status := s.client([]byte("k\tx\n")); status != 0 {
			return fmt.Errorf("status %d: %s", status, stderr)
		}
		return nil
	})
	if s.get("k") != "x" {
		t.Error("k differs")
	}
}

// A load continues after a pause longer than memcached's idle limit of connections.
func TestProtocolAfterIdle(t *testing.T) {
	t.Parallel()
	s := newServer(t, built(t, "hosts/unknown/memcached"), "-o", "idle_timeout=1")
	s.onPort("127.0.0.1", "-l", "127.0.0.1") // memcached leaves unix sockets alone
	s.start()
	s.waitDoor()
	cmd := exec.Command(built(t, "client"), "--door", s.door)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out log
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(in, "a\t1\n")
	wait(t, "the first row", func() error { _, err := s.cache().Get("a"); return err })
	wait(t, "memcached to close the connection", func() error {
		if n := s.stat("", "idle_kicks"); n == 0 {
			return fmt.Errorf("%d kicks", n)
		}
		return nil
	})
	fmt.Fprint(in, "b\t2\n")
	in.Close()
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(out.String(), "2 rows read: 2 stored, 0 rejected, 0 skipped") {
		t.Errorf("%v: %s", err, out.String())
	}
	if ttl := s.metaTTL("b"); ttl != -1 {
		t.Errorf("b has a time to live of %d", ttl)
	}
}

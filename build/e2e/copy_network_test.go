package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificates are files in PEM, each with its key: of an authority, of a server that it has signed, for the address
// 127.0.0.1 and the name cache.test, and of a client.
type certificates struct{ authority, server, client, other string }

func newCertificates(t *testing.T) (c certificates) {
	t.Helper()
	dir := directoryOf(t, "certificates")
	serial := int64(0)
	create := func(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (path string, own *x509.Certificate, key *ecdsa.PrivateKey) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		serial++
		own = &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: parent == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:    []string{"cache.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		if parent == nil {
			parent, parentKey = own, key
		}
		der, err := x509.CreateCertificate(rand.Reader, own, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})...)
		path = filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path, own, key
	}
	var authority *x509.Certificate
	var key *ecdsa.PrivateKey
	c.authority, authority, key = create("authority", nil, nil)
	c.server, _, _ = create("server", authority, key)
	c.client, _, _ = create("client", authority, key)
	c.other, _, _ = create("other", nil, nil)
	return c
}

// Over TLS a cache is copied as it is without, if each side knows the other's certificate; else the error says what is
// missing.
func TestCopyTLS(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		c := newCertificates(t)
		s := start(t, h.program)
		s.fill(5000, "--size", "1-2000", "--ttl", "1h")
		s.setBinary("v")
		for _, mutual := range []bool{false, true} {
			to := newServer(t, h.other(t))
			plain, encrypted := fmt.Sprint("127.0.0.1:", freePort(t)), fmt.Sprint("127.0.0.1:", freePort(t))
			options := fmt.Sprintf("ssl_chain_cert=%s,ssl_key=%s", c.server, c.server)
			if mutual {
				options += ",ssl_verify_mode=2,ssl_ca_cert=" + c.authority
			}
			to.socket = plain
			to.listen = []string{"-l", encrypted, "-l", "notls:" + plain, "-U", "0", "-Z", "-o", options}
			to.start()
			to.waitDoor()
			known := []string{"--tls", "--tls-ca", c.authority}
			if mutual {
				for args, says := range map[string]string{"": "certificate", "--tls-cert " + c.other: "error: " + encrypted} {
					_, errs, status := s.client(nil, append(append([]string{"copy", "--to", encrypted}, known...), strings.Fields(args)...)...)
					if status != 1 || !strings.Contains(errs, says) || !strings.Contains(errs, "hint: --tls-cert") {
						t.Errorf("with %q: status %d, %s", args, status, errs)
					}
				}
				known = append(known, "--tls-cert", c.client)
			}
			got := s.copies(0, encrypted, known...)
			if got.Copied != 5001 || got.Verified.Same != 5001 {
				t.Errorf("%+v, %+v", got, got.Verified)
			}
			_, port, _ := net.SplitHostPort(encrypted)
			if got := s.copies(0, "localhost:"+port, append(known, "--tls-server-name", "cache.test")...); got.Copied != 5001 {
				t.Errorf("%+v", got)
			}
			if got := s.copies(0, plain); got.Copied != 5001 || got.Verified.Same != 5001 {
				t.Errorf("%+v, %+v", got, got.Verified)
			}
			for _, wrong := range []struct {
				to   string
				args []string
				says string
			}{
				{encrypted, nil, "it has closed the connection\nhint: --tls encrypts"},
				{encrypted, []string{"--tls"}, "certificate signed by unknown authority\nhint: --tls-ca"},
				{encrypted, []string{"--tls", "--tls-ca", c.other}, "certificate signed by unknown authority\nhint: --tls-ca"},
				{"localhost:" + port, known, "not localhost\nhint: --tls-ca names"},
				{plain, known, "does not look like a TLS handshake\nhint: it seems to listen without TLS"},
				{encrypted, []string{"--tls", "--tls-ca", "/etc/hostname"}, "/etc/hostname: has no certificate in PEM"},
				{encrypted, []string{"--tls", "--tls-ca", "/no/such"}, "/no/such: no such file"},
			} {
				if mutual && wrong.args == nil {
					continue
				}
				_, errs, status := s.client(nil, append([]string{"copy", "--to", wrong.to}, wrong.args...)...)
				if status != 1 || !strings.Contains(errs, wrong.says) {
					t.Errorf("to %s with %q: status %d, %s", wrong.to, wrong.args, status, errs)
				}
			}
			// Its log has lines of its own about clients whose handshake fails, without the library, too.
			if err := to.cache().Ping(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A target that is none, or takes no such commands, is refused with the reason.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.fill(10)
	passwords := written(t, "passwords", []byte("user:password\n"))
	withPassword := startPlain(t, "-Y", passwords)
	network := newServer(t, stock(t))
	port := freePort(t)
	network.socket = fmt.Sprint("127.0.0.1:", port)
	network.listen = []string{"-l", network.socket, "-U", "0"}
	network.start()
	network.waitDoor()
	network.fill(10)
	closed := filepath.Join(directoryOf(t, "closed"), "socket")
	l, err := net.Listen("unix", closed)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	const hint = "hint: --to names the target"
	for _, test := range []struct {
		to, says string
		args     []string
		status   int
	}{
		{withPassword, "it wants a password (memcached -Y)", nil, 1},
		{s.door, "--to is the memcached that is copied", nil, 80},
		{s.socket, "--to is the memcached that is copied", nil, 80},
		{"/no/such/door", "--to /no/such/door: no such door\n" + hint, nil, 1},
		{closed, "nobody answers at the door", nil, 1},
		{"/etc/hostname", "--to /etc/hostname: not a door\n" + hint, nil, 1},
		{"cache2", "neither the path of a socket nor an address with a port", nil, 80},
		{"127.0.0.1:1", "127.0.0.1:1: connect: connection refused", nil, 1},
		{"no such host.invalid:1", "no such host", nil, 1},
		{s.socket, "a unix socket has no TLS", []string{"--tls"}, 80},
		{"cache2:1", "--tls-ca means nothing without --tls", []string{"--tls-ca", passwords}, 80},
		{"cache2:1", "--tls-key means nothing without --tls-cert", []string{"--tls", "--tls-key", passwords}, 80},
	} {
		out, errs, status := s.client(nil, append([]string{"copy", "--to", test.to}, test.args...)...)
		if status != test.status || out != "" || !strings.Contains(errs, test.says) {
			t.Errorf("--to %s %q: status %d, %s%s", test.to, test.args, status, out, errs)
		}
	}
	for _, to := range []string{network.socket, fmt.Sprint("localhost:", port), network.door} {
		if out, errs, status := network.client(nil, "copy", "--to", to); status != 80 || out != "" || !strings.Contains(errs, "--to is the memcached that is copied") {
			t.Errorf("--to %s: status %d, %s%s", to, status, out, errs)
		}
	}
	if got := s.copies(0, network.socket); got.Copied != 10 {
		t.Errorf("%+v", got)
	}
	for _, s := range []*server{s, network} {
		if n := s.stat("", "curr_items"); n != 10 {
			t.Errorf("%d items", n)
		}
		s.lives()
	}
}

// startPlain starts a memcached without the library, and returns its socket.
func startPlain(t *testing.T, args ...string) (socket string) {
	t.Helper()
	to := newServer(t, stock(t), args...)
	to.preload = ""
	to.start()
	wait(t, "memcached", func() error {
		conn, err := net.Dial("unix", to.socket)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return to.socket
}

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every error of fixtures is logged. Where they are strict memcached ends with status 1 and has served no client;
// otherwise it serves what there is.
func TestFixturesFaults(t *testing.T) {
	good := fixture(t, "good.raw", []byte("good\t1\n"))
	empty := directoryOf(t, "empty")
	closed := filepath.Join(directoryOf(t, "closed"), "closed")
	if err := errors.Join(os.Chmod(empty, 0o755), os.Chmod(filepath.Dir(closed), 0o755), os.Mkdir(closed, 0o700)); err != nil {
		t.Fatal(err)
	}
	secret := fixture(t, "secret.raw", []byte("secret\t1\n"))
	pipe := filepath.Join(filepath.Dir(fixture(t, "x", nil)), "pipe.raw")
	notes := filepath.Dir(fixture(t, "NOTES", []byte("no rows\n")))
	if err := errors.Join(os.Chmod(secret, 0o600), syscall.Mkfifo(pipe, 0o644)); err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 250 {
		fmt.Fprintf(&many, "bad key %d\tv\n", i)
	}
	many.WriteString("last\t1\n")
	for name, tt := range map[string]struct {
		path string
		args []string
		says []string
		key  string // that is there nevertheless
	}{
		"missing file":             {path: "/nonexistent/rows.csv", says: []string{"/nonexistent/rows.csv: no such file or directory"}},
		"directory without rights": {path: closed, says: []string{closed + ": permission denied"}},
		"file without rights":      {path: secret, says: []string{secret + ": permission denied"}},
		"empty directory":          {path: empty, says: []string{empty + ": no file in it has the extension of a format"}},
		"directory without rows":   {path: notes, says: []string{notes + ": no file in it", "NOTES: skipped, its extension is not that of a format"}},
		"empty file":               {path: fixture(t, "empty.csv", nil), says: []string{"empty.csv: is empty"}},
		"pipe":                     {path: pipe, says: []string{"pipe.raw: is not a regular file"}},
		"device":                   {path: "/dev/zero", says: []string{"/dev/zero: is not a regular file"}},
		"bad row": {path: fixture(t, "bad.jsonl", []byte(`{"key":"a","value":"1"}`+"\n"+`{"key":"b","value":`+"\n"+`{"key":"c","value":"1"}`+"\n")),
			says: []string{"bad.jsonl:2: the object is not closed"}, key: "c"},
		"many bad rows": {path: fixture(t, "many.raw", []byte(many.String())),
			says: []string{`many.raw:100: space or control byte in the key (key "bad key 99")`, "many.raw: 150 rows more rejected"}, key: "last"},
		"large value": {path: fixture(t, "large.raw", append(append([]byte("large\t"), make([]byte, 2<<20)...), "\nsmall\t1\n"...)),
			says: []string{"large.raw:1: value too large for memcached's item size limit (-I)"}, key: "small"},
		"evicted": {path: fixture(t, "much.raw", rowsOf("much", 100_000)), args: []string{"-m", "2"},
			says: []string{"fixtures: of 4096 rows that were looked for "}},
	} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/strict=%t", name, strict), func(t *testing.T) {
				t.Parallel()
				s := withFixtures(t, stock(t), []string{good, tt.path}, tt.args...)
				s.user = "nobody"
				if strict {
					s.strict()
				}
				s.start()
				if strict {
					if status := s.end(0); !status.Exited() || status.ExitStatus() != 1 {
						t.Errorf("memcached ended with %v", status)
					}
					endsOnce(t, s, "not every row is there (MEMCACHED_BACKDOOR_PRELOAD_STRICT)\n")
				} else {
					preload := s.awaitFixtures()
					if preload.Complete {
						t.Errorf("%+v", preload)
					}
					if name == "evicted" {
						wait(t, "a hint", func() error {
							if !strings.Contains(s.output.String(), "fixtures: -m ") {
								return errors.New(s.output.String())
							}
							return nil
						})
					} else {
						s.get("good")
					}
					if tt.key != "" {
						s.get(tt.key)
					}
				}
				for _, says := range tt.says {
					if !strings.Contains(s.output.String(), "memcached-backdoor: fixtures: ") || !strings.Contains(s.output.String(), says) {
						t.Errorf("memcached's stderr does not say %q:\n%s", says, s.output.String())
					}
				}
				accounts(t, s.output.String())
			})
		}
	}
}

// endsOnce sees to it that memcached's stderr says once why it ends, and nothing that looks like a crash of libevent's.
func endsOnce(t *testing.T, s *server, why string) {
	t.Helper()
	output := s.output.String()
	if strings.Count(output, "memcached ends") != 1 || !strings.Contains(output, "fixtures: memcached ends, for "+why) || strings.Contains(output, "[warn]") {
		t.Errorf("memcached's stderr does not say once that it ends, for %s:\n%s", why, output)
	}
}

// A client that is held back when strict fixtures fail gets no answer, whichever call libevent waits with.
func TestFixturesStrictServesNobody(t *testing.T) {
	t.Parallel()
	pwait2 := filepath.Join(t.TempDir(), "pwait2.so")
	tool(t, "gcc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", pwait2, "testdata/pwait2.c")
	for name, before := range map[string]string{"epoll_wait": "", "epoll_pwait2": pwait2 + ":"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fixture(t, "rows.raw", append(rowsOf("k", 500_000), "no tab\n"...))
			s := withFixtures(t, stock(t), []string{path})
			s.preload = before + s.preload
			s.strict()
			s.onPort("127.0.0.1")
			s.start()
			var conn net.Conn
			wait(t, "the port", func() (err error) {
				conn, err = net.Dial("tcp", s.socket)
				return err
			})
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(waitLimit))
			fmt.Fprint(conn, "get k_0\r\n")
			if n, err := conn.Read(make([]byte, 100)); n > 0 || err == nil {
				t.Errorf("memcached answered: %d bytes, %v", n, err)
			}
			if status := s.end(0); !status.Exited() || status.ExitStatus() != 1 {
				t.Errorf("memcached ended with %v", status)
			}
			endsOnce(t, s, "not every row is there")
		})
	}
}

// Where connections cannot be held back, or a fault of the library keeps fixtures from being loaded, that is logged; memcached
// serves, or, where they are strict, ends.
func TestFixturesNotHeld(t *testing.T) {
	const unheld = "it would accept connections before they are loaded (MEMCACHED_BACKDOOR_PRELOAD_STRICT): "
	for name, tt := range map[string]struct {
		program func(testing.TB) string
		preload string
		env     string
		says    string
		ends    string // why, if they are strict
		stored  uint64
	}{
		// Rows go over a connection.
		"by protocol": {
			program: func(t testing.TB) string { return built(t, "hosts/unknown/memcached") }, preload: "backdoor.so",
			says: "fixtures: connections are accepted before they are loaded: memcached 1.7.18 is not supported", stored: 1000,
			ends: unheld + "memcached 1.7.18 is not supported",
		},
		"without epoll": {
			program: stock, preload: "backdoor.so", env: "EVENT_NOEPOLL=1",
			says: "fixtures: connections are accepted before they are loaded: libevent does not wait with epoll here", stored: 1000,
			ends: unheld + "libevent does not wait with epoll here",
		},
		"panic": {
			program: stock, preload: "backdoor-faulty.so", env: "MEMCACHED_BACKDOOR_FAULT=" + fixture(t, "fault", []byte("preload")),
			says: "fixtures: panic: as asked", ends: "not every row is there",
		},
	} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/strict=%t", name, strict), func(t *testing.T) {
				t.Parallel()
				s := withFixtures(t, tt.program(t), []string{fixture(t, "rows.raw", rowsOf("k", 1000))})
				s.preload = built(t, tt.preload)
				if tt.env != "" {
					s.env = append(s.env, tt.env)
				}
				if strict {
					s.strict()
				}
				s.start()
				if strict {
					if status := s.end(0); !status.Exited() || status.ExitStatus() != 1 {
						t.Errorf("memcached ended with %v", status)
					}
					endsOnce(t, s, tt.ends)
				} else if preload := s.awaitFixtures(); preload.Stored != tt.stored || preload.Complete != (tt.stored > 0) {
					t.Errorf("%+v", preload)
				}
				if !strict && !strings.Contains(s.output.String(), tt.says) {
					t.Errorf("memcached's stderr: %q", s.output.String())
				}
			})
		}
	}
}

// Fixtures need no door: a second memcached at the same path has them, too. Under limits that leave us out there are none.
func TestFixturesWithoutDoor(t *testing.T) {
	t.Parallel()
	first := start(t, stock(t))
	s := withFixtures(t, stock(t), []string{fixture(t, "rows.raw", []byte("k\tv\n"))})
	s.door = first.door
	s.strict()
	s.start()
	s.waitServing()
	if s.get("k") != "v" {
		t.Error("k differs")
	}
	if !strings.Contains(s.output.String(), "is the door of process ") {
		t.Errorf("memcached's stderr: %q", s.output.String())
	}

	limited := withFixtures(t, stock(t), []string{fixture(t, "rows.raw", []byte("k\tv\n"))})
	limited.wrap = []string{"prlimit", "--data=4000000000"}
	limited.strict()
	limited.start()
	if status := limited.end(0); !status.Exited() || status.ExitStatus() != 1 {
		t.Errorf("memcached ended with %v", status)
	}
	if !strings.Contains(limited.output.String(), "fixtures: they cannot be loaded: memcached's memory is limited") {
		t.Errorf("memcached's stderr: %q", limited.output.String())
	}
}

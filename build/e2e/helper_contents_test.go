package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// An account is what became of the rows of a load.
type account struct{ rows, stored, rejected, skipped uint64 }

// summary is how the client says it.
func (a account) summary() string {
	return fmt.Sprintf("%d rows read: %d stored, %d rejected, %d skipped", a.rows, a.stored, a.rejected, a.skipped)
}

// outcome runs a load by the client, and holds what it says of its rows, and its exit status, to what is wanted.
func (s *server) outcome(stdin io.Reader, want account, args ...string) *door.Load {
	s.t.Helper()
	l := s.accounted(stdin, args...)
	if got := (account{l.Rows, l.Stored, l.Rejected, l.Skipped}); got != want {
		s.t.Fatalf("%q: %+v, want %+v: %v, %+v", args, got, want, l.Reasons, l.Rejects)
	}
	return l
}

// accounted is outcome for rows that were not counted.
func (s *server) accounted(stdin io.Reader, args ...string) *door.Load {
	s.t.Helper()
	cmd := exec.Command(built(s.t, "client"), append([]string{"--door", s.door, "--json", "load"}, args...)...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &errs
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	l := &door.Load{}
	if err := json.Unmarshal(out, l); err != nil {
		s.t.Fatalf("%q: %v, %v: %s%s", args, cmd.ProcessState, err, out, errs.String())
	}
	if err := l.Check(); err != nil {
		s.t.Fatalf("%q: %v", args, err)
	}
	status := 0
	switch {
	case l.Limited:
		status = 4
	case l.Rejected > 0:
		status = 3
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		s.t.Fatalf("%q: exit status %d, want %d: %s", args, got, status, errs.String())
	}
	return l
}

// pipe is outcome for rows that another program writes, as in a shell.
func (s *server) pipe(export *exec.Cmd, want account, args ...string) *door.Load {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	var errs bytes.Buffer
	export.Stdout, export.Stderr = w, &errs
	err = export.Start()
	w.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	l := s.outcome(r, want, args...)
	if err := export.Wait(); err != nil {
		s.t.Fatalf("%q: %v: %s", export.Args, err, errs.String())
	}
	return l
}

// holds compares what is in the cache with what is to be, byte for byte; there is to be nothing else.
func (s *server) holds(want map[string]string) {
	s.t.Helper()
	s.reads(want, nil)
}

// reads is holds for a part of what is stored, which read takes from it; nil: all of it.
func (s *server) reads(want map[string]string, read func(stored string) string) {
	s.t.Helper()
	wrong := 0
	for keys := range slices.Chunk(slices.Collect(maps.Keys(want)), 100) {
		found, err := s.cache().GetMulti(keys)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, key := range keys {
			got := "no item"
			if item := found[key]; item != nil {
				got = string(item.Value)
				if read != nil {
					got = read(got)
				}
				if got == want[key] {
					continue
				}
			}
			s.t.Errorf("%q: %.300q, %d bytes, want %.300q, %d bytes", key, got, len(got), want[key], len(want[key]))
			if wrong++; wrong == 10 {
				s.t.FailNow()
			}
		}
	}
	if n := s.stat("", "curr_items"); n != len(want) {
		s.t.Errorf("%d items, want %d", n, len(want))
	}
}

// written is a file of a name that has content.
func written(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// lives says that memcached runs, and has written nothing but that its engine is not the native one.
func (s *server) lives() {
	s.t.Helper()
	if err := s.cache().Ping(); err != nil || !s.running() {
		s.t.Fatalf("memcached is gone: %v\n%s", err, s.output.String())
	}
	if out, want := s.output.String(), s.announcement(); out != want {
		s.t.Errorf("memcached wrote %q, want %q", out, want)
	}
}

// hostile are texts that a format may get wrong, by name.
func hostile() map[string]string {
	all := map[string]string{
		"plain":      "value",
		"empty":      "",
		"spaces":     "  a  ",
		"tabs":       "\ta\tb\t\tc\t",
		"newlines":   "\na\n\nb\n",
		"newline":    "\n",
		"row":        "a\nkey\tvalue\nkey,value\n",
		"backslash":  `C:\new\table\0\\\`,
		"slash":      `\`,
		"carriage":   "a\r",
		"crlf":       "a\r\nb\r\n",
		"quote":      `"`,
		"quotes":     `"a" 'b', "c""`,
		"comma":      ",",
		"null":       "NULL",
		"copy-null":  `\N`,
		"copy-end":   `\.`,
		"copy-end-2": "a\n\\.\nb",
		"utf8":       "Grüße, 世界 🗒",
		"mark":       "\ufeffa",
		"controls":   "\b\f\v\x01\x1b\x1f\x7f",
		"json":       `{"key":"a","value":"b"}` + "\n",
	}
	var every strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		every.WriteString(all[name])
	}
	all["long"] = strings.Repeat(every.String(), 100<<10/every.Len()+1)
	return all
}

// Contents are rows of a database: texts by their id, of which nil is NULL.
type contents map[string][]byte

// parseContents reads what a database says of its rows: on each line an id, a tab, and the text, both in hexadecimal, or
// NULL, which is no text.
func parseContents(t *testing.T, out []byte) contents {
	t.Helper()
	rows := contents{}
	for line := range strings.Lines(string(out)) {
		id, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		key, err := hex.DecodeString(id)
		var value []byte
		if err == nil && text != "NULL" {
			value, err = hex.DecodeString(text)
		}
		if err != nil || !ok {
			t.Fatalf("the database says %.100q", line)
		}
		rows[string(key)] = value
	}
	return rows
}

func (rows contents) count() uint64 { return uint64(len(rows)) }

// inserted are the statements that make the rows, in an order that is drawn; literals make an id and a text of hexadecimal
// digits.
func (rows contents) inserted(into, id, text string) string {
	const most = 1 << 20 // bytes of a statement, about: a server has a limit
	var sql strings.Builder
	keys := slices.Sorted(maps.Keys(rows))
	rand.New(rand.NewPCG(exportSeed(), 0)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	// A first line that is no row, such as one with a control byte in its key, can be a foreign file.
	if at := slices.Index(keys, "plain"); at > 0 {
		keys[0], keys[at] = keys[at], keys[0]
	}
	began := -1
	for _, key := range keys {
		value := rows[key]
		if began < 0 {
			began = sql.Len()
			fmt.Fprintf(&sql, "INSERT INTO %s VALUES ", into)
		} else {
			sql.WriteString(",\n")
		}
		literal := "NULL"
		if value != nil {
			literal = fmt.Sprintf(text, value)
		}
		fmt.Fprintf(&sql, "("+id+", %s)", key, literal)
		if sql.Len()-began > most {
			sql.WriteString(";\n")
			began = -1
		}
	}
	if began >= 0 {
		sql.WriteString(";\n")
	}
	return sql.String()
}

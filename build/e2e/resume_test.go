package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// breakOff begins a load and goes away when some rows are there.
func breakOff(t *testing.T, s *server, request door.Request, file *os.File, key string) {
	t.Helper()
	conn, err := door.Dial(s.door)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request.Version, request.Op = door.Protocol, door.OpLoad
	if err := conn.Call(request, file); err != nil {
		t.Fatal(err)
	}
	wait(t, "some rows", func() error { _, err := s.cache().Get(key); return err })
	if err := conn.Cancel(); err != nil {
		t.Fatal(err)
	}
	reply, err := conn.Next()
	if err != nil || reply.Load == nil || !reply.Load.Canceled || reply.Load.Check() != nil {
		t.Fatalf("reply %+v, %v", reply.Load, err)
	}
}

// reopen is the same file at its beginning, as another client opens it.
func reopen(t *testing.T, file *os.File) *os.File {
	t.Helper()
	f, err := os.Open(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// An interrupted load continues after the stored rows; then all rows are stored, and each was read once.
func TestResume(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 300_000
		for name, request := range map[string]door.Request{
			"raw": {}, "csv": {Rows: door.Rows{Format: "csv", Header: true, Key: "k", Value: "v"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				content := rowsOf("row", rows)
				if request.Rows.Format == "csv" {
					content = append([]byte("v,k\n"), csvOf(rows)...)
				}
				server := start(t, h.program)
				file := fileOf(t, content)
				slow := request
				slow.Rate = 100_000
				breakOff(t, server, slow, file, "row_20000")
				done := server.stat("", "curr_items")
				request.Resume = true
				load := server.loadFile(request, reopen(t, file))
				if load.Resumed == 0 || load.Rows != rows-uint64(done) || load.Stored != load.Rows {
					t.Errorf("%d rows were there; %+v", done, load)
				}
				readBack(t, server, "row", rows, func(i int) string { _, value := rowOf("row", i); return value })

				// It is done: the next one begins at the beginning, and changes nothing.
				load = server.loadFile(request, reopen(t, file))
				if load.Resumed != 0 || load.Stored != rows || server.stat("", "curr_items") != rows {
					t.Errorf("%+v", load)
				}
			})
		}
	})
}

// Where what was stored is gone, wholly or in part, or the file was changed in place, there is nothing to resume:
// the load begins at the beginning and says why, and all rows are there in the end.
func TestNothingToResume(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 60_000
		content := rowsOf("row", rows)
		for name, test := range map[string]struct {
			ttl    int64
			change func(t *testing.T, s *server, file *os.File)
			why    string
		}{
			"flush_all": {0, func(t *testing.T, s *server, _ *os.File) {
				if err := s.cache().FlushAll(); err != nil {
					t.Fatal(err)
				}
			}, "no longer in the cache"},
			"flush_all, rows that expire": {3600, func(t *testing.T, s *server, _ *os.File) {
				if err := s.cache().FlushAll(); err != nil {
					t.Fatal(err)
				}
			}, "no longer in the cache"},
			"first rows deleted": {0, func(t *testing.T, s *server, _ *os.File) {
				for i := range 10 {
					if err := s.cache().Delete(fmt.Sprintf("row_%d", i)); err != nil {
						t.Fatal(err)
					}
				}
			}, "of 128 rows of the interrupted load 10 are"},
			"changed in place": {0, func(t *testing.T, _ *server, file *os.File) {
				info, err := file.Stat()
				if err != nil {
					t.Fatal(err)
				}
				w, err := os.OpenFile(file.Name(), os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				if _, err := w.WriteAt(content[:1], 0); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(file.Name(), info.ModTime(), info.ModTime()); err != nil {
					t.Fatal(err)
				}
			}, "the file has changed"},
			"nothing before": {0, nil, "no load of this file"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := start(t, h.program)
				file := fileOf(t, content)
				request := door.Request{Rows: door.Rows{TTL: test.ttl}}
				if test.change != nil {
					slow := request
					slow.Rate = 50_000
					breakOff(t, s, slow, file, "row_10000")
					test.change(t, s, file)
				}
				request.Resume = true
				l := s.loadFile(request, reopen(t, file))
				if l.Resumed != 0 || l.Stored != rows || !strings.Contains(l.Restarted, test.why) {
					t.Errorf("%+v", l)
				}
				readBack(t, s, "row", rows, func(i int) string { _, value := rowOf("row", i); return value })
			})
		}
	})
}

// Rows whose time to live is over are no reason to begin again, and those of an earlier load are looked for also when the one that went on
// with it breaks off.
func TestResumeTwice(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	s := start(t, stock(t))
	file := fileOf(t, rowsOf("row", rows))
	breakOff(t, s, door.Request{Limits: door.Limits{Rate: 100_000}}, file, "row_10000")
	breakOff(t, s, door.Request{Limits: door.Limits{Rate: 100_000}, Resume: true}, reopen(t, file), "row_50000")
	if err := s.cache().Delete("row_0"); err != nil {
		t.Fatal(err)
	}
	if l := s.loadFile(door.Request{Resume: true}, reopen(t, file)); l.Resumed != 0 || l.Stored != rows || l.Restarted == "" {
		t.Errorf("%+v", l)
	}
	file = fileOf(t, rowsOf("other", rows))
	breakOff(t, s, door.Request{Limits: door.Limits{Rate: 100_000}, Rows: door.Rows{TTL: 1}}, file, "other_10000")
	wait(t, "the rows' end", func() error {
		if _, err := s.cache().Get("other_10000"); err == nil {
			return errors.New("they are there")
		}
		return nil
	})
	if l := s.loadFile(door.Request{Rows: door.Rows{TTL: 1}, Resume: true}, reopen(t, file)); l.Resumed == 0 || l.Restarted != "" {
		t.Errorf("%+v", l)
	}
}

// csvOf are the rows of rowsOf("row", n), value first.
func csvOf(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		key, value := rowOf("row", i)
		fmt.Fprintf(&b, "\"%s\",%s\r\n", value, key)
	}
	return b.Bytes()
}

// What is another file, or is read in another way, is not gone on with; nor is anything in a new memcached.
func TestResumeOther(t *testing.T) {
	t.Parallel()
	server := start(t, stock(t))
	const rows = 200_000
	file := fileOf(t, rowsOf("row", rows))
	breakOff(t, server, door.Request{Limits: door.Limits{Rate: 100_000}}, file, "row_20000")
	for name, request := range map[string]door.Request{
		"other options": {Rows: door.Rows{TTL: 60}}, "other format": {Rows: door.Rows{Format: "tsv"}}, "other mode": {Rows: door.Rows{Mode: record.ModeSet}},
	} {
		request.Resume = true
		if load := server.loadFile(request, reopen(t, file)); load.Resumed != 0 || load.Rows != rows {
			t.Errorf("%s: %+v", name, load)
		}
	}
	changed, err := os.OpenFile(file.Name(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(changed, "more\trows\n")
	changed.Close()
	if load := server.loadFile(door.Request{Resume: true}, reopen(t, file)); load.Resumed != 0 || load.Rows != rows+1 {
		t.Errorf("a changed file: %+v", load)
	}

	breakOff(t, server, door.Request{Limits: door.Limits{Rate: 100_000}}, reopen(t, file), "more")
	server.kill()
	again := start(t, stock(t))
	if load := again.loadFile(door.Request{Resume: true}, reopen(t, file)); load.Resumed != 0 || load.Rows != rows+1 {
		t.Errorf("a new memcached: %+v", load)
	}
	reply, err := call(again.door, door.Request{Op: door.OpLoad, Resume: true}, pipeOf(t, []byte("a\t1\n")))
	if err != nil || reply.Error == nil || !strings.Contains(reply.Error.Message, "only a load of a file") {
		t.Errorf("a pipe: %+v, %v", reply, err)
	}
	if status := again.waitDoor(); status.Active != 0 {
		t.Errorf("a load that was refused is still counted: %+v", status)
	}
}

// The hint that an interrupted client gives is right: with it every row is read once.
func TestInterruptedClientResumes(t *testing.T) {
	t.Parallel()
	const rows = 30_000
	s := start(t, stock(t))
	file := written(t, "rows.raw", rowsOf("row", rows))
	cmd := exec.Command(built(t, "client"), "--door", s.door, "--json", "load", "--rate", "5000", file)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	wait(t, "some rows", func() error { _, err := s.cache().Get("row_100"); return err })
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	var first door.Load
	if err := json.Unmarshal(out.Bytes(), &first); err != nil || cmd.ProcessState.ExitCode() != 130 || first.Rows == 0 || first.Rows >= rows ||
		errs.String() != "hint: the same command with --resume continues where this one has ended\n" {
		t.Fatalf("%s, %v, %+v, %q", cmd.ProcessState, err, first, errs.String())
	}
	rest := rows - first.Rows
	if l := s.outcome(nil, account{rest, rest, 0, 0}, "--resume", file); l.Resumed != first.Rows {
		t.Errorf("%+v", l)
	}
	if n := s.stat("", "curr_items"); n != rows {
		t.Errorf("%d items", n)
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
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

// A load that was broken off goes on behind what was stored; all rows are there then, and each was read once.
func TestResume(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const rows = 300_000
		for name, request := range map[string]door.Request{
			"raw": {}, "csv": {From: "csv", Header: true, Key: "k", Value: "v"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				content := rowsOf("row", rows)
				if request.From == "csv" {
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
	breakOff(t, server, door.Request{Rate: 100_000}, file, "row_20000")
	for name, request := range map[string]door.Request{
		"other options": {TTL: 60}, "other format": {From: "tsv"}, "other mode": {Mode: door.ModeSet},
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

	breakOff(t, server, door.Request{Rate: 100_000}, reopen(t, file), "more")
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

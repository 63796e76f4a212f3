package e2e

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// changed writes a changed copy of the stock memcached, under another name.
func changed(t *testing.T, change func(program []byte) []byte) string {
	t.Helper()
	program, err := os.ReadFile(stock(t))
	if err != nil {
		t.Fatal(err)
	}
	with := change(bytes.Clone(program))
	path := filepath.Join(t.TempDir(), "renamed")
	if err := os.WriteFile(path, with, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// replaced returns a program with another text wherever an old one stands.
func replaced(t *testing.T, program []byte, old, new string) []byte {
	t.Helper()
	with := bytes.ReplaceAll(program, []byte(old), []byte(new))
	if bytes.Equal(with, program) || len(with) != len(program) {
		t.Fatalf("the program has no %q that %q fits", old, new)
	}
	return with
}

// withoutSections leaves the section headers away, which a program does not need to run.
func withoutSections(program []byte) []byte {
	var header elf.Header64
	if _, err := binary.Decode(program, binary.LittleEndian, &header); err != nil {
		panic(err)
	}
	header.Shoff, header.Shnum, header.Shstrndx = 0, 0, 0
	if _, err := binary.Encode(program, binary.LittleEndian, header); err != nil {
		panic(err)
	}
	return program
}

// truncated ends with the last byte that is loaded; the section headers point behind it.
func truncated(program []byte) []byte {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		panic(err)
	}
	var end uint64
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			end = max(end, p.Off+p.Filesz)
		}
	}
	return program[:end]
}

// Whatever was done to memcached's program file, the library knows it, takes rows on the way that is safe, and says
// which; memcached serves and ends as it does without us.
func TestChangedPrograms(t *testing.T) {
	t.Parallel()
	text := func(old, new string) func([]byte) []byte {
		return func(program []byte) []byte { return replaced(t, program, old, new) }
	}
	for name, test := range map[string]struct {
		change func([]byte) []byte
		engine door.Engine
		reason string
	}{
		"renamed":            {change: bytes.Clone, engine: door.EngineNative},
		"no section headers": {change: withoutSections, engine: door.EngineNative},
		"truncated":          {change: truncated, engine: door.EngineNative},
		"version 1.7.0":      {text("1.6.18", "1.7.0\x00"), door.EngineProtocol, "memcached 1.7.0 is not supported (need >= 1.4.25 and <= 1.6.45)"},
		"version 1.6.38":     {text("1.6.18", "1.6.38"), door.EngineProtocol, "store_item is not found"},
		"two versions":       {text("VERSION 1.6.18", "VERSION 1.6.17"), door.EngineProtocol, "in doubt"},
		"another anchor":     {text("CLIENT_ERROR bad data chunk", "CLIENT_ERROR bad data piece"), door.EngineProtocol, "CLIENT_ERROR bad data chunk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, changed(t, test.change))
			status := s.waitDoor()
			if status.Engine != test.engine || !strings.Contains(status.Reason, test.reason) || (test.reason == "") != (status.Reason == "") {
				t.Errorf("engine %q, reason %q, want %q, %q", status.Engine, status.Reason, test.engine, test.reason)
			}
			const n = 20_000
			stdout, stderr, exit := s.client(rowsOf("k", n))
			if exit != 0 || !strings.Contains(stdout, ", "+string(test.engine)+")") || !strings.Contains(stdout, status.Reason) {
				t.Fatalf("status %d: %s%s", exit, stdout, stderr)
			}
			readBack(t, s, "k", n, plain)
			if out, want := s.output.String(), s.announcement(); out != want {
				t.Errorf("memcached wrote %q, want %q", out, want)
			}
			if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
				t.Errorf("it ended with %v", status)
			}
		})
	}
}

// A memcached that is too old for either engine says so once, refuses the load, and serves on.
func TestTooOld(t *testing.T) {
	t.Parallel()
	s := start(t, changed(t, func(program []byte) []byte { return replaced(t, program, "1.6.18", "1.4.20") }))
	_, stderr, status := s.client([]byte("k\tv\n"))
	if status != 11 || !strings.Contains(stderr, "memcached 1.4.20 is not supported") || !strings.Contains(stderr, "; nor by protocol: ") {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	want := "memcached-backdoor: no load can be served: " + s.waitDoor().Reason + "\n"
	if out := s.output.String(); out != want {
		t.Errorf("memcached wrote %q, want %q", out, want)
	}
	s.missing("k")
	if status := s.end(syscall.SIGTERM); status.ExitStatus() != 0 {
		t.Errorf("it ended with %v", status)
	}
}

// A program that has memcached's literals and not its code is left alone: its call is refused, and it continues.
func TestLiteralsOnly(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "strings")
	tool(t, "gcc", "-O2", "-o", program, "testdata/strings.c", "-levent")
	s := newServer(t, program)
	s.start()
	var reply door.Reply
	wait(t, "the door", func() (err error) {
		reply, err = call(s.door, door.Request{Op: door.OpLoad}, fileOf(t, []byte("k\tv\n")))
		return err
	})
	if reply.Error == nil || reply.Error.Code != door.CodeHost || !strings.Contains(reply.Error.Message, "pthread_mutex_lock") {
		t.Errorf("reply %+v", reply.Error)
	}
	if status := s.end(syscall.SIGTERM); status.ExitStatus() != 7 {
		t.Errorf("it ended with %v", status)
	}
	if out := s.output.String(); strings.Count(out, "ready\n") != 1 {
		t.Errorf("it wrote %q", out)
	}
}

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// checkFile runs `client check` on a program file and returns what it printed.
func checkFile(t *testing.T, path string) (out, errOut string, status int) {
	t.Helper()
	p := start(t, "", nil, "check", path)
	if err := p.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return p.out.String(), p.errOut.String(), p.ProcessState.ExitCode()
}

// checkDamaged checks a damaged program file: the engine is native with the right addresses, or protocol, or there is a reason.
func checkDamaged(t *testing.T, what string, data []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memcached")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	out, errOut, status := checkFile(t, path)
	engine := map[int]door.Engine{exitDone: door.EngineNative, exitPartly: door.EngineProtocol, exitHost: door.EngineNone}[status]
	if engine == "" || !strings.Contains(out, "  "+string(engine)+"\n") || (engine == door.EngineNone) != strings.HasPrefix(errOut, "error: "+path+": ") {
		t.Errorf("%s: status %d\n%s%s", what, status, out, errOut)
	}
}

func TestCheckTruncated(t *testing.T) {
	stock, err := readHost("stock")
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(stock); n += 1 + n/8 {
		checkDamaged(t, "truncated", stock[:n])
	}
}

// The fields of the ELF header and of the program headers may say anything.
func TestCheckHostileHeaders(t *testing.T) {
	stock, err := readHost("stock")
	if err != nil {
		t.Fatal(err)
	}
	var h elf.Header64
	if err := binary.Read(bytes.NewReader(stock), binary.LittleEndian, &h); err != nil {
		t.Fatal(err)
	}
	for at := elf.EI_NIDENT; at < int(h.Ehsize)+int(h.Phnum)*int(h.Phentsize); at += 24 {
		data := bytes.Clone(stock)
		binary.LittleEndian.PutUint64(data[at:], ^uint64(0)>>1)
		checkDamaged(t, "a header", data)
	}
}

// check notes a file's capabilities.
func TestCheckCapabilities(t *testing.T) {
	stock, err := readHost("stock")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "memcached")
	if err := os.WriteFile(path, stock, 0o755); err != nil {
		t.Fatal(err)
	}
	// linux/capability.h: struct vfs_cap_data, version 2, CAP_NET_BIND_SERVICE permitted and effective
	var data []byte
	for _, word := range []uint32{0x02000001, 1 << unix.CAP_NET_BIND_SERVICE, 0, 0, 0} {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	if err := unix.Setxattr(path, "security.capability", data, 0); err != nil {
		t.Skipf("no capabilities can be set: %v", err)
	}
	out, _, status := checkFile(t, path)
	if status != exitDone || !strings.Contains(out, "the file has capabilities: LD_PRELOAD has no effect") {
		t.Errorf("status %d\n%s", status, out)
	}
}

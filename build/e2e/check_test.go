package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// check prints of a program file what the library in its process reports.
func TestCheck(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		server := start(t, s.program)
		status := server.waitDoor()
		program := s.program
		if s.route == "exported" { // which a wrapper starts
			program = built(t, "hosts/debian/amd64/trixie/usr/bin/memcached")
		}
		out, stderr, exit := server.client(nil, "check", "--json", program)
		var got struct {
			Memcached, Route, Reason string
			Engine, Dumps            door.Engine
			DumpsReason              string `json:"dumps_reason"`
			BuildID                  string `json:"build_id"`
			Functions                map[string]string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || (exit == 0) != s.native() || stderr != "" {
			t.Fatalf("status %d, %v\n%s%s", exit, err, out, stderr)
		}
		if got.Memcached != status.Memcached || got.BuildID != status.BuildID || got.Route != status.Route || got.Engine != status.Engine ||
			got.Reason != status.Reason || got.Dumps != status.Dumps || got.DumpsReason != status.DumpsReason || strings.HasPrefix(got.Functions["store_item"], "0x") != s.native() {
			t.Errorf("check says %+v, the library %+v", got, status)
		}
	})
}

// Of a memcached that is loaded natively and cannot be dumped at all everybody says so: check, status, the refusal, and its log.
func TestNoDumps(t *testing.T) {
	t.Parallel()
	program := filepath.Join(directoryOf(t, "nodumps"), "memcached")
	// What a walk needs is looked for in functions, whose bounds are in these sections; 1.6.9 has no meta commands that we take.
	if out, err := exec.Command("objcopy", "--remove-section", ".eh_frame", "--remove-section", ".eh_frame_hdr", built(t, "hosts/symtab/memcached"), program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := strings.ReplaceAll(read(t, program), "1.6.18", "1.6.9\x00")
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	path := saved(t)
	s := newServer(t, program)
	s.env = []string{"MEMCACHED_BACKDOOR_SAVE=" + path}
	s.start()
	status := s.waitDoor()
	if status.Engine != door.EngineNative || status.Dumps != door.EngineNone || status.DumpsReason == "" {
		t.Fatalf("%+v", status)
	}
	s.load(door.Request{}, rowsOf("k", 10))
	if out, _, exit := s.client(nil, "check", program); exit != 0 || !strings.Contains(out, "\ndumps                none: "+status.DumpsReason+"\n") {
		t.Errorf("check: status %d\n%s", exit, out)
	}
	for _, command := range []string{"dump", "keys", "top"} {
		if _, stderr, exit := s.client(nil, command); exit != 11 || !strings.HasPrefix(stderr, "error: the items cannot be read: "+status.DumpsReason+"\nhint: loads are served; ") {
			t.Errorf("%s: status %d, %s", command, exit, stderr)
		}
	}
	if says := "memcached-backdoor: the cache cannot be saved: " + status.DumpsReason + "\n"; !strings.Contains(s.output.String(), says) {
		t.Errorf("memcached's stderr: %q", s.output.String())
	}
}

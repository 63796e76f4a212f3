package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// What is said of a program file is what the library in its process says.
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

package e2e

import (
	"os"
	"strings"
	"testing"

	"memcached-backdoor/preload/door"
)

// The library that is built with sanitizers is ended by a fault of its C, and says which: what it does not say has not happened.
func TestSanitizer(t *testing.T) {
	if *library != sanitized {
		t.Skip("`make test-sanitize` runs it")
	}
	for fault, want := range map[string]string{
		"address":   "AddressSanitizer: heap-buffer-overflow",
		"undefined": "runtime error: signed integer overflow",
	} {
		t.Run(fault, func(t *testing.T) {
			s := newServer(t, stock(t))
			s.faulty = true
			file := fixture(t, "fault", nil)
			s.env = append(s.env, "MEMCACHED_BACKDOOR_FAULT="+file)
			s.start()
			if status := s.waitDoor(); status.Engine != door.EngineNative {
				t.Fatalf("%+v", status)
			}
			if err := os.WriteFile(file, []byte(fault), 0o600); err != nil {
				t.Fatal(err)
			}
			if reply, err := call(s.door, door.Request{Op: door.OpStatus}); err == nil {
				t.Errorf("%+v", reply)
			}
			if status := s.end(0); status.ExitStatus() == 0 || !strings.Contains(s.output.String(), want) {
				t.Errorf("memcached ended with %v, having written %s", status, s.output.String())
			}
		})
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// The library for arm64, in Debian's memcacheds for it, under an emulator: rows are loaded, and memcached ends as it does
// without us.  The emulator is no processor: what arm64's memory order allows and this machine's does not is not seen here.
func TestARM64(t *testing.T) {
	t.Parallel()
	for suite, route := range map[string]string{"bookworm": "scan", "trixie": "exported"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join("..", "hosts", "debian", "arm64", suite, "memcached")
			if why := absent(program); why != "" {
				t.Skipf("%s is absent: %s", program, why)
			}
			program = built(t, filepath.Join("hosts", "debian", "arm64", suite, "memcached"))
			emulated := func(env ...string) *server {
				s := newServer(t, program, "-m", "256")
				s.preload, s.env = "", env // not for the emulator itself
				s.start()
				return s
			}
			bare := emulated()
			bare.waitServing()
			want := bare.end(syscall.SIGTERM)

			s := emulated("ARM64_PRELOAD=" + built(t, "arm64/backdoor.so"))
			if status := s.waitDoor(); status.Engine != door.EngineNative || status.Route != route {
				t.Errorf("status %+v, want route %s\n%s", status, route, s.output.String())
			}
			const rows, large = 20_000, 97
			if stdout, stderr, status := s.client(rowsOf("k", rows)); status != 0 {
				t.Fatalf("status %d: %s%s", status, stdout, stderr)
			}
			var input bytes.Buffer
			for i := range large {
				fmt.Fprintf(&input, "large_%d\t%s\n", i, largeValue(i)) // up to 960 kB: in chunks
			}
			if l := s.load(door.Request{}, input.Bytes()); l.Stored != large {
				t.Fatalf("%+v", l)
			}
			readBack(t, s, "k", rows, plain)
			for i := range large {
				if s.get(fmt.Sprintf("large_%d", i)) != largeValue(i) {
					t.Errorf("large_%d differs", i)
				}
			}
			dumpedAll(t, s, rows, large, door.EngineNative)
			if got := s.end(syscall.SIGTERM); got != want {
				t.Errorf("it ended with %v, want %v\n%s", got, want, s.output.String())
			}
		})
	}
}

package e2e

import (
	crypto "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writers write a row of each format, whose key and value need no escapes.
var writers = map[string]func(key, value string) string{
	"raw":     func(key, value string) string { return key + "\t" + value + "\n" },
	"mysql":   func(key, value string) string { return key + "\t" + value + "\n" },
	"psql":    func(key, value string) string { return key + "\t" + value + "\n" },
	"csv":     func(key, value string) string { return key + `,"` + value + "\"\r\n" },
	"tsv":     func(key, value string) string { return key + "\t" + value + "\n" },
	"outfile": func(key, value string) string { return `"` + key + `","` + value + "\"\n" },
	"jsonl":   func(key, value string) string { return `{"key":"` + key + `","value":"` + value + "\"}\n" },
	"memcached": func(key, value string) string {
		return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
	},
}

// as are the options for a format, with which nothing is guessed.
func as(format string) []string {
	args := []string{"--from", format}
	switch format {
	case "csv":
		args = append(args, "--delimiter", ",", "--escape", "none")
	case "outfile":
		args = append(args, "--delimiter", ",", "--quote", `"`)
	}
	return args
}

// Whatever stands in the input, memcached lives, every row is accounted for, the same by file and by pipe, and those
// that were rejected are rejected again.
func TestNoiseIsRejected(t *testing.T) {
	t.Parallel()
	for format, write := range writers {
		// Any bytes, and those that mean something in the format.
		for name, alphabet := range map[string]string{"bytes": "", "marks": write("k", "v") + "\n\n\t,\"\\0NULL{} "} {
			t.Run(format+" "+name, func(t *testing.T) {
				t.Parallel()
				loadNoise(t, format, write, alphabet)
			})
		}
	}
}

func loadNoise(t *testing.T, format string, write func(key, value string) string, alphabet string) {
	var seed [32]byte
	crypto.Read(seed[:])
	t.Logf("seed %x", seed)
	noise := make([]byte, 1<<20)
	rand.NewChaCha8(seed).Read(noise)
	if alphabet != "" {
		for i, b := range noise {
			noise[i] = alphabet[int(b)%len(alphabet)]
		}
	}
	// A foreign file would be refused at its first line (zoo_test.go).
	row := write("first", "row")
	noise = append([]byte(row), noise...)
	s := start(t, stock(t))
	var counts []account
	for _, from := range []func(testing.TB, []byte) *os.File{fileOf, pipeOf} {
		rejects := filepath.Join(t.TempDir(), "rejects")
		l := s.accounted(from(t, noise), append(as(format), "--mode", "set", "--rejects", rejects)...)
		counts = append(counts, account{l.Rows, l.Stored, l.Rejected, l.Skipped})
		if l.Rows == 0 || l.Bytes != uint64(len(noise)) {
			t.Errorf("%d rows and %d bytes are read", l.Rows, l.Bytes)
		}
		if n := strings.Count(read(t, rejects+".log"), "\n"); uint64(n) != l.Rejected {
			t.Errorf("%d reasons for %d rejected rows", n, l.Rejected)
		}
		s.outcome(strings.NewReader(row+read(t, rejects)), account{rows: l.Rejected + 1, stored: 1, rejected: l.Rejected}, as(format)...)
	}
	if counts[0] != counts[1] {
		t.Errorf("by file %+v, by pipe %+v", counts[0], counts[1])
	}
	s.lives()
}

// A value that is too large, also for the loader to take in whole, takes no other row with it, whatever the format: it
// is rejected, and its key's old value is gone.
func TestTooLargeValues(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		for format, write := range writers {
			for _, size := range []int{1 << 20, 8 << 20} {
				for from, input := range map[string]func(testing.TB, []byte) *os.File{"file": fileOf, "pipe": pipeOf} {
					const n = 1000
					var rows strings.Builder
					want := map[string]string{}
					for i := range n {
						if i == n/2 {
							rows.WriteString(write("large", strings.Repeat("value and so on ", size/16)))
							continue
						}
						key := fmt.Sprint("key_", i)
						want[key] = fmt.Sprintf("%s of %d by %s, %d", format, size, from, i)
						rows.WriteString(write(key, want[key]))
					}
					s.outcome(strings.NewReader(write("large", "old")), account{rows: 1, stored: 1}, as(format)...)
					if got := s.get("large"); got != "old" {
						t.Fatalf("large is %q", got)
					}
					l := s.outcome(input(t, []byte(rows.String())), account{rows: n, stored: n - 1, rejected: 1}, as(format)...)
					if l.Rejects[0].Key != `"large"` {
						t.Errorf("%s: rejected %+v", format, l.Rejects)
					}
					s.missing("large")
					s.holds(want)
				}
			}
		}
		s.lives()
	})
}

package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// xzOf compresses with the tool that distributions use.
func xzOf(t testing.TB, data []byte, options ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append(options, "--stdout")...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// noise does not compress: xz stores it.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

func TestUnxz(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]byte{
		"a byte":          {1},
		"zeros":           make([]byte, maxUnpacked),
		"noise":           noise(200_000),
		"noise and zeros": append(noise(200_000), make([]byte, 5<<20)...),
		"text":            bytes.Repeat([]byte("store_item\x00item_remove\x00"), 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, options := range [][]string{{"-0"}, {"-6"}, {"-T2"}, {"--check=none"}, {"--lzma2=lc=0,lp=2,pb=0,dict=4KiB"}} {
				got, err := unxz(xzOf(t, want, options...))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes, %v", options, len(got), err)
				}
			}
		})
	}
}

// withDictionary returns an xz stream whose block asks for a dictionary by another code; 40 is 4 GiB.
func withDictionary(stream []byte, code byte) []byte {
	n := 12 + 4*(int(stream[12])+1)
	at := bytes.Index(stream[12:n], []byte{0x21, 1}) + 12 + 2
	stream = patched(stream, at, code)
	return patched(stream, n-4, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(stream[12:n-4]))...)
}

func TestUnxzRefusals(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("store_item\x00item_remove\x00"), 1000)
	good := xzOf(t, text)
	stored := xzOf(t, noise(1000))
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "not an xz stream"},
		{"an ELF file", []byte(elf.ELFMAG + "0123456789"), "not an xz stream"},
		{"lzma", xzOf(t, text, "--format=lzma"), "not an xz stream"},
		{"no block", xzOf(t, nil), "has no block"},
		{"two blocks", xzOf(t, text, "--block-size=8192"), "more than one block"},
		{"another filter", xzOf(t, text, "--x86", "--lzma2"), "filter other than LZMA2"},
		{"a header that is not checked", patched(good, 14, 99), "block header is broken"},
		{"SHA-256", xzOf(t, text, "--check=sha256"), "checksum of the kind 10"},
		{"flags that are not checked", patched(good, 7, 1), "not an xz stream"},
		{"another text", patched(stored, 600, stored[600]+1), "checksum is wrong"},
		{"too much", xzOf(t, make([]byte, maxUnpacked+1)), "more than 8 MiB"},
		{"a bad property", patched(good, 12+12+5, 8+9*4), "bad properties"},
		{"a bad chunk", patched(good, 12+12, 3), "bad header"},
		{"chunks without end", append(good[:24:24], bytes.Repeat([]byte{1, 0, 0, 'x'}, 100_000)...), "1024 chunks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := unxz(tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	for n := range stored[:len(stored)-30] { // the index and the footer say nothing new
		if _, err := unxz(stored[:n]); err == nil {
			t.Errorf("%d of %d bytes are enough", n, len(stored))
		}
	}
}

// However much is asked for, no more is allocated than what may come out.  The test is not parallel: it measures.
func TestUnxzMemory(t *testing.T) {
	text := bytes.Repeat([]byte("store_item\x00item_remove\x00"), 1000)
	huge := withDictionary(xzOf(t, text), 40)
	if header := string(run(t, "xz", "-lvv", "--robot", write(t, t.TempDir()+"/huge.xz", huge))); !strings.Contains(header, "dict=4294967295") {
		t.Fatalf("xz sees another dictionary:\n%s", header)
	}
	zeros := xzOf(t, make([]byte, 256<<20), "-0")
	if len(zeros) > maxDebugData {
		t.Fatalf("the bomb has %d bytes", len(zeros))
	}
	for name, tt := range map[string]struct {
		data []byte
		most uint64
	}{
		"a dictionary of 4 GiB": {huge, 1 << 20},
		"256 MiB of zeros":      {zeros, 1 << 20},
		"8 MiB of zeros":        {xzOf(t, make([]byte, maxUnpacked)), 3 * maxUnpacked},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unxz(tt.data)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > tt.most {
			t.Errorf("%s: %d bytes were allocated, %v", name, n, err)
		}
	}
	if got, err := unxz(huge); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Whatever stands in .gnu_debugdata or in a debug file, it takes bounded work and leads to nothing but this program's code.
func FuzzDebug(f *testing.F) {
	f.Add(debugFileOf(f))
	f.Add(miniDebug(f))
	f.Add(xzOf(f, debugFileOf(f), "--check=none"))
	f.Add(compressed(f, debugFileOf(f), 0))
	f.Add(withDictionary(miniDebug(f), 40))
	program, v := opened(f, readHost(f, stockHost))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		for _, read := range []func() ([]symbol, error){
			func() ([]symbol, error) {
				name := []byte(debugDataName + "\x00")
				return program.debugData(&sections{
					file: bytes.NewReader(data), headers: []elf.Section64{{Size: uint64(len(data))}}, names: name,
				})
			},
			func() ([]symbol, error) {
				s, _, err := program.counterpart(bytes.NewReader(data))
				if err != nil {
					return nil, err
				}
				return s.symtab()
			},
		} {
			list, err := read()
			if err != nil {
				continue
			}
			found, err := program.named(list, v)
			if err != nil {
				continue
			}
			for _, w := range found.wanted(v.ABI()) {
				if !program.executable(*w.into, 1) {
					t.Errorf("%s at %#x", w.name, *w.into)
				}
			}
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%d bytes took %v", len(data), d)
		}
	})
}

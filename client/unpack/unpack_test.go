package unpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"
)

// rows are plain bytes: one of its lines is longer than what is copied at once.
var rows = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3_000 {
		fmt.Fprintf(&b, "key_%d\tGrüße, %x\n", i, random.Uint64())
	}
	fmt.Fprintf(&b, "long\t%s\nlast\tline", strings.Repeat("x", 2*copyBytes))
	return b.Bytes()
})

// pack packs bytes.
func pack(t testing.TB, kind Kind, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case Gzip:
		w = gzip.NewWriter(&b)
	case Zstd:
		w, err = zstd.NewWriter(&b)
	case XZ:
		w, err = xz.NewWriter(&b)
	case UTF16:
		b.WriteString("\xff\xfe")
		for _, r := range string(plain) { // of the basic plane
			b.Write([]byte{byte(r), byte(r >> 8)})
		}
		return b.Bytes()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bzipped is "k\tv\n", packed by bzip2.
const bzipped = "BZh91AY&SY\x2e\x69\xbe\xf2\x00\x00\x01\x41\x80\x00\x30\x00\x08\x01\x00\x20\x00\x21\x9a\x68\x33\x4d\x32\xbc\x5d\xc9\x14\xe1\x42\x40\xb9\xa6\xfb\xc8"

var kinds = []Kind{Gzip, Zstd, XZ, UTF16}

// unpacked copies what packed bytes are.
func unpacked(kind Kind, packed io.Reader) (plain []byte, err error) {
	var b bytes.Buffer
	r, err := NewReader(kind, packed)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = CopyLines(&b, r)
	return b.Bytes(), err
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		packed := pack(t, kind, rows())
		if got, known := kindOf(packed[:min(len(packed), headMax)], false); got != kind || !known {
			t.Errorf("%s: is %q, known %t", kind, got, known)
		}
		for name, r := range map[string]io.Reader{"at once": bytes.NewReader(packed), "in halves": iotest.HalfReader(bytes.NewReader(packed)), "with the end": iotest.DataErrReader(bytes.NewReader(packed))} {
			if plain, err := unpacked(kind, r); err != nil || !bytes.Equal(plain, rows()) {
				t.Errorf("%s %s: %d bytes of %d, %v", kind, name, len(plain), len(rows()), err)
			}
		}
		if kind == UTF16 {
			continue
		}
		twice := append(bytes.Clone(packed), packed...)
		if plain, err := unpacked(kind, bytes.NewReader(twice)); err != nil || len(plain) != 2*len(rows()) {
			t.Errorf("%s twice: %d bytes, %v", kind, len(plain), err)
		}
	}
}

// TestBroken: the error says what is wrong, and no part of a line is written.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		packed := pack(t, kind, rows())
		damaged := bytes.Clone(packed)
		damaged[len(packed)/2] ^= 0x55
		if kind == UTF16 {
			damaged[len(packed)/2|1] = 0xdc // half a pair
		}
		for _, test := range []struct {
			name, what string
			packed     []byte
		}{
			{"cut", "truncated", packed[:len(packed)/2]},
			{"cut at its end", "truncated", packed[:len(packed)-1]},
			{"damaged", "damaged", damaged},
			{"garbage behind it", "something else", append(bytes.Clone(packed), "some bytes that are nothing"...)},
		} {
			if kind == UTF16 && test.name != "damaged" {
				if test.what, test.packed = "damaged", packed[:len(packed)-1]; test.name != "cut" {
					continue
				}
			}
			plain, err := unpacked(kind, bytes.NewReader(test.packed))
			if err == nil || !strings.Contains(err.Error(), test.what) || !strings.Contains(err.Error(), string(kind)) {
				t.Errorf("%s, %s: %v", kind, test.name, err)
			}
			if !bytes.HasPrefix(append(bytes.Clone(rows()), rows()...), plain) && test.name != "damaged" {
				t.Errorf("%s, %s: other bytes", kind, test.name)
			}
			if test.what != "something else" && len(plain) > 0 && plain[len(plain)-1] != '\n' {
				t.Errorf("%s, %s: ends in %.20q", kind, test.name, plain[max(len(plain)-20, 0):])
			}
		}
	}
}

// TestDamagedHeader: nothing came before a header that is damaged.
func TestDamagedHeader(t *testing.T) {
	t.Parallel()
	packed := pack(t, Gzip, rows())
	for _, head := range []string{
		"\x1f\x8b\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", // its checksum is another one
		"\x1f\x8b\x08\x08\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 1000),
		"\x1f\x8b\x08\x00\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		plain, err := unpacked(Gzip, strings.NewReader(head+string(packed)))
		if len(plain) > 0 || err == nil || !strings.HasPrefix(err.Error(), "the gzip data is damaged: ") {
			t.Errorf("%.12q: %d bytes, %v", head, len(plain), err)
		}
	}
}

func TestBzip2(t *testing.T) {
	t.Parallel()
	if kind, known := kindOf([]byte(bzipped), false); kind != Bzip2 || !known {
		t.Errorf("%q, known %t", kind, known)
	}
	if plain, err := unpacked(Bzip2, strings.NewReader(bzipped+bzipped)); err != nil || string(plain) != "k\tv\nk\tv\n" {
		t.Errorf("%q, %v", plain, err)
	}
	for packed, want := range map[string]string{bzipped[:30]: "truncated", bzipped + "garbage": "something else", bzipped[:20] + "\xff" + bzipped[21:]: "damaged"} {
		if _, err := unpacked(Bzip2, strings.NewReader(packed)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", packed, err, want)
		}
	}
}

// TestUTF16: U+FFFD itself, pairs of surrogates and both orders; what is none is not made U+FFFD.
func TestUTF16(t *testing.T) {
	t.Parallel()
	const text = "k\t\uFFFD\U0001F600\uFEFF\n"
	little := "\xff\xfek\x00\t\x00\xfd\xff\x3d\xd8\x00\xde\xff\xfe\n\x00"
	var big strings.Builder
	for i := 0; i < len(little); i += 2 {
		big.Write([]byte{little[i+1], little[i]})
	}
	for _, packed := range []string{little, big.String()} {
		for _, r := range []io.Reader{strings.NewReader(packed), iotest.OneByteReader(strings.NewReader(packed))} {
			if plain, err := unpacked(UTF16, r); err != nil || string(plain) != text {
				t.Errorf("%q is %q, %v", packed, plain, err)
			}
		}
	}
	for _, packed := range []string{"\xff\xfea\x00\n\x00\x00\xdea\x00\n\x00", "\xff\xfea\x00\n\x00\x3d\xd8a\x00\n\x00", "\xff\xfea\x00\n\x00b", "\xff\xfea\x00\n\x00\x3d\xd8"} {
		if plain, err := unpacked(UTF16, strings.NewReader(packed)); err == nil || !strings.Contains(err.Error(), "UTF-16") || !strings.HasPrefix("a\n", string(plain)) {
			t.Errorf("%q is %q, %v", packed, plain, err)
		}
	}
}

// TestReadError: an error of reading is not one of the data.
func TestReadError(t *testing.T) {
	t.Parallel()
	failure := errors.New("out of luck")
	for _, kind := range kinds {
		packed := pack(t, kind, rows())
		r := io.MultiReader(bytes.NewReader(packed[:len(packed)/2]), iotest.ErrReader(failure))
		if _, err := unpacked(kind, r); !errors.Is(err, failure) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestMemory: data that refers to more of what came before than is kept is refused, with the way out.
func TestMemory(t *testing.T) {
	t.Parallel()
	for kind, packed := range map[Kind]string{
		Zstd: "\x28\xb5\x2f\xfd\x04\xa8\x21\x00\x00\x6b\x09\x76\x0a\xf7\xe1\x2a\x85", // zstd --long=31
		XZ: "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x24\x00\x00\x00\x5e\x1f\xc7\xf9\x01\x00\x03\x6b\x09\x76\x0a\x00" + // xz --lzma2=dict=1GiB
			"\x3e\xf8\xc8\xa0\x81\xf7\x41\xd8\x00\x01\x1c\x04\x6f\x2c\x9c\xc1\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04YZ",
	} {
		_, err := unpacked(kind, strings.NewReader(packed))
		if known, ok := errors.AsType[*Error](err); !ok || !strings.Contains(known.Hint, string(kind)+" -dc") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		head  string
		end   bool
		kind  Kind
		known bool
	}{
		{"", false, None, false},
		{"", true, None, true},
		{"k", false, None, true},
		{"B", false, None, false},
		{"BM", false, None, true},
		{"BZh9\t", false, None, true},
		{"BZh91AY&S", false, None, false},
		{"BZh91AY&S", true, None, true},
		{"\x1f\x8b", false, None, false},
		{"\x1f\x8b\x08", false, Gzip, true},
		{"\xff", false, None, false},
		{"\xff\xfe", false, None, false},
		{"\xff\xfek\x00", false, UTF16, true},
		{"\xfe\xff\x00k", false, UTF16, true},
		{"\xff\xfe\x00\x00", false, None, true}, // UTF-32
		{"\xff\xfekey", false, None, false},
		{"\xff\xfekey\tv\n", false, None, true},
		{"\xff\xfekey\tv\nl\t\x00\n", false, None, true},
		{"\xff\xfe\x2d\x4e\x09\x00", false, UTF16, true},
		{"\xff\xfe\x0a\x4e\x09\x00v\x00\n\x00", false, UTF16, true}, // U+4E0A
		{"\xfe\xff\x4e\x0a\x00\x09\x00v\x00\n", false, UTF16, true},
		{"\xfe\xff\x0a\x95\x00\x09\x00v\x00\n", false, UTF16, true}, // U+0A95
	} {
		if kind, known := kindOf([]byte(test.head), test.end); kind != test.kind || known != test.known {
			t.Errorf("%q, end %t: %q, known %t", test.head, test.end, kind, known)
		}
	}
}

// TestLook: a look takes nothing, waits for the first bytes, and takes the end as one.
func TestLook(t *testing.T) {
	t.Parallel()
	packed := pack(t, Gzip, []byte("k\tv\n"))
	ends := map[string]func(t *testing.T) (r, w *os.File){
		"pipe": func(t *testing.T) (r, w *os.File) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return r, w
		},
		"socket": func(t *testing.T) (r, w *os.File) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
		},
	}
	for name, open := range ends {
		for _, test := range []struct {
			content string
			want    Kind
		}{{string(packed), Gzip}, {"k\tv\n", None}, {"", None}, {"\x1f", None}, {"BZh", None}} {
			r, w := open(t)
			defer r.Close()
			looked := make(chan Kind, 1)
			go func() {
				kind, err := Look(r)
				if err != nil {
					t.Error(err)
				}
				looked <- kind
			}()
			for i := range len(test.content) { // byte by byte
				if _, err := w.WriteString(test.content[i : i+1]); err != nil {
					t.Fatal(err)
				}
			}
			w.Close()
			select {
			case kind := <-looked:
				if kind != test.want {
					t.Errorf("%s of %q: %q", name, test.content, kind)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s of %q: no answer", name, test.content)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != test.content {
				t.Errorf("%s: %q is left of %q, %v", name, rest, test.content, err)
			}
		}
	}
}

// TestLookAtFile: the bytes at the offset count, and the offset stays.
func TestLookAtFile(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(append([]byte("head"), pack(t, Zstd, rows())...))
	for _, test := range []struct {
		at   int64
		want Kind
	}{{0, None}, {4, Zstd}, {1 << 30, None}} {
		f.Seek(test.at, io.SeekStart)
		kind, err := Look(f)
		if at, _ := f.Seek(0, io.SeekCurrent); kind != test.want || err != nil || at != test.at {
			t.Errorf("at %d: %q, %v, then at %d", test.at, kind, err, at)
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if kind, err := Look(null); kind != None || err != nil {
		t.Errorf("%q, %v", kind, err)
	}
}

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// An entry is an item as memcached serves it, or as a dump has it.
type entry struct {
	value string
	flags uint64
	date  int64 // at which it expires, in seconds since 1970; 0: never
}

// in is the date in that many seconds.
func in(seconds int64) int64 { return time.Now().Unix() + seconds }

// dump has the client dump into a new file, and holds it to its account.
func (s *server) dump(args ...string) (path string, d *door.Dump) {
	s.t.Helper()
	path = filepath.Join(s.t.TempDir(), "dump")
	done := s.observe()
	stdout, stderr, status := s.client(nil, append([]string{"--json", "dump", path}, args...)...)
	done()
	d = &door.Dump{}
	if err := json.Unmarshal([]byte(stdout), d); err != nil || status != 0 || stderr != "" {
		s.t.Fatalf("dump %q: status %d, %v: %s%s", args, status, err, stdout, stderr)
	}
	if err := d.Check(); err != nil {
		s.t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(d.Bytes) || d.Part != 1 || d.Canceled {
		s.t.Fatalf("%v, %v, %+v", info, err, d)
	}
	return path, d
}

// eachDumped calls each for every item of a dump, and says whether the dump has its end. A date of 0 is for ever.
func eachDumped(t testing.TB, r io.Reader, each func(key, value []byte, flags uint64, date int64)) (complete bool) {
	t.Helper()
	in := bufio.NewReaderSize(r, 2<<20)
	var data []byte
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return complete
		}
		if err != nil || complete {
			t.Fatalf("%.100q in a dump: %v", line, err)
		}
		if string(line) == "mn\r\n" {
			complete = true
			continue
		}
		head, tail, ok := bytes.Cut(line, []byte(" O"))
		words := bytes.Fields(head)
		if !ok || len(tail) != len("01234567 q\r\n") || len(words) < 3 || string(words[0]) != "ms" {
			t.Fatalf("%.100q in a dump", line)
		}
		size, wrong := strconv.Atoi(string(words[2]))
		var flags uint64
		var date int64
		for _, word := range words[3:] {
			switch n, err := strconv.ParseInt(string(word[1:]), 10, 64); word[0] {
			case 'F':
				flags, wrong = uint64(n), err
			case 'T':
				date, wrong = n, err
			}
		}
		sum, bad := strconv.ParseUint(string(tail[:8]), 16, 32)
		if wrong != nil || bad != nil {
			t.Fatalf("%.100q in a dump", line)
		}
		// The line is gone with the next read.
		data = append(append(data[:0], head...), make([]byte, size+2)...)
		key := data[len("ms "):][:len(words[1])]
		value := data[len(head):][:size]
		if _, err := io.ReadFull(in, data[len(head):]); err != nil || !bytes.HasSuffix(data, []byte("\r\n")) {
			t.Fatalf("the data of %s: %v", key, err)
		}
		if crc32.Checksum(data[:len(data)-2], crc32.MakeTable(crc32.Castagnoli)) != uint32(sum) {
			t.Fatalf("the checksum of %s", key)
		}
		each(key, value, flags, date)
	}
}

// dumped are the items of a complete dump, of which each is there once.
func dumped(t testing.TB, path string) map[string]entry {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]entry{}
	complete := eachDumped(t, f, func(key, value []byte, flags uint64, date int64) {
		if _, twice := all[string(key)]; twice {
			t.Errorf("%s is there twice", key)
		}
		all[string(key)] = entry{string(value), flags, date}
	})
	if !complete {
		t.Errorf("%s has no end", path)
	}
	return all
}

// serves are the items that memcached has of some keys, by its own account.
func (s *server) serves(keys map[string]entry) (all map[string]entry) {
	s.t.Helper()
	now := s.inOneSecond(func() { all = s.served(keys) })
	for key, e := range all {
		if e.date != 0 {
			e.date += now
			all[key] = e
		}
	}
	return all
}

// served is serves with the seconds that are left for dates.
func (s *server) served(keys map[string]entry) map[string]entry {
	s.t.Helper()
	conn := dial(s)
	defer conn.Close()
	go func() {
		out := bufio.NewWriter(conn)
		for key := range keys {
			fmt.Fprintf(out, "mg %s k v f t\r\n", key)
		}
		fmt.Fprint(out, "mn\r\n")
		out.Flush() // an error is the reader's, too
	}()
	all, answers := map[string]entry{}, bufio.NewReader(conn)
	for {
		line, err := answers.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.HasPrefix(line, "EN") {
			continue
		}
		if line == "MN\r\n" {
			return all
		}
		var size int
		var key string
		var e entry
		var ttl int64
		if _, err := fmt.Sscanf(line, "VA %d k%s f%d t%d\r\n", &size, &key, &e.flags, &ttl); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		if ttl >= 0 {
			e.date = ttl
		}
		data := make([]byte, size+2)
		if _, err := io.ReadFull(answers, data); err != nil {
			s.t.Fatal(err)
		}
		e.value = string(data[:size])
		all[key] = e
	}
}

// variety are items of all sizes that there can be, of bytes of all kinds.
func variety(n int) map[string]entry {
	random := rand.New(rand.NewPCG(4, uint64(n)))
	pieces := []string{"\r\n", "\x00", "mn\r\n", "ms key 1 q\r\nv\r\n", "END\r\n", "\xff\xfe", "ключ", `","\`, "\n\n\r"}
	sizes := []int{0, 1, 2, 7, 8, 100, 1000, 4095, 16_384, 70_000, 262_144, 524_000, 524_288, 600_000, 1_000_000, 1<<20 - 300}
	all := map[string]entry{}
	for i := range n {
		size := random.IntN(300)
		if i < 2*len(sizes) {
			size = sizes[i/2]
		}
		var value []byte
		for len(value) < size {
			value = append(value, pieces[random.IntN(len(pieces))]...)
			value = binaryAppend(value, random.Uint64())
		}
		e := entry{value: string(value[:size])}
		if i%3 == 1 {
			e.flags = []uint64{1, 7, 65_536, 1<<32 - 1}[random.IntN(4)]
		}
		if i%4 == 1 {
			e.date = in([]int64{60, 3600, 29 * 86400, 2000 * 86400}[random.IntN(4)])
		}
		key := fmt.Sprintf("%d:%s", i, strings.Repeat("k", random.IntN(20)))
		if i%100 == 99 {
			key += strings.Repeat("x", 250-len(key))
		}
		all[key] = e
	}
	return all
}

func binaryAppend(dst []byte, n uint64) []byte {
	for ; n > 0; n >>= 8 {
		dst = append(dst, byte(n))
	}
	return dst
}

// store stores items: half of them by memcached's socket, half by the door.
func (s *server) store(items map[string]entry) {
	s.t.Helper()
	var text [2]bytes.Buffer
	n := 0
	for key, e := range items {
		n++
		to := &text[n%2]
		fmt.Fprintf(to, "ms %s %d F%d", key, len(e.value), e.flags)
		if e.date != 0 {
			fmt.Fprintf(to, " T%d", e.date)
		}
		fmt.Fprintf(to, " q\r\n%s\r\n", e.value)
	}
	s.sends(written(s.t, "commands", append(text[0].Bytes(), "mn\r\n"...)))
	defer s.observe()()
	if l := s.load(door.Request{Rows: door.Rows{Format: "memcached"}}, text[1].Bytes()); l.Stored != uint64(n/2+n%2) {
		s.t.Fatalf("%+v", l)
	}
}

// sends sends a file with commands to memcached itself, of which only the last, mn, has an answer.
func (s *server) sends(path string) {
	s.t.Helper()
	out, err := exec.Command("sh", "-c", `exec timeout 30 nc -N -U "$0" <"$1"`, s.socket, path).CombinedOutput()
	if string(out) != "MN\r\n" {
		s.t.Fatalf("memcached answered %.300q, %v", out, err)
	}
}

// other is a memcached of another version than a shape's, by the program that another shape has.
func (s shape) other(t testing.TB) string {
	if s.route == "exported" {
		return stock(t)
	}
	return built(t, "hosts/debian/amd64/trixie/memcached")
}

// A dump is what memcached serves, byte for byte, and so is what is restored from it, by the door of a memcached of another
// version or by its socket alone; a dump of that is the same again.
func TestDumpAndRestore(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program, "-m", "256")
		want := variety(3000)
		s.store(want)
		same(t, "memcached", s.serves(want), want, s)
		path, d := s.dump()
		if d.Items != uint64(len(want)) || d.Written != d.Items {
			t.Errorf("%+v", d)
		}
		if (d.Engine == door.EngineNative) != h.native() {
			t.Errorf("engine %s: %s", d.Engine, d.EngineReason)
		}
		same(t, "the dump", dumped(t, path), want, s, s)

		for how, program := range map[string]string{"restore": h.other(t), "nc": h.other(t), "restore, the same version": h.program} {
			to := start(t, program, "-m", "256")
			done := to.observe()
			if how == "nc" {
				to.sends(path)
			} else if stdout, stderr, status := to.client(nil, "restore", path); status != 0 || stderr != "" ||
				!strings.HasPrefix(stdout, "3000 items read: 3000 stored, 0 rejected, 0 skipped") {
				t.Fatalf("%s: status %d, %s%s", how, status, stdout, stderr)
			}
			done()
			same(t, how, to.serves(want), want, s, s, to)
			again, _ := to.dump()
			same(t, "a dump after "+how, dumped(t, again), want, s, s, to, to)
		}
		s.lives()
	})
}

// An empty cache has an empty dump, which is one.
func TestDumpOfNothing(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		path, d := s.dump()
		if got := read(t, path); got != "mn\r\n" || d.Items != 0 {
			t.Errorf("%q, %+v", got, d)
		}
		if stdout, stderr, status := s.client(nil, "restore", path); status != 0 || stderr != "" || !strings.HasPrefix(stdout, "0 items read") {
			t.Errorf("status %d, %s%s", status, stdout, stderr)
		}
	})
}

package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

var (
	allHosts   = flag.Bool("hosts", false, "TestHosts: run on all memcacheds that `make more-hosts` prepares")
	writeTable = flag.Bool("readme", false, "TestHosts: write the table in "+hostsDocument+" instead of comparing it")
)

// hostsDocument has the table of the memcacheds that were tried.
const hostsDocument = "preload/host/README.md"

// A kind is a way in which memcached is built, with what is expected of it.
type kind struct {
	name   string // of its directory
	title  string // in the document's table
	engine door.Engine
	args   []string // that it is started with
}

const debianKind = "debian"

var kinds = []kind{
	{debianKind, "Debian's own binary", door.EngineNative, nil},
	{"plain", "Debian's source, stripped", door.EngineNative, nil},
	{"O3", "`-O3`", door.EngineNative, nil},
	{"lto", "`-flto`", door.EngineNative, nil},
	{"O3-lto", "`-O3 -flto`", door.EngineProtocol, nil},
	{"clang", "clang", door.EngineNative, nil},
	{"cet", "`-fcf-protection -fno-omit-frame-pointer`", door.EngineNative, nil},
	{"no-pie", "`-no-pie`", door.EngineNative, nil},
	{"mold", "linked by mold", door.EngineNative, nil},
	{"rdynamic", "`-rdynamic`", door.EngineNative, nil},
	{"static-libevent", "libevent linked statically", door.EngineProtocol, nil},
	{"tls-sasl", "`--enable-tls --enable-sasl`", door.EngineNative, nil},
	{"proxy", "`--enable-proxy`", door.EngineNative, nil},
	{"seccomp", "`--enable-seccomp`", door.EngineNative, nil},
	{"seccomp", "`--enable-seccomp`, `-o drop_privileges`", door.EngineProtocol, []string{"-o", "drop_privileges"}},
}

// A column of the table: a memcached version, in Debian's suites.
type column struct {
	version string
	suites  []string
}

var columns = []column{
	{"1.6.9", []string{"bullseye"}},
	{"1.6.18", []string{"bookworm"}},
	{"1.6.38", []string{"trixie"}},
	{"1.6.45", []string{"forky", "sid"}},
}

// of is the engine of a version: the older ones lack the meta commands.
func (k *kind) of(c column) door.Engine {
	if k.engine == door.EngineProtocol && c.version == "1.6.9" {
		return door.EngineNone
	}
	return k.engine
}

// dumps is the engine of its dumps: where link-time optimisation has inlined what makes the hash table grow, nobody can
// tell whether it does.
func (k *kind) dumps(c column) door.Engine {
	if k.name == "lto" {
		return door.EngineProtocol
	}
	return k.of(c)
}

// programs lists what of a kind there is of a version.
func (k *kind) programs(c column) []string {
	if k.name != debianKind {
		return []string{filepath.Join("..", "hosts", "source", c.version, k.name, "memcached")}
	}
	var list []string
	for _, suite := range c.suites {
		dir := filepath.Join("..", "hosts", "debian", "amd64", suite)
		program := filepath.Join(dir, "memcached")
		if suite == "bullseye" {
			// With the loader and the libraries of its own it cannot have the library: TestOldLibc.
			program = filepath.Join(dir, "usr/bin/memcached")
		}
		list = append(list, program)
	}
	return list
}

// On every memcached that can be had, built in every way, 200 000 rows, large ones among them, are read back as they were
// loaded.  What has been tried is the table in hostsDocument.
func TestHosts(t *testing.T) {
	if !*allHosts {
		t.Skip("`make test-hosts` runs it: the memcacheds are not prepared for every test")
	}
	cells := newTable()
	t.Run("all", func(t *testing.T) {
		for row := range kinds {
			for col := range columns {
				k, c := &kinds[row], columns[col]
				for _, p := range k.programs(c) {
					t.Run(fmt.Sprintf("%s/%s", c.version, strings.Trim(k.title, "`")), func(t *testing.T) {
						t.Parallel()
						if why := absent(p); why != "" {
							t.Skipf("%s is absent: %s", p, why)
						}
						cells.set(row, col, tryHost(t, k, c, p))
					})
				}
			}
		}
	})
	if !t.Failed() {
		cells.compare(t)
	}
}

// absent says why a program is not there, "" if it is.
func absent(program string) string {
	_, err := os.Stat(program)
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	for dir := filepath.Dir(program); filepath.Base(dir) != "hosts"; dir = filepath.Dir(dir) {
		if why, err := os.ReadFile(dir + ".absent"); err == nil {
			return strings.TrimSpace(string(why))
		}
	}
	return "`make more-hosts` has not made it"
}

// tryHost returns the cell of a host: how its functions were found, or that its protocol is spoken.
func tryHost(t *testing.T, k *kind, c column, p string) string {
	program, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, program, append([]string{"-m", "1024"}, k.args...)...)
	status := s.waitDoor()
	if want := k.of(c); status.Engine != want || status.Memcached != c.version {
		t.Fatalf("status %+v, want version %s, engine %s", status, c.version, want)
	}
	if status.Engine != door.EngineNone {
		loadAndReadBack(t, s, k.dumps(c))
	}
	if got := s.end(syscall.SIGTERM); got.ExitStatus() != 0 {
		t.Errorf("it ended with %v\n%s", got, s.output.String())
	}
	if got := strings.Replace(s.output.String(), "Signal handled: Terminated.\n", "", 1); status.Engine == door.EngineNative && got != "" {
		t.Errorf("it wrote %q", got)
	}
	if status.Engine == door.EngineNative {
		return status.Route
	}
	return string(status.Engine)
}

func loadAndReadBack(t *testing.T, s *server, dumps door.Engine) {
	const rows, large = 200_000, 100
	if l := s.load(door.Request{}, rowsOf("k", rows)); l.Stored != rows {
		t.Fatalf("%+v\n%s", l, s.output.String())
	}
	var input bytes.Buffer
	for i := range large {
		fmt.Fprintf(&input, "large_%d\t%s\n", i, largeValue(i))
	}
	if l := s.load(door.Request{}, input.Bytes()); l.Stored != large {
		t.Fatalf("%+v\n%s", l, s.output.String())
	}
	readBack(t, s, "k", rows, plain)
	for i := range large {
		if got := s.get(fmt.Sprintf("large_%d", i)); got != largeValue(i) {
			t.Fatalf("large_%d differs", i)
		}
	}
	dumpedAll(t, s, rows, large, dumps)
	deletedSome(t, s, rows, large, dumps)
}

// deletedSome deletes the large items and some rows, where memcached can do that only to what was met, or says why not.
func deletedSome(t *testing.T, s *server, rows, large int, engine door.Engine) {
	t.Helper()
	for _, f := range []door.Filter{{MinSize: 1000}, {Prefix: "k_", Regex: "7$"}} {
		reply, err := call(s.door, door.Request{Op: door.OpDelete, Filter: f})
		if engine != door.EngineNative && reply.Error != nil && strings.Contains(reply.Error.Message, "compares no CAS unique") {
			return
		}
		want := uint64(large)
		if f.Prefix != "" {
			want = uint64(rows / 10)
		}
		if err != nil || reply.Changed == nil || reply.Changed.Changed != want || reply.Changed.Check() != nil || reply.Changed.Left > 0 {
			t.Fatalf("delete %+v: %+v, %v, %v", f, reply.Changed, reply.Error, err)
		}
	}
	if n := s.stat("", "curr_items"); n != rows-rows/10 {
		t.Errorf("%d items are left of %d", n, rows)
	}
	s.missing("k_7")
	if got := s.get("k_8"); got != plain(8) {
		t.Errorf("k_8 is %q", got)
	}
}

// dumpedAll dumps what was loaded, and sees to it that each row is there once, and by which engine.
func dumpedAll(t *testing.T, s *server, rows, large int, engine door.Engine) {
	t.Helper()
	file := fileOf(t, nil)
	reply, err := call(s.door, door.Request{Op: door.OpDump}, file)
	if err != nil || reply.Dump == nil || reply.Dump.Written != uint64(rows+large) || reply.Dump.Check() != nil {
		t.Fatalf("dump: %+v, %v, %v", reply.Dump, reply.Error, err)
	}
	if reply.Dump.Engine != engine {
		t.Errorf("dumped %s, want %s: %s", reply.Dump.Engine, engine, reply.Dump.EngineReason)
	}
	want := map[string]string{}
	for i := range rows {
		key, value := rowOf("k", i)
		want[key] = value
	}
	for i := range large {
		want[fmt.Sprintf("large_%d", i)] = largeValue(i)
	}
	parser, err := record.New(record.Options{Format: record.Dump, ValueMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		var row record.Row
		switch kind := parser.Next(data, true, &row); kind {
		case record.Item:
			key := string(row.Key.Of(data))
			if value, ok := want[key]; !ok || value != string(row.Value.Of(data)) {
				t.Fatalf("%s is in the dump twice, or with another value", key)
			}
			delete(want, key)
		case record.Nothing:
		default:
			t.Fatalf("%s at %.60q", row.Reason, data)
		}
		data = data[row.Size:]
	}
	if len(want) > 0 || parser.Incomplete() {
		t.Errorf("%d rows are not in the dump; incomplete %t", len(want), parser.Incomplete())
	}
}

// largeValue has 10 kB to 1 MB, of numbers that tell a part from the next.
func largeValue(i int) string {
	var s []byte
	for n := 0; len(s) < 10_000+i*9_900; n++ {
		s = append(strconv.AppendInt(s, int64(i*n), 10), ',')
	}
	return string(s)
}

// The library does not start in a process with an older glibc than it was built for; the dynamic linker says so.
func TestOldLibc(t *testing.T) {
	if !*allHosts {
		t.Skip("`make test-hosts` runs it")
	}
	program := filepath.Join("..", "hosts", "debian", "amd64", "bullseye", "memcached")
	if why := absent(program); why != "" {
		t.Skipf("%s is absent: %s", program, why)
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, program)
	s.start()
	if status := s.end(0); status.ExitStatus() != 1 {
		t.Errorf("it ended with %v", status)
	}
	if out := s.output.String(); !strings.Contains(out, "version `GLIBC_2.") || !strings.Contains(out, "not found (required by "+s.preload) {
		t.Errorf("it wrote %q", out)
	}
}

// A table is what is shown in hostsDocument: kinds down, versions across.
type table struct {
	mu    sync.Mutex
	cells [][]string // "": not tried here
}

func newTable() *table {
	t := &table{cells: make([][]string, len(kinds))}
	for row := range t.cells {
		t.cells[row] = make([]string, len(columns))
	}
	return t
}

func (t *table) set(row, col int, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[row][col] = cell
}

func (t *table) lines() []string {
	head, rule := "| |", "|---|"
	for _, c := range columns {
		head += fmt.Sprintf(" %s (%s) |", c.version, strings.Join(c.suites, ", "))
		rule += "---|"
	}
	lines := []string{head, rule}
	for row, k := range kinds {
		line := "| " + k.title + " |"
		for _, cell := range t.cells[row] {
			line += " " + cell + " |"
		}
		lines = append(lines, line)
	}
	return lines
}

// compare makes sure that hostsDocument says nothing else than what was seen.
func (t *table) compare(test *testing.T) {
	const begin, end = "<!-- made by `make readme-table` -->\n", "<!-- end -->\n"
	path := filepath.Join("../..", hostsDocument)
	text, err := os.ReadFile(path)
	if err != nil {
		test.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	shown, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		test.Fatalf("%s has no table between %q and %q", hostsDocument, begin, end)
	}
	old := strings.Split(strings.TrimSuffix(shown, "\n"), "\n")
	seen := t.lines()
	if *writeTable {
		if err := os.WriteFile(path, []byte(before+begin+strings.Join(seen, "\n")+"\n"+end+after), 0o644); err != nil {
			test.Fatal(err)
		}
		return
	}
	if len(old) != len(seen) || !slices.EqualFunc(old, seen, sameWhereSeen) {
		test.Errorf("%s says\n%s\nseen was\n%s\nhint: make readme-table", hostsDocument, strings.Join(old, "\n"), strings.Join(seen, "\n"))
	}
}

// sameWhereSeen compares two lines of the table, but for the cells that are empty in either: not every archive has every
// source.
func sameWhereSeen(old, seen string) bool {
	a, b := strings.Split(old, "|"), strings.Split(seen, "|")
	return slices.EqualFunc(a, b, func(old, seen string) bool {
		old, seen = strings.TrimSpace(old), strings.TrimSpace(seen)
		return old == "" || seen == "" || old == seen
	})
}

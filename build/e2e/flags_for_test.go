package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A reading is a value, and what a library reads it as: type and value in JSON, bytes in hexadecimal.
type reading struct{ value, read string }

// What the languages read.
var (
	greeting    = "Grüße 🗒"
	greetingHex = "4772c3bcc39f6520f09f9792"
	jsonText    = `{"a":[1,2.5,true,null,"é"]}`

	someBytes = []reading{{greeting, `["bytes","` + greetingHex + `"]`}, {"a\xff\x00b", `["bytes","61ff0062"]`}, {"", `["bytes",""]`}}

	pythonTypes = map[string][]reading{
		"bytes":  someBytes,
		"string": {{greeting, `["str","` + greeting + `"]`}, {"", `["str",""]`}, {"42", `["str","42"]`}},
		"int":    {{"-42", `["int",-42]`}, {"99999999999999999999", `["int",99999999999999999999]`}},
	}

	phpTypes = map[string][]reading{
		"string":     {{greeting, `["string","` + greeting + `"]`}, {"", `["string",""]`}, {"42", `["string","42"]`}},
		"int":        {{"-42", `["int",-42]`}, {"9007199254740993", `["int",9007199254740993]`}},
		"float":      {{"1.5", `["float",1.5]`}, {"1e9", `["float",1000000000.0]`}, {"-42", `["float",-42.0]`}},
		"bool":       {{"1", `["bool",true]`}, {"0", `["bool",false]`}, {"", `["bool",false]`}},
		"serialized": {{`a:1:{s:1:"a";i:1;}`, `["array",{"a":1}]`}, {"b:1;", `["bool",true]`}},
	}

	nodeTypes = map[string][]reading{
		"string": {{greeting, `["string","` + greeting + `"]`}, {"", `["string",""]`}, {"42", `["string","42"]`}},
		"number": {{"-42", `["number",-42]`}, {"1.5", `["number",1.5]`}, {"1e9", `["number",1000000000]`}},
		"json":   {{jsonText, `["object",` + jsonText + `]`}, {"7", `["number",7]`}, {"null", `["object",null]`}},
	}
)

// flagsReaders are the libraries of --flags-for, with a script of testdata/flags_for that reads by them.
var flagsReaders = []struct {
	library string
	script  []string
	types   map[string][]reading
}{
	{"php", []string{"php", "read.php", "Memcached"}, withType(phpTypes, "json", []reading{
		{jsonText, `["stdClass",` + jsonText + `]`}, {"[1,2]", `["array",[1,2]]`}, {"7", `["int",7]`}, {`"a"`, `["string","a"]`},
	})},
	{"php-memcache", []string{"php", "read.php", "Memcache"}, phpTypes},
	{"pylibmc", []string{python, "read.py", "pylibmc"}, pythonTypes},
	{"pymemcache", []string{python, "read.py", "pymemcache"}, pythonTypes},
	{"python-memcached", []string{python, "read.py", "python-memcached"}, pythonTypes},
	{"bmemcached", []string{python, "read.py", "bmemcached"}, pythonTypes},
	{"dalli", []string{"ruby", "read.rb"}, map[string][]reading{
		"bytes":  {{greeting, `["String ASCII-8BIT","` + greetingHex + `"]`}, {"a\xff\x00b", `["String ASCII-8BIT","61ff0062"]`}},
		"string": {{greeting, `["String ASCII-8BIT","` + greetingHex + `"]`}}, // UTF-8 in later versions than Debian's
		"json":   {{jsonText, `["Hash",` + jsonText + `]`}, {"7", `["Integer",7]`}, {"true", `["TrueClass",true]`}},
	}},
	{"cache-memcached-fast", []string{"perl", "read.pl"}, map[string][]reading{
		"bytes": someBytes, "string": {{greeting, `["characters","` + greeting + `"]`}},
	}},
	{"spymemcached", []string{"java", "-cp", spymemcached, "Read.java"}, map[string][]reading{
		"bytes":  {{greeting, `["byte[]","` + greetingHex + `"]`}, {"a\xff\x00b", `["byte[]","61ff0062"]`}},
		"string": {{greeting, `["String","` + greeting + `"]`}, {"", `["String",""]`}},
		"bool":   {{"1", `["Boolean",true]`}, {"0", `["Boolean",false]`}},
	}},
	{"node-memcached", []string{"node", "read.js", "memcached"}, nodeTypes},
	{"memcache-client", []string{"node", "read.js", "memcache-client"}, withType(nodeTypes, "bytes", []reading{
		{greeting, `["Buffer","` + greetingHex + `"]`}, {"a\xff\x00b", `["Buffer","61ff0062"]`}, {"", `["Buffer",""]`},
	})},
}

func withType(types map[string][]reading, name string, readings []reading) map[string][]reading {
	types = maps.Clone(types)
	types[name] = readings
	return types
}

// spymemcached is where Debian puts it.
const spymemcached = "/usr/share/java/spymemcached.jar"

// Each library reads the values of each of its names of --flags-for as the type that the name says. Java and Node.js are
// large: what needs them is skipped where they are not installed.
func TestFlagsFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	modules := sync.OnceValue(func() error { return installModules(dir) })
	// EnyimMemcached is in no package.
	tried := []string{"enyim-bytes", "enyim-string"}
	for _, r := range flagsReaders {
		for name := range r.types {
			tried = append(tried, r.library+"-"+name)
		}
		t.Run(r.library, func(t *testing.T) {
			t.Parallel()
			var missing error
			switch r.script[0] {
			case "java":
				_, compiler := exec.LookPath("javac")
				_, library := os.Stat(spymemcached)
				missing = errors.Join(compiler, library)
			case "node":
				missing = modules()
			}
			if missing != nil {
				t.Skip(missing)
			}
			s := newServer(t, stock(t))
			s.onPort("127.0.0.1", "-l", "127.0.0.1")
			s.start()
			s.waitDoor()
			want := map[string]string{}
			for name, readings := range r.types {
				var rows strings.Builder
				for i, one := range readings {
					key := fmt.Sprintf("%s:%d", name, i)
					fmt.Fprintf(&rows, "%s\t%s\n", key, one.value)
					want[key] = one.read
				}
				n := uint64(len(readings))
				s.outcome(strings.NewReader(rows.String()), account{rows: n, stored: n}, "--flags-for", r.library+"-"+name)
			}
			s.readBy(r.script, dir, want)
		})
	}
	offered, err := exec.Command(built(t, "client"), "__complete", "--", "load", "--flags-for", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(offered)) {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Sort(tried)
	if !slices.Equal(names, tried) {
		t.Errorf("the client knows the names %q, tried are %q", names, tried)
	}
}

// installModules installs what read.js needs below dir. Its package-lock.json has the checksums.
func installModules(dir string) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("testdata/flags_for", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o666)
		}
		if err != nil {
			return err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm: %w: %s", err, out)
	}
	return nil
}

// readBy has a script read keys, and compares what it reads; node's modules are in dir.
func (s *server) readBy(script []string, dir string, want map[string]string) {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(want))
	ctx, stop := context.WithTimeout(s.t.Context(), 2*waitLimit)
	defer stop()
	cmd := exec.CommandContext(ctx, script[0], slices.Concat(script[1:], []string{host, port}, keys)...)
	cmd.Dir, cmd.Env = "testdata/flags_for", append(os.Environ(), "LC_ALL=C.UTF-8", "NODE_PATH="+filepath.Join(dir, "node_modules"))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	read := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(read) != len(keys) {
		s.t.Fatalf("%d of %d values are read, %v: %s%s", len(read), len(keys), err, out, errs.String())
	}
	for i, key := range keys {
		if read[i] != want[key] {
			s.t.Errorf("%s is read as %s, want %s", key, read[i], want[key])
		}
	}
}

// The flags that a row says itself are before those of --flags-for.
func TestFlagsForAndColumn(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.outcome(strings.NewReader("key,value,flags\na,1,7\nb,1,\nc,1,0\n"), account{rows: 3, stored: 3},
		"--from", "csv", "--header", "--flags-column", "flags", "--flags-for", "php-memcache-int")
	for key, want := range map[string]uint32{"a": 7, "b": 0x300, "c": 0} {
		if item, err := s.cache().Get(key); err != nil || item.Flags != want {
			t.Errorf("%s: %+v, %v; want the flags %d", key, item, err, want)
		}
	}
}

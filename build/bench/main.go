// Bench measures what a load costs in a real memcached, against the protocol's fastest path and against a loop in C that
// calls the same functions.  Its report is build/bench/report.md; `make bench` runs it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

var (
	rows    = flag.Int("rows", 2_000_000, "small rows of each load")
	rounds  = flag.Int("rounds", 5, "loads of each kind, alternating")
	program = flag.String("memcached", "memcached", "memcached's program `file`")
)

// An input is a file of rows.
type input struct {
	Name       string
	Rows       int
	Low, High  int // bytes of a row
	path       string
	Bytes      int64
	memcached  []string // arguments
	Contenders []contender
}

// A contender is a way to get an input into memcached; the first is what the others are compared with.
type contender struct {
	Name    string
	load    func(b *bench, in *input) (seconds float64, err error)
	Seconds []float64
}

func (c *contender) Median() float64 {
	sorted := slices.Sorted(slices.Values(c.Seconds))
	return sorted[len(sorted)/2]
}

// bench is where everything is: the repository's build/ and a directory of its own.
type bench struct {
	built, dir, program string
	functions           string // for loop.c
	Inputs              []*input
	Memcached, Kernel   string
	CPU, Go             string
	CPUs, Rounds        int
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal("bench: ", err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "mcbd-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{built: "build", dir: dir, Go: runtime.Version(), CPUs: runtime.NumCPU(), Rounds: *rounds}
	if b.built, err = filepath.Abs(b.built); err != nil {
		return err
	}
	if err := b.prepare(); err != nil {
		return err
	}
	presized := []string{"-o", fmt.Sprintf("hashpower=%d", hashpower(*rows))}
	b.Inputs = []*input{
		{Name: "default table", Rows: *rows, Low: 20, High: 200, Contenders: []contender{
			{Name: "protocol, ms q", load: protocol("ms")}, {Name: "protocol, set noreply", load: protocol("set")},
			{Name: "door, file", load: door}, {Name: "door, pipe", load: pipe}}},
		{Name: "presized table", Rows: *rows, Low: 20, High: 200, memcached: presized, Contenders: []contender{
			{Name: "C loop", load: loop}, {Name: "protocol, ms q", load: protocol("ms")},
			{Name: "door, file", load: door}, {Name: "door, pipe", load: pipe}}},
		{Name: "values of 4 KB", Rows: 100_000, Low: 4096, High: 4096, memcached: presized, Contenders: []contender{
			{Name: "C loop", load: loop}, {Name: "door, file", load: door}, {Name: "door, pipe", load: pipe}}},
		{Name: "values of 100 KB", Rows: 5_000, Low: 100 << 10, High: 100 << 10, memcached: presized, Contenders: []contender{
			{Name: "C loop", load: loop}, {Name: "door, file", load: door}, {Name: "door, pipe", load: pipe}}},
	}
	for _, in := range b.Inputs {
		if err := b.measure(in); err != nil {
			return fmt.Errorf("%s: %w", in.Name, err)
		}
	}
	var report bytes.Buffer
	if err := reportTemplate.Execute(&report, b); err != nil {
		return err
	}
	fmt.Print(report.String())
	return os.WriteFile(filepath.Join(b.built, "bench", "report.md"), report.Bytes(), 0o644)
}

// hashpower is what memcached's own measure, 1.5 items for each bucket, makes of so many.
func hashpower(items int) int {
	power := 16
	for 3<<power < 2*items {
		power++
	}
	return power
}

// prepare compiles the contenders and finds out where and in what they run.
func (b *bench) prepare() error {
	var facts struct {
		File, Memcached string
		Functions       map[string]string
		ABI             map[string]string
	}
	out, err := exec.Command(b.in("client"), "check", "--json", *program).Output()
	if err != nil {
		return fmt.Errorf("client check %s: %w", *program, err)
	}
	if err := json.Unmarshal(out, &facts); err != nil {
		return err
	}
	if facts.ABI["store_item"] != "conn" || facts.ABI["chunks"] != "lazy" || facts.ABI["header"] != "wide" {
		return fmt.Errorf("%s is memcached %s; loop.c calls store_item as 1.5.15 to 1.6.18 have it", facts.File, facts.Memcached)
	}
	b.program, b.Memcached = facts.File, facts.Memcached
	var at []string
	for _, name := range []string{"item_alloc", "store_item", "item_remove", "do_item_alloc_chunk"} {
		at = append(at, strings.TrimPrefix(facts.Functions[name], "0x"))
	}
	b.functions = strings.Join(at, ",")
	for _, args := range [][]string{
		{"-shared", "-fPIC", "-o", b.own("loop.so"), "loop.c"}, {"-o", b.own("protocol"), "protocol.c"},
	} {
		cc := exec.Command("gcc", append([]string{"-O2", "-I../../../include"}, args...)...)
		cc.Dir = b.in("bench/contenders")
		if out, err := cc.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cc.Args, err, out)
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	b.Kernel = strings.TrimSpace(string(release))
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			b.CPU = strings.TrimSpace(value)
		}
	}
	return nil
}

func (b *bench) in(name string) string  { return filepath.Join(b.built, name) }
func (b *bench) own(name string) string { return filepath.Join(b.dir, name) }

// measure lets the contenders take turns.
func (b *bench) measure(in *input) error {
	in.path = b.own("rows")
	if err := in.write(); err != nil {
		return err
	}
	for round := range *rounds {
		for i := range in.Contenders {
			c := &in.Contenders[i]
			seconds, err := c.load(b, in)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			c.Seconds = append(c.Seconds, seconds)
			log.Printf("round %d  %-18s %-22s %8.3f s", round+1, in.Name, c.Name, seconds)
		}
	}
	return nil
}

// write makes the file: keys user_N, values of letters, the same in every run.
func (in *input) write() error {
	f, err := os.Create(in.path)
	if err != nil {
		return err
	}
	defer f.Close()
	random := rand.New(rand.NewPCG(1, 2))
	letters := make([]byte, in.High+1<<16)
	for i := range letters {
		letters[i] = byte('a' + random.IntN(26))
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range in.Rows {
		key := "user_" + strconv.Itoa(i)
		n := max(1, in.Low+random.IntN(in.High-in.Low+1)-len(key)-1)
		from := random.IntN(1 << 16)
		w.WriteString(key)
		w.WriteByte('\t')
		w.Write(letters[from : from+n])
		w.WriteByte('\n')
		in.Bytes += int64(len(key) + n + 2)
	}
	return w.Flush()
}

// A server is a memcached of one load's own.
type server struct {
	cmd    *exec.Cmd
	dir    string
	socket string
}

func (b *bench) start(in *input, env ...string) (*server, error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, socket: filepath.Join(dir, "socket")}
	s.cmd = exec.Command(b.program, append([]string{"-u", "root", "-m", "16384", "-s", s.socket}, in.memcached...)...)
	s.cmd.Env = append(os.Environ(), env...)
	for i, e := range s.cmd.Env {
		s.cmd.Env[i] = strings.ReplaceAll(e, "$DIR", dir)
	}
	s.cmd.Stderr = os.Stderr
	return s, s.cmd.Start()
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// wait waits for a file that memcached makes.
func (s *server) wait(name string) ([]byte, error) {
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		path := filepath.Join(s.dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case !info.Mode().IsRegular():
			return nil, nil
		case info.Size() > 0:
			return os.ReadFile(path)
		}
	}
	return nil, fmt.Errorf("memcached has not made its file %s", name)
}

func protocol(command string) func(*bench, *input) (float64, error) {
	return func(b *bench, in *input) (float64, error) {
		s, err := b.start(in)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		if _, err := s.wait("socket"); err != nil {
			return 0, err
		}
		out, err := exec.Command(b.own("protocol"), command, s.socket, in.path).Output()
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	}
}

func loop(b *bench, in *input) (float64, error) {
	s, err := b.start(in, "LD_PRELOAD="+b.own("loop.so"), "LOOP_ROWS="+in.path, "LOOP_FUNCTIONS="+b.functions, "LOOP_RESULT=$DIR/result")
	if err != nil {
		return 0, err
	}
	defer s.stop()
	out, err := s.wait("result")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

func door(b *bench, in *input) (float64, error) {
	f, err := os.Open(in.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return b.load(in, f)
}

func pipe(b *bench, in *input) (float64, error) {
	cat := exec.Command("cat", in.path)
	out, err := cat.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cat.Start(); err != nil {
		return 0, err
	}
	seconds, err := b.load(in, out.(*os.File))
	if err != nil {
		cat.Process.Kill()
	}
	cat.Wait()
	return seconds, err
}

// load is timed around the client: its start and the door are part of what the user waits for.
func (b *bench) load(in *input, stdin *os.File) (float64, error) {
	s, err := b.start(in, "LD_PRELOAD="+b.in("backdoor.so"), "MEMCACHED_BACKDOOR=$DIR/door")
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if _, err := s.wait("door"); err != nil {
		return 0, err
	}
	client := exec.Command(b.in("client"), "--door", filepath.Join(s.dir, "door"), "--json", "load")
	client.Stdin, client.Stderr = stdin, os.Stderr
	began := time.Now()
	out, err := client.Output()
	took := time.Since(began).Seconds()
	if err != nil {
		return 0, err
	}
	var outcome struct{ Stored int }
	if err := json.Unmarshal(out, &outcome); err != nil {
		return 0, err
	}
	if outcome.Stored != in.Rows {
		return 0, fmt.Errorf("%d of %d rows are stored", outcome.Stored, in.Rows)
	}
	return took, nil
}

var reportTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"rate":  func(in *input, c contender) string { return fmt.Sprintf("%.3f", float64(in.Rows)/c.Median()/1e6) },
	"bytes": func(in *input, c contender) string { return fmt.Sprintf("%.0f", float64(in.Bytes)/c.Median()/1e6) },
	"ratio": func(in *input, c contender) string { return fmt.Sprintf("%.2f", in.Contenders[0].Median()/c.Median()) },
	"spread": func(c contender) string {
		return fmt.Sprintf("%.3f to %.3f", slices.Min(c.Seconds), slices.Max(c.Seconds))
	},
}).Parse(`# What a load costs

memcached {{.Memcached}}, Linux {{.Kernel}}, {{.CPUs}} × {{.CPU}}, {{.Go}}. Medians of {{.Rounds}} alternating loads,
each into a memcached of its own. The ratio is against the first of each table: more than 1 is faster than it.
{{range $in := .Inputs}}
## {{.Name}}: {{.Rows}} rows of {{.Low}} to {{.High}} bytes

| | seconds | fastest to slowest | M rows/s | MB/s | ratio |
|---|---|---|---|---|---|
{{range .Contenders}}| {{.Name}} | {{printf "%.3f" .Median}} | {{spread .}} | {{rate $in .}} | {{bytes $in .}} | {{ratio $in .}} |
{{end}}{{end}}`))

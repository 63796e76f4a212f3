// Bench measures what the library costs in a real memcached: loads, against the protocol's fastest path and against a
// loop in C that calls the same functions; the service of others meanwhile; and memcached while nothing is loaded. Its
// report is report.md beside it, with plots; `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

var (
	rows    = flag.Int("rows", 2_000_000, "small rows of a load; some loads have a half, 5 or 10 times as many")
	rounds  = flag.Int("rounds", 5, "rounds of each section, in which all that is compared takes turns")
	scale   = flag.Float64("scale", 1, "shrink all sizes and durations by this factor, for a quick try")
	program = flag.String("memcached", "memcached", "memcached's program `file`")
	only    = flag.String("only", "", "`sections` to measure, with commas between: "+strings.Join(sectionNames(), ", "))
	built   = flag.String("built", "..", "`directory` of backdoor.so, backdoor-faulty.so and client")
	out     = flag.String("out", ".", "`directory` for report.md, results.json and the plots")
)

// sections are measured in this order. Each has been measured in full or not at all.
var sections = []struct {
	name    string
	measure func(*bench, *section) error
}{
	{"load", measureLoad},
	{"presized", measurePresized},
	{"values", measureValues},
	{"formats", measureFormats},
	{"dump", measureDump},
	{"live", measureLive},
	{"idle", measureIdle},
	{"memory", measureMemory},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// bench is where everything is, and what the sections have in common.
type bench struct {
	ctx            context.Context // ends with an interrupt, and ends every process that was started
	built, out     string
	sources        string // the directory of the contenders in C
	dir            string // of its own, for all files, sockets and doors
	program        string // memcached
	functions      string // for loop.c
	facts          facts
	inputs         map[string]*input
	requestsPerSec float64 // what a stock memcached can serve, once that is measured
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal("bench: ", err)
	}
}

func run(ctx context.Context) error {
	if *rows < 2 || *rounds < 1 || *scale <= 0 {
		return errors.New("there must be 2 -rows, 1 of -rounds and a -scale above 0, at least")
	}
	wanted, err := wantedSections()
	if err != nil {
		return err
	}
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	results, err := readResults(b.out)
	if err != nil {
		return err
	}
	for _, todo := range sections {
		if !slices.Contains(wanted, todo.name) {
			continue
		}
		s := &section{Facts: b.facts, Inputs: map[string]*input{}}
		began := time.Now()
		err := todo.measure(b, s)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: interrupted", todo.name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", todo.name, err)
		}
		log.Printf("%s took %v", todo.name, time.Since(began).Round(time.Second))
		results[todo.name] = s
		// After each section: a run that is interrupted keeps what it has.
		if err := results.publish(b.out); err != nil {
			return err
		}
	}
	return nil
}

// wantedSections is what -only names, or all sections.
func wantedSections() ([]string, error) {
	if *only == "" {
		return sectionNames(), nil
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(sectionNames(), name) {
			return nil, fmt.Errorf("-only %s: there is no section %q", *only, name)
		}
	}
	return wanted, nil
}

func newBench(ctx context.Context) (*bench, error) {
	b := &bench{ctx: ctx, out: *out, sources: "contenders", inputs: map[string]*input{}}
	var err error
	if b.built, err = filepath.Abs(*built); err != nil {
		return nil, err
	}
	for _, name := range []string{"backdoor.so", "backdoor-faulty.so", "client"} {
		if _, err := os.Stat(b.in(name)); err != nil {
			return nil, fmt.Errorf("%w: `make bench` builds it", err)
		}
	}
	// Not below the repository: a socket's path has 107 bytes at most.
	if b.dir, err = os.MkdirTemp("", "mcbd-bench"); err != nil {
		return nil, err
	}
	if err := b.prepare(); err != nil {
		os.RemoveAll(b.dir)
		return nil, err
	}
	return b, nil
}

func (b *bench) in(name string) string  { return filepath.Join(b.built, name) }
func (b *bench) own(name string) string { return filepath.Join(b.dir, name) }

// sized is a number of rows, or of whatever makes a measurement long, as -scale has it.
func sized(n int) int { return max(1, int(*scale*float64(n))) }

// lasting is a duration as -scale has it; below a tenth of a second nothing can be measured.
func lasting(d time.Duration) time.Duration {
	return max(100*time.Millisecond, time.Duration(*scale*float64(d)))
}

// sleep waits, unless the run is interrupted.
func (b *bench) sleep(d time.Duration) error {
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-time.After(d):
		return nil
	}
}

// Package load brings rows from a descriptor into the cache and accounts for
// every one of them.
package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
)

// batches is how many batches a load has: while one is stored, the next
// is read and parsed.
const batches = 2

// progressEvery is the time between two reports of progress.
const progressEvery = 200 * time.Millisecond

// ErrRead says that the input could not be read to its end.
var ErrRead = errors.New("reading the input")

// Ready is what Source.Wait has seen.
type Ready struct {
	Input bool // Read will not block
	Done  bool // the descriptor done is readable
	Gone  bool // whoever wants the load no longer does
}

// A Source is where the rows come from.
type Source interface {
	// Wait waits for the input, if asked to, for the descriptor done, and for the
	// client's going, at most for limit; a limit below 0 has no end.
	Wait(input bool, done int, limit time.Duration) (Ready, error)
	// Left is how many bytes Read will still return, -1 if that is not known.
	Left() int64
	// Read reads what is there: (0, nil) if nothing is after all, io.EOF at the end.
	Read(p []byte) (int, error)
	// SeekTo makes Read go on at an offset of a regular file.
	SeekTo(offset int64) error
}

// Options say how to load.
type Options struct {
	// Record is how rows are read. What the cache can store is the load's to set.
	Record record.Options
	// Limits are how fast the load goes, and how many rows it may reject.
	Limits limits.Options
	// Detach finishes the load also when the client has gone.
	Detach bool
	// Rejects, if not nil, gets the rows that are rejected as they stand in the input, and
	// Reasons a line about each.
	Rejects, Reasons Output
	// From is where to go on; the zero Position is where the source stands.
	From Position
	// Sample, if not nil, gets some of the rows.
	Sample *Sample
	// RejectsKept is how many rejected rows the counts have.
	RejectsKept int
	// Progress, if not nil, is called now and then with the counts so far, which
	// it may read until it returns.
	Progress func(*Counts)
}

// loader is one load under way.
type loader struct {
	source  Source
	sink    batch.Sink
	options Options
	parser  *record.Parser
	rejects *rejects // nil: they are not wanted
	counts  Counts
	done    int   // eventfd: the finished batches
	size    int64 // bytes of the source; -1: not known
	pace    pace

	maxErrors *limits.MaxErrors // nil: any number

	free   []*work
	flying []*work // submitted, oldest first

	work    *work      // being filled; nil while none is free
	carry   []byte     // bytes of the work before that are no row yet
	filled  int        // bytes of work.Data() that are read
	parsed  int        // of these, bytes that are rows already
	row     record.Row // the last one
	many    bool       // it makes more items
	rows    uint64     // rows parsed so far
	bad     uint64     // of them, those that are known to be rejected
	at      Position   // what was parsed so far
	given   Position   // where the row begins that was given up
	skips   bool       // in a row too long for any item
	end     bool       // of the input
	limited bool       // more rows are rejected than may be
	gone    bool       // the client, before the end
}

// Load reads source to its end and stores its rows in store.  The counts are true also
// when there is an error: what was read until then is in them.  The error is a
// *record.OptionError if the rows cannot be read as Options.Record says.
func Load(store batch.Store, source Source, options Options) (Counts, error) {
	options.Record.ValueMax = int(min(store.ItemSizeMax(), 1<<30))
	options.Record.BinaryKeyMax = store.BinaryKeyMax()
	options.Record.NoCAS, options.Record.NoStale = !store.HasCAS(), !store.HasStale()
	parser, err := record.New(options.Record)
	if err != nil {
		return Counts{}, err
	}
	maxErrors, err := limits.ParseMaxErrors(options.Limits.MaxErrors)
	if err != nil {
		return Counts{}, err
	}
	sink, err := store.Open()
	if err != nil {
		return Counts{}, err
	}
	defer sink.Close()
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return Counts{}, os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(done)

	l := &loader{
		source:  source,
		sink:    sink,
		options: options,
		parser:  parser,
		rejects: newRejects(options.Rejects, options.Reasons),
		done:    done,
		size:    source.Left(),
		pace:    newPace(options.Limits),

		maxErrors: maxErrors,
	}
	l.counts.Position, l.counts.kept = options.From, options.RejectsKept
	defer l.freeAll()
	for range batches {
		b, err := batch.New(done)
		if err != nil {
			return l.counts, err
		}
		l.free = append(l.free, &work{Batch: b})
	}
	if err = l.resume(); err == nil {
		err = l.run()
	}
	// Batches under way belong to the sink; they come back in any case.
	for len(l.flying) > 0 {
		err = cmp.Or(err, l.wait()) // the first says why, those behind it the same
	}
	err = cmp.Or(err, l.rejects.flush())
	l.counts.Canceled = l.gone
	l.counts.Limited = l.limited || err == nil && !l.gone && maxErrors.Exceeded(l.counts.Rejected, l.counts.Rows, true)
	l.counts.Incomplete = err == nil && !l.gone && !l.counts.Limited && l.parser.Incomplete()
	if err == nil {
		err = l.counts.check()
	}
	return l.counts, err
}

func (l *loader) freeAll() {
	if l.work != nil {
		l.free = append(l.free, l.work)
	}
	for _, w := range l.free {
		w.Free()
	}
}

// run goes on until there is nothing left to do.  Rows that were parsed and are not
// submitted when it ends before that do not count as read.
func (l *loader) run() error {
	limit := time.Duration(-1)
	if l.options.Progress != nil {
		limit = progressEvery
	}
	next := time.Now().Add(progressEvery)
	for {
		if err := l.hand(); err != nil {
			return err
		}
		if l.end && len(l.flying) == 0 && l.work.empty() {
			return nil
		}
		ready, err := l.source.Wait(l.work != nil && !l.end && !l.complete(), l.done, l.patience(limit))
		if err != nil {
			return err
		}
		if ready.Gone && !l.options.Detach {
			l.gone = true
			return nil
		}
		if ready.Done {
			if err := l.collect(); err != nil {
				return err
			}
		}
		if ready.Input {
			if err := l.read(); err != nil {
				return err
			}
		}
		if l.options.Progress != nil && !time.Now().Before(next) {
			l.options.Progress(&l.counts)
			next = time.Now().Add(progressEvery)
		}
	}
}

// read reads once and parses what came.
func (l *loader) read() error {
	if l.filled == len(l.work.Data()) {
		if err := l.makeRoom(); err != nil {
			return err
		}
	}
	room := l.work.Data()[l.filled:]
	n, err := l.source.Read(room[:min(len(room), l.pace.reads())])
	l.filled += n
	l.counts.Bytes += uint64(n)
	if err == io.EOF {
		l.end = true
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrRead, err)
	}
	return l.parse()
}

// Package load stores the rows of an input in the cache, and accounts for every one of them.
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
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
)

// batches is how many batches a load has: while one is in flight, the next one is read and parsed.
const batches = 2

const (
	// progressEvery is the time between two reports of progress.
	progressEvery = 200 * time.Millisecond
	// rowsPerCheck is how many rows are parsed between two looks at the time: a regular expression may take ten
	// milliseconds for one. Then the client is looked for, but not more often than lookEvery.
	rowsPerCheck = 16
	lookEvery    = 100 * time.Millisecond
)

// errGone ends a load whose client has gone before the end.
var errGone = errors.New("the client has gone")

// ErrRead says that the input could not be read to its end.
var ErrRead = errors.New("reading the input")

// Ready is what Source.Wait has seen.
type Ready struct {
	Input bool // Read will not block
	Done  bool // the descriptor done is readable
	Gone  bool // the client has gone
}

// A Source is where the rows come from.
type Source interface {
	// Wait waits for the input, if input is true, for the descriptor done, and for the client to go; for limit at
	// most, for ever if that is below 0.
	Wait(input bool, done int, limit time.Duration) (Ready, error)
	// Left is how many bytes Read will still return; -1: not known.
	Left() int64
	// Read reads what there is: (0, nil) if there is nothing, io.EOF at the end.
	Read(p []byte) (int, error)
	// SeekTo makes the next Read begin at an offset of a regular file.
	SeekTo(offset int64) error
}

// Options say how to load.
type Options struct {
	// Record is how rows are read. What the cache can store is the load's to set.
	Record record.Options
	// Wanted decides which rows are stored, by the keys that they have themselves; nil: all.
	Wanted *filter.Filter
	// Limits are how fast the load goes, and how many rows it may reject.
	Limits limits.Options
	// Detach finishes the load also when the client has gone.
	Detach bool
	// Rejects, if not nil, gets the rejected rows as they are in the input, and Reasons a line about each.
	Rejects, Reasons Output
	// From is where the first row begins; the zero Position: at the source's offset.
	From Position
	// Sample, if not nil, gets some of the rows.
	Sample *Sample
	// RejectsKept is how many rejected rows the counts list at most.
	RejectsKept int
	// FirstKept is how many of the first stored rows the counts list at most.
	FirstKept int
	// Progress, if not nil, is called now and then with the counts so far, which it may read until it returns.
	Progress func(*Counts)
}

// loader is a load that runs.
type loader struct {
	source  Source
	sink    batch.Sink
	options Options
	parser  *record.Parser
	rejects *rejects // nil: they are not written
	counts  Counts
	done    int   // eventfd: the number of batches that have finished
	size    int64 // bytes of the source; -1: not known
	pace    limits.Pace

	maxErrors *limits.MaxErrors // nil: any number

	free     []*loadBatch
	inFlight []*loadBatch // oldest first

	current *loadBatch // is being filled; nil if none is free
	carry   []byte     // bytes behind the last row of the batch before
	filled  int        // bytes of current.Data() that are read
	parsed  int        // of these, bytes of rows that are parsed

	row       record.Row // the last one
	rows      uint64     // parsed so far
	rejected  uint64     // of them, those that are known to be
	position  Position   // behind what was parsed
	line      int64      // where the position's line begins, or the load, if that is in the line
	cutAt     Position   // of the row that was cut
	skipping  bool       // the rest of that row
	unwritten bool       // that row is not rejected
	leading   bool       // what is parsed is what the input begins with, to go on at Options.From

	eof     bool
	limited bool // more rows are rejected than the limits allow

	parses   uint64    // how often a row was looked for
	nextLook time.Time // for the client, between two rows
}

// Load reads source to its end and stores its rows in store. With an error, too, the counts are true: what was read
// until then is in them. The error is a *option.Error if the rows cannot be read as Options.Record says; it
// has ErrRead or ErrWrite in its chain if the input cannot be read, or the rejects cannot be written; any other
// is the store's.
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
		pace:    limits.NewPace(options.Limits),

		maxErrors: maxErrors,
	}
	l.counts.Position, l.counts.rejectsKept = options.From, options.RejectsKept
	defer l.freeAll()
	for range batches {
		b, err := batch.New(done)
		if err != nil {
			return l.counts, err
		}
		l.free = append(l.free, &loadBatch{Batch: b})
	}
	if err = l.resume(); err == nil {
		err = l.run()
	}
	gone := errors.Is(err, errGone)
	if gone {
		err = nil
	}
	// Batches in flight belong to the sink; they come back in any case.
	for len(l.inFlight) > 0 {
		err = cmp.Or(err, l.wait()) // all have the same reason
	}
	err = cmp.Or(err, l.rejects.flush())
	l.counts.Canceled = gone
	l.counts.Limited = l.limited || err == nil && !gone && maxErrors.Exceeded(l.counts.Rejected, l.counts.Rows, true)
	l.counts.Incomplete = err == nil && !gone && !l.counts.Limited && l.parser.Incomplete()
	l.counts.Notes = l.parser.Notes()
	if err == nil {
		err = l.counts.check()
	}
	return l.counts, err
}

func (l *loader) freeAll() {
	if l.current != nil {
		l.free = append(l.free, l.current)
	}
	for _, b := range l.free {
		b.Free()
	}
}

// run runs until all rows have an outcome, or there is an error: errGone, if the client goes. Rows that are parsed and not
// submitted then do not count as read.
func (l *loader) run() error {
	limit := time.Duration(-1)
	if l.options.Progress != nil {
		limit = progressEvery
	}
	next := time.Now().Add(progressEvery)
	for {
		if err := l.submitReady(); err != nil {
			return err
		}
		if l.eof && len(l.inFlight) == 0 && l.current.empty() {
			return nil
		}
		ready, err := l.source.Wait(l.current != nil && !l.eof && !l.complete(), l.done, l.waitLimit(limit))
		if err != nil {
			return err
		}
		if ready.Gone && !l.options.Detach {
			return errGone
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

// lookForClient returns errGone if the client has gone, between two rows.
func (l *loader) lookForClient() error {
	now := time.Now()
	if l.options.Detach || now.Before(l.nextLook) {
		return nil
	}
	l.nextLook = now.Add(lookEvery)
	ready, err := l.source.Wait(false, l.done, 0)
	if err == nil && ready.Gone {
		err = errGone
	}
	return err
}

// read reads once and parses what it got.
func (l *loader) read() error {
	if l.filled == len(l.current.Data()) {
		if err := l.makeRoom(); err != nil || l.limited {
			return err
		}
	}
	room := l.current.Data()[l.filled:]
	n, err := l.source.Read(room[:min(len(room), l.pace.Reads())])
	l.filled += n
	l.counts.Bytes += uint64(n)
	if err == io.EOF {
		l.eof = true
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrRead, err)
	}
	return l.parse()
}

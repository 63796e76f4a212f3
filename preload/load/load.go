// Package load brings rows from a descriptor into the cache and accounts for
// every one of them.
package load

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
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
}

// Options say how to load.
type Options struct {
	batch.Options
	// Detach goes on with the load when the client has gone.
	Detach bool
	// Rate is how many rows a second are stored at most; 0: no limit.
	Rate uint64
	// Gentle takes about a tenth of one worker's time at most.
	Gentle bool
	// Progress, if not nil, is called now and then with the counts so far, which
	// it may read until it returns.
	Progress func(*Counts)
}

// lineMax is the longest line that can be a row of an item that fits.
func lineMax(store batch.Store) int {
	return int(min(store.ItemSizeMax(), 1<<30)) + record.KeyMax + 1
}

// loader is one load under way.
type loader struct {
	source  Source
	sink    batch.Sink
	options Options
	counts  Counts
	done    int // eventfd: the finished batches
	lineMax int
	size    int64 // bytes of the source; -1: not known
	pace    pace

	free   []*batch.Batch
	flying []*batch.Batch // submitted, oldest first
	lines  map[*batch.Batch]uint64

	batch    *batch.Batch // being filled; nil while none is free
	carry    []byte       // bytes of the batch before that are no row yet
	filled   int          // bytes of batch.Data() that are read
	parsed   int          // of these, bytes that are rows already
	scanned  int          // of these, bytes known to hold no line feed behind parsed
	line     uint64       // lines read so far
	before   uint64       // of these, lines that are in front of the batch
	tooLong  bool         // in a line too long for any item, until its line feed
	end      bool         // of the input
	canceled bool
}

// Load reads source to its end and stores its rows in store.  The counts are true also
// when there is an error: what was read until then is in them.
func Load(store batch.Store, source Source, options Options) (Counts, error) {
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
		done:    done,
		lineMax: lineMax(store),
		size:    source.Left(),
		pace:    newPace(options.Rate, options.Gentle),
		lines:   make(map[*batch.Batch]uint64),
	}
	for range batches {
		b, err := batch.New(done, options.Options)
		if err != nil {
			l.freeAll()
			return l.counts, err
		}
		l.free = append(l.free, b)
	}
	err = l.run()
	// Batches under way belong to the sink; they come back in any case.
	for len(l.flying) > 0 {
		err = cmp.Or(err, l.wait()) // the first says why, those behind it the same
	}
	l.freeAll()
	l.counts.Canceled = l.canceled
	if err == nil {
		err = l.counts.check()
	}
	return l.counts, err
}

func (l *loader) freeAll() {
	if l.batch != nil {
		l.free = append(l.free, l.batch)
	}
	for _, b := range l.free {
		b.Free()
	}
}

func (l *loader) run() error {
	limit := time.Duration(-1)
	if l.options.Progress != nil {
		limit = progressEvery
	}
	next := time.Now().Add(progressEvery)
	for {
		if err := l.hand(); err != nil {
			return l.stop(err)
		}
		if l.end && len(l.flying) == 0 && l.batch.Len() == 0 {
			return nil
		}
		ready, err := l.source.Wait(l.batch != nil && !l.end && !l.complete(), l.done, l.patience(limit))
		if err != nil {
			return l.stop(err)
		}
		if ready.Gone && !l.options.Detach {
			l.canceled = true
			return l.stop(nil)
		}
		if ready.Done {
			if err := l.collect(); err != nil {
				return l.stop(err)
			}
		}
		if ready.Input {
			if err := l.read(); err != nil {
				return l.stop(err)
			}
		}
		if l.options.Progress != nil && !time.Now().Before(next) {
			l.options.Progress(&l.counts)
			next = time.Now().Add(progressEvery)
		}
	}
}

// stop forgets the rows that were parsed and will not be submitted: they do not
// count as read.
func (l *loader) stop(err error) error {
	if l.batch != nil {
		l.counts.Rows -= uint64(l.batch.Len())
	}
	return err
}

// read reads once and parses what came.
func (l *loader) read() error {
	if l.filled == len(l.batch.Data()) {
		if err := l.makeRoom(); err != nil {
			return err
		}
	}
	room := l.batch.Data()[l.filled:]
	n, err := l.source.Read(room[:min(len(room), l.pace.reads())])
	l.filled += n
	l.counts.Bytes += uint64(n)
	if err == io.EOF {
		l.end = true
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrRead, err)
	}
	l.parse()
	return nil
}

// makeRoom is called when the data is full of the beginning of one line.
func (l *loader) makeRoom() error {
	if size := len(l.batch.Data()); size <= l.lineMax {
		return l.batch.Resize(min(2*size, l.lineMax+1))
	}
	if l.tooLong {
		l.filled, l.scanned = 0, 0
		return nil
	}
	l.tooLong = true
	l.line++
	l.counts.Rows++
	nkey, reason := record.Line(l.batch.Data()[:l.filled])
	if reason != "" {
		l.counts.reject(l.line, reason, l.batch.Data()[:nkey])
		l.filled, l.scanned = 0, 0
		return nil
	}
	// The store rejects it, and takes the key's old value out.
	l.batch.Add(0, nkey, nkey+1, batch.Oversize, uint32(l.line-l.before))
	l.parsed, l.filled, l.scanned = nkey+1, nkey+1, nkey+1
	return nil
}

// parse turns the complete lines behind parsed into rows, as many as the batch takes.
func (l *loader) parse() {
	data := l.batch.Data()
	for !l.full() {
		n := bytes.IndexByte(data[l.scanned:l.filled], '\n')
		switch {
		case n >= 0:
			n += l.scanned
			l.row(l.parsed, n)
			l.parsed, l.scanned = n+1, n+1
		case l.end && l.parsed < l.filled:
			l.row(l.parsed, l.filled)
			l.parsed, l.scanned = l.filled, l.filled
		default:
			l.scanned = l.filled
			if l.tooLong {
				l.filled, l.scanned = l.parsed, l.parsed
			}
			return
		}
	}
}

// row adds the line data[from:to] to the batch, or counts it as rejected.
func (l *loader) row(from, to int) {
	if l.tooLong {
		l.tooLong = false // the rest of a line that was counted when it got too long
		return
	}
	l.line++
	l.counts.Rows++
	line := l.batch.Data()[from:to]
	nkey, reason := record.Line(line)
	if reason != "" {
		l.counts.reject(l.line, reason, line[:nkey])
		return
	}
	l.batch.Add(from, nkey, from+nkey+1, len(line)-nkey-1, uint32(l.line-l.before))
}

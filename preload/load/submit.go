package load

import (
	"cmp"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// expectedPerRow is how many rows are expected at most for each that was read.
const expectedPerRow = 64

// full reports whether the current batch has as many rows as it may have.
func (l *loader) full() bool {
	return l.current.full() || l.current.Len() >= l.pace.Rows
}

// complete reports whether nothing more is to be read into the current batch: it has all its rows, or its data is
// full, and the row that does not fit goes to the next one.
func (l *loader) complete() bool {
	return l.full() || !l.current.empty() && l.filled == len(l.current.Data())
}

// waitLimit is how long to wait at most: for limit, for ever if that is below 0, or until the current batch may be
// submitted.
func (l *loader) waitLimit(limit time.Duration) time.Duration {
	if l.current == nil || l.current.empty() || !l.ready() {
		return limit
	}
	until := l.pace.Until(time.Now(), len(l.inFlight))
	if limit >= 0 && limit < until {
		return limit
	}
	return until
}

// submitReady submits the current batch, if it is ready, and the next ones while there are free ones.
func (l *loader) submitReady() error {
	// Not for ever: a batch without a row to store is free again at once, and one row may fill any number of
	// batches. The client may go meanwhile.
	for range batches {
		if err := l.nextBatch(); err != nil {
			return err
		}
		if l.current == nil {
			return nil
		}
		if submitted, err := l.submitIfReady(); err != nil || !submitted {
			return err
		}
	}
	return l.nextBatch()
}

// nextBatch makes a free batch the current one, unless there is one. It gets what was read behind the last row of the
// batch before.
func (l *loader) nextBatch() error {
	if l.current != nil || len(l.free) == 0 {
		return nil
	}
	l.current = l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.current.reset()
	// carry may be a part of this batch's own data, which is not resized then, for it is longer: rows are before carry
	// in it, or, behind a row that was cut, nothing has been read. Resize would move the data away from under carry.
	for len(l.current.Data()) <= len(l.carry) {
		if err := l.current.Resize(2 * len(l.current.Data())); err != nil {
			return err
		}
	}
	l.filled = copy(l.current.Data(), l.carry)
	l.current.Shrink(l.filled + 1)
	l.carry = nil
	l.parsed = 0
	return l.parse()
}

// ready reports whether the current batch does not wait for more rows: it is full, no more come, or no other batch
// keeps the workers busy.
func (l *loader) ready() bool {
	return l.full() || l.filled == len(l.current.Data()) || l.eof || len(l.inFlight) == 0
}

// submitIfReady submits the current batch if it is ready and the pace allows it, and reports whether it did.
func (l *loader) submitIfReady() (bool, error) {
	if !l.ready() {
		return false, nil
	}
	if l.current.empty() {
		l.compact()
		return false, nil
	}
	if l.current.Len() > 0 {
		now := time.Now()
		if l.pace.Until(now, len(l.inFlight)) > 0 {
			return false, nil
		}
		l.pace.Submitted(now, l.current.Len())
		l.expectRows()
		l.sink.Submit(l.current.Batch)
	}
	l.carry = l.current.Data()[l.parsed:l.filled]
	l.current.end = l.position
	if l.skipping {
		l.current.end = l.cutAt
	}
	l.current.end.State = l.parser.State()
	l.inFlight = append(l.inFlight, l.current)
	l.current = nil
	return true, l.retire(0)
}

// expectRows tells the current batch how many rows the whole load will have: as many as its last row says, or, if
// all rows are like those that were read, as many as the input has room for. Few rows do not make very many expected.
func (l *loader) expectRows() {
	parsed := l.counts.Bytes - uint64(l.filled-l.parsed)
	rowBytes := max(parsed/l.rows, 1)
	rows := uint64(max(l.size, 0)) / rowBytes
	if l.row.Left > 0 {
		rows = l.row.Left
		rowBytes = uint64(l.row.Key.Len + l.row.Value.Len)
	}
	l.current.Expect(min(rows, expectedPerRow*l.rows), rowBytes)
}

// compact moves what is not parsed to the beginning of the current batch, which has no rows.
func (l *loader) compact() {
	if l.parsed == 0 {
		return
	}
	l.filled = copy(l.current.Data(), l.current.Data()[l.parsed:l.filled])
	l.parsed = 0
}

// collect takes back the batches that have finished.
func (l *loader) collect() error {
	var count [8]byte
	n, err := unix.Read(l.done, count[:])
	if n != len(count) {
		if err == unix.EAGAIN || err == unix.EINTR {
			return nil
		}
		return os.NewSyscallError("read", err)
	}
	l.pace.Finished(time.Now())
	return l.retire(binary.NativeEndian.Uint64(count[:]))
}

// retire accounts for batches in flight, oldest first: for as many as have finished, and for those that had no row
// to store.
func (l *loader) retire(finished uint64) error {
	var failed error
	for len(l.inFlight) > 0 {
		b := l.inFlight[0]
		if b.Len() > 0 {
			if finished == 0 {
				break
			}
			finished--
		}
		l.inFlight = l.inFlight[1:]
		failed = cmp.Or(failed, l.account(b))
		l.free = append(l.free, b)
	}
	if !l.limited && l.maxErrors.Exceeded(l.rejected, l.rows, false) {
		l.limit()
	}
	return failed
}

// wait waits until a batch has finished, also when the client has gone.
func (l *loader) wait() error {
	if err := poll.Readable(l.done); err != nil {
		return err
	}
	return l.collect()
}

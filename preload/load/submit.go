package load

import (
	"cmp"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/poll"
)

// evidence is for how many times as many rows those that were read stand.
const evidence = 64

// full says that the work has as many rows as it may have.
func (l *loader) full() bool {
	return l.work.full() || l.work.Len() >= l.pace.rows
}

// complete says that nothing more is to be read into the work: it has all its rows, or
// its data is full, and the row that does not fit in goes to the next.
func (l *loader) complete() bool {
	return l.full() || !l.work.empty() && l.filled == len(l.work.Data())
}

// patience is how long to wait at most: for limit, below 0 for ever, or until the
// batch may be submitted.
func (l *loader) patience(limit time.Duration) time.Duration {
	if l.work == nil || l.work.empty() || !l.due() {
		return limit
	}
	until := l.pace.until(time.Now(), len(l.flying))
	if limit >= 0 && limit < until {
		return limit
	}
	return until
}

// hand submits what is due, and goes on with the next work while one is free.
func (l *loader) hand() error {
	// Not for ever: works without a row to store are free again at once, and one row may fill
	// any number of them.  The client may go meanwhile.
	for range batches {
		if err := l.take(); err != nil {
			return err
		}
		if l.work == nil {
			return nil
		}
		if handed, err := l.submitIfDue(); err != nil || !handed {
			return err
		}
	}
	return l.take()
}

// take makes a free work the one to fill, with what the last one left over.
func (l *loader) take() error {
	if l.work != nil || len(l.free) == 0 {
		return nil
	}
	l.work = l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.work.reset()
	// Where carry is part of this work's own data, it is shorter than that.
	for len(l.work.Data()) <= len(l.carry) {
		if err := l.work.Resize(2 * len(l.work.Data())); err != nil {
			return err
		}
	}
	l.filled = copy(l.work.Data(), l.carry)
	l.work.Shrink(l.filled + 1)
	l.carry = nil
	l.parsed = 0
	return l.parse()
}

// due says that the work is not to wait for more rows: there is no room for them, none
// will come, or nothing else keeps the workers busy.
func (l *loader) due() bool {
	return l.full() || l.filled == len(l.work.Data()) || l.end || len(l.flying) == 0
}

// submitIfDue hands the work on when it is due, and its pace allows it; it reports
// whether it did.
func (l *loader) submitIfDue() (bool, error) {
	if !l.due() {
		return false, nil
	}
	if l.work.empty() {
		l.compact()
		return false, nil
	}
	if l.work.Len() > 0 {
		now := time.Now()
		if l.pace.until(now, len(l.flying)) > 0 {
			return false, nil
		}
		l.pace.submitted(now, l.work.Len())
		l.expect()
		l.sink.Submit(l.work.Batch)
	}
	l.carry = l.work.Data()[l.parsed:l.filled]
	l.work.end = l.at
	if l.skips {
		l.work.end = l.given
	}
	l.flying = append(l.flying, l.work)
	l.work = nil
	return true, l.retire(0)
}

// expect tells the batch how many rows the whole load will have if those to come are
// like those that were read, or as many as the row at hand says; few rows are no evidence of
// very many.
func (l *loader) expect() {
	parsed := l.counts.Bytes - uint64(l.filled-l.parsed)
	rowBytes := max(parsed/l.rows, 1)
	rows := uint64(max(l.size, 0)) / rowBytes
	if l.row.Left > 0 {
		rows = l.row.Left
		rowBytes = uint64(l.row.Key.Len + l.row.Value.Len)
	}
	l.work.Expect(min(rows, evidence*l.rows), rowBytes)
}

// compact moves what is not parsed to the beginning of a work without rows.
func (l *loader) compact() {
	if l.parsed == 0 {
		return
	}
	l.filled = copy(l.work.Data(), l.work.Data()[l.parsed:l.filled])
	l.parsed = 0
}

// collect takes the works back whose batches are finished.
func (l *loader) collect() error {
	var count [8]byte
	n, err := unix.Read(l.done, count[:])
	if n != len(count) {
		if err == unix.EAGAIN || err == unix.EINTR {
			return nil
		}
		return os.NewSyscallError("read", err)
	}
	l.pace.finished(time.Now())
	return l.retire(binary.NativeEndian.Uint64(count[:]))
}

// retire accounts for works, oldest first: so many whose batches are finished, and those
// that have no row to store.
func (l *loader) retire(finished uint64) error {
	var failed error
	for len(l.flying) > 0 {
		w := l.flying[0]
		if w.Len() > 0 {
			if finished == 0 {
				break
			}
			finished--
		}
		l.flying = l.flying[1:]
		failed = cmp.Or(failed, l.account(w))
		l.free = append(l.free, w)
	}
	if !l.limited && l.maxErrors.Exceeded(l.bad, l.rows, false) {
		l.limit()
	}
	return failed
}

// wait waits for at least one batch, whatever the client does.
func (l *loader) wait() error {
	if err := poll.Readable(l.done); err != nil {
		return err
	}
	return l.collect()
}

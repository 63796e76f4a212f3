package load

import (
	"cmp"
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// evidence is for how many times as many rows those that were read stand.
const evidence = 64

// full says that the batch has as many rows as it may have.
func (l *loader) full() bool {
	return l.batch.Full() || l.batch.Len() >= l.pace.rows
}

// complete says that nothing more is to be read into the batch: it has all its rows, or
// its data is full, and the line that does not fit in goes to the next.
func (l *loader) complete() bool {
	return l.full() || l.batch.Len() > 0 && l.filled == len(l.batch.Data())
}

// patience is how long to wait at most: for limit, below 0 for ever, or until the
// batch may be submitted.
func (l *loader) patience(limit time.Duration) time.Duration {
	if l.batch == nil || l.batch.Len() == 0 || !l.due() {
		return limit
	}
	until := l.pace.until(time.Now(), len(l.flying))
	if limit >= 0 && limit < until {
		return limit
	}
	return until
}

// hand submits what is due, and goes on with the next batch while one is free.
func (l *loader) hand() error {
	for {
		if err := l.take(); err != nil {
			return err
		}
		if l.batch == nil || !l.submitIfDue() {
			return nil
		}
	}
}

// take makes a free batch the one to fill, with what the last one left over.
func (l *loader) take() error {
	if l.batch != nil || len(l.free) == 0 {
		return nil
	}
	l.batch = l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	// Where carry is part of this batch's own data, it is shorter than that.
	for len(l.batch.Data()) <= len(l.carry) {
		if err := l.batch.Resize(2 * len(l.batch.Data())); err != nil {
			return err
		}
	}
	l.filled = copy(l.batch.Data(), l.carry)
	l.batch.Shrink(l.filled + 1)
	l.carry = nil
	l.batch.Reset()
	l.before = l.line
	l.lines[l.batch] = l.line
	l.parsed, l.scanned = 0, 0
	l.parse()
	return nil
}

// due says that the batch is not to wait for more rows: there is no room for them, none
// will come, or nothing else keeps the workers busy.
func (l *loader) due() bool {
	return l.full() || l.filled == len(l.batch.Data()) || l.end || len(l.flying) == 0
}

// submitIfDue hands the batch on when it is due, and its pace allows it; it reports
// whether it did.
func (l *loader) submitIfDue() bool {
	if !l.due() {
		return false
	}
	if l.batch.Len() == 0 {
		l.compact()
		return false
	}
	now := time.Now()
	if l.pace.until(now, len(l.flying)) > 0 {
		return false
	}
	l.pace.submitted(now, l.batch.Len())
	l.carry = l.batch.Data()[l.parsed:l.filled]
	l.expect()
	l.sink.Submit(l.batch)
	l.flying = append(l.flying, l.batch)
	l.batch = nil
	return true
}

// expect tells the batch how many rows the whole load will have if those to come are
// like those that were read; few rows are no evidence of very many.
func (l *loader) expect() {
	parsed := l.counts.Bytes - uint64(l.filled-l.parsed)
	rowBytes := max(parsed/l.counts.Rows, 1)
	rows := uint64(max(l.size, 0)) / rowBytes
	l.batch.Expect(min(rows, evidence*l.counts.Rows), rowBytes)
}

// compact moves what is not parsed to the beginning of a batch without rows.
func (l *loader) compact() {
	if l.parsed == 0 {
		return
	}
	l.filled = copy(l.batch.Data(), l.batch.Data()[l.parsed:l.filled])
	l.scanned -= l.parsed
	l.parsed = 0
}

// collect takes the finished batches back, oldest first.
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
	var failed error
	for range binary.NativeEndian.Uint64(count[:]) {
		b := l.flying[0]
		l.flying = l.flying[1:]
		failed = cmp.Or(failed, l.counts.add(b, l.lines[b]))
		l.free = append(l.free, b)
	}
	return failed
}

// wait waits for at least one batch, whatever the client does.
func (l *loader) wait() error {
	set := []unix.PollFd{{Fd: int32(l.done), Events: unix.POLLIN}}
	if _, err := unix.Poll(set, -1); err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	return l.collect()
}

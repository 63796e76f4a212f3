package load

import (
	"bytes"
	"fmt"
	"maps"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
)

// What can become of a good row when it is stored, in words for a person.
const (
	TooLarge record.Reason = "value too large for memcached's item size limit (-I)"
	NoMemory record.Reason = "out of memory in memcached"
	Exists   record.Reason = "key exists"
	Missing  record.Reason = "key does not exist"
)

// refusals and absences are the reasons for outcomes that are none.
var (
	refusals = map[batch.Outcome]record.Reason{batch.TooLarge: TooLarge, batch.NoMemory: NoMemory}
	absences = map[batch.Outcome]record.Reason{batch.Exists: Exists, batch.Missing: Missing, batch.Expired: record.Expired}
)

// A Reject is a row that could not be stored.
type Reject struct {
	Line   uint64 // its first, counted from 1
	Column int    // the byte of the row, counted from 1; 0: not known
	Reason record.Reason
	Key    []byte // or what stands in its place, up to 250 bytes of it
}

// Counts accounts for the rows of a load: Rows = Stored + Rejected + Skipped.
type Counts struct {
	Rows     uint64 // read, and given to memcached or found bad
	Stored   uint64
	Rejected uint64 // bad, too large, or no memory for it
	Skipped  uint64 // add found the key, replace did not, NULL, or expired already
	Bytes    uint64 // of input read
	Canceled bool   // the client went before the end of the input
	Limited  bool   // more rows were rejected than MaxErrors has
	// Incomplete says that the input is a dump without its end.
	Incomplete bool

	Reasons map[record.Reason]uint64 // of rejected and skipped rows
	Rejects []Reject                 // the first, in the order of their lines

	// Position is behind the last row that is accounted for.
	Position Position

	kept int // how many Rejects there are at most
}

func (c *Counts) check() error {
	if c.Rows != c.Stored+c.Rejected+c.Skipped {
		return fmt.Errorf("%d rows were read, but %d stored, %d rejected and %d skipped",
			c.Rows, c.Stored, c.Rejected, c.Skipped)
	}
	return nil
}

func (c *Counts) because(reason record.Reason, n uint64) {
	if c.Reasons == nil {
		c.Reasons = make(map[record.Reason]uint64)
	}
	c.Reasons[reason] += n
}

func (c *Counts) skip(reason record.Reason, n uint64) {
	c.Skipped += n
	c.because(reason, n)
}

func (c *Counts) reject(r reject) {
	c.Rejected++
	c.because(r.reason, 1)
	if len(c.Rejects) < c.kept {
		c.Rejects = append(c.Rejects, Reject{Line: r.line, Column: r.column, Reason: r.reason, Key: bytes.Clone(r.key)})
	}
}

// account counts what became of a finished work's rows.
func (l *loader) account(w *work) error {
	c := &l.counts
	var outcomes batch.Counts
	var failed error
	if w.Len() > 0 { // otherwise it was never submitted
		outcomes, failed = w.Counts()
		if l.options.Sample != nil {
			l.options.Sample.take(w.Batch)
		}
	}
	// What has no outcome does not count as read.
	c.Rows += w.rows - uint64(w.Len()) + outcomes.Sum()
	removals := w.removals()
	outcomes[batch.Expired] -= removals // they are rejects
	c.Stored += outcomes[batch.Stored]
	for outcome, reason := range absences {
		if n := outcomes[outcome]; n > 0 {
			c.skip(reason, n)
		}
	}
	for reason, n := range maps.All(w.skipped) {
		c.skip(reason, n)
	}
	if refused := outcomes[batch.TooLarge] + outcomes[batch.NoMemory]; refused+removals > 0 || len(w.bad) > 0 {
		l.bad += refused
		var written error
		err := w.rejects(func(r reject) error {
			c.reject(r)
			if written == nil && !r.streamed() {
				written = l.rejects.write(r, w.Data()[r.from:r.to])
			}
			return nil
		})
		if failed == nil {
			failed = err
		}
		if failed == nil {
			failed = written
		}
	}
	if failed == nil {
		c.Position = w.end
	}
	return failed
}

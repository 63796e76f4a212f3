package load

import (
	"bytes"
	"fmt"
	"maps"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
)

// rejectReasons and skipReasons are the reasons for the outcomes of rows that are not stored.
var (
	rejectReasons = map[batch.Outcome]record.Reason{batch.TooLarge: unstored.TooLarge, batch.NoMemory: unstored.NoMemory}
	skipReasons   = map[batch.Outcome]record.Reason{batch.Exists: unstored.Exists, batch.Missing: unstored.Missing, batch.Expired: record.Expired}
)

// A Reject is a row that could not be stored.
type Reject struct {
	Line   uint64 // its first, counted from 1
	Column int    // the byte of that line, or of the row if it has several, counted from 1; 0: not known
	Reason record.Reason
	Detail string // of the Reason in this row; "": there is none
	Key    []byte // or what was read in its place, meta.KeyMax bytes of it at most
}

// Counts accounts for the rows of a load: Rows = Stored + Rejected + Skipped.
type Counts struct {
	Rows     uint64 // that were read and have an outcome
	Stored   uint64
	Rejected uint64 // malformed, too large, or no memory for it
	Skipped  uint64 // add found the key, replace did not, NULL, or expired already
	Bytes    uint64 // of input that was read
	Canceled bool   // the client went before the end of the input
	Limited  bool   // more rows were rejected than the limits allow
	// Incomplete says that the input is a truncated dump, or a truncated JSON array.
	Incomplete bool

	Reasons map[record.Reason]uint64 // of rejected and skipped rows
	Rejects []Reject                 // the first, in the order of their lines
	First   []First                  // the first stored rows
	Notes   []string                 // about the input (record.Parser.Notes), when the load has ended

	// Position is behind the last row that is accounted for.
	Position Position

	rejectsKept int // how many Rejects there are at most
}

func (c *Counts) check() error {
	if c.Rows != c.Stored+c.Rejected+c.Skipped {
		return fmt.Errorf("%d rows were read, but %d stored, %d rejected and %d skipped",
			c.Rows, c.Stored, c.Rejected, c.Skipped)
	}
	return nil
}

func (c *Counts) countReason(reason record.Reason, n uint64) {
	if c.Reasons == nil {
		c.Reasons = make(map[record.Reason]uint64)
	}
	c.Reasons[reason] += n
}

func (c *Counts) skip(reason record.Reason, n uint64) {
	c.Skipped += n
	c.countReason(reason, n)
}

func (c *Counts) reject(r reject) {
	c.Rejected++
	c.countReason(r.reason, 1)
	if len(c.Rejects) < c.rejectsKept {
		c.Rejects = append(c.Rejects, Reject{Line: r.line, Column: r.column, Reason: r.reason, Detail: r.detail, Key: bytes.Clone(r.key)})
	}
}

// account counts what became of a finished batch's rows. The error is the store's, or that of writing the rejects.
func (l *loader) account(b *loadBatch) error {
	c := &l.counts
	var outcomes batch.Counts
	var failed error
	if b.Len() > 0 { // otherwise it was never submitted
		outcomes, failed = b.Counts()
		if l.options.Sample != nil {
			l.options.Sample.add(b.Batch)
		}
		c.keepFirst(b.Batch, l.options.FirstKept)
	}
	// What has no outcome does not count as read.
	c.Rows += b.rows - uint64(b.Len()) + outcomes.Sum()
	removals := b.removals()
	outcomes[batch.Expired] -= removals // these are rejects
	c.Stored += outcomes[batch.Stored]
	for outcome, reason := range skipReasons {
		if n := outcomes[outcome]; n > 0 {
			c.skip(reason, n)
		}
	}
	for reason, n := range maps.All(b.skipped) {
		c.skip(reason, n)
	}
	if byStore := outcomes[batch.TooLarge] + outcomes[batch.NoMemory]; byStore+removals > 0 || len(b.rejected) > 0 {
		l.rejected += byStore
		var written error
		err := b.rejects(func(r reject) error {
			c.reject(r)
			if written == nil && !r.streamed() {
				written = l.rejects.write(r, b.Data()[r.from:r.to])
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
		c.Position = b.end
	}
	return failed
}

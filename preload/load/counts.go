package load

import (
	"bytes"
	"fmt"
	"slices"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/record"
)

// rejectsKept is how many rejected rows are kept with their lines.
const rejectsKept = 10

// What can become of a good row when it is stored, in words for a person.
const (
	TooLarge record.Reason = "value too large for memcached's item size limit (-I)"
	NoMemory record.Reason = "out of memory in memcached"
	Exists   record.Reason = "key exists"
	Missing  record.Reason = "key does not exist"
)

// A Reject is a row that could not be stored.
type Reject struct {
	Line   uint64 // counted from 1
	Reason record.Reason
	Key    []byte // or what stands in its place, up to 250 bytes of it
}

// Counts accounts for the rows of a load: Rows = Stored + Rejected + Skipped.
type Counts struct {
	Rows     uint64 // read, and given to memcached or found bad
	Stored   uint64
	Rejected uint64 // bad, too large, or no memory for it
	Skipped  uint64 // by the load's command: add found the key, replace did not
	Bytes    uint64 // of input read
	Canceled bool   // the client went before the end of the input

	Reasons map[record.Reason]uint64 // of rejected and skipped rows
	Rejects []Reject                 // the first, in the order of their lines
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

// reject counts a rejected row.  Rows that the store rejects are known later than
// later lines that are bad, so the first of them are kept in order.
func (c *Counts) reject(line uint64, reason record.Reason, key []byte) {
	c.Rejected++
	c.because(reason, 1)
	if n := len(c.Rejects); n == rejectsKept && c.Rejects[n-1].Line < line {
		return
	}
	at, _ := slices.BinarySearchFunc(c.Rejects, line, func(r Reject, line uint64) int {
		if r.Line < line {
			return -1
		}
		return 1
	})
	kept := bytes.Clone(key[:min(len(key), record.KeyMax)])
	c.Rejects = slices.Insert(c.Rejects, at, Reject{Line: line, Reason: reason, Key: kept})
	if len(c.Rejects) > rejectsKept {
		c.Rejects = c.Rejects[:rejectsKept]
	}
}

// add counts what became of a finished batch, whose first line is line+1.
func (c *Counts) add(b *batch.Batch, line uint64) error {
	counts, err := b.Counts()
	if err != nil {
		// What has no outcome does not count as read.
		c.Rows -= uint64(b.Len()) - counts.Sum()
	}
	c.Stored += counts[batch.Stored]
	for outcome, reason := range map[batch.Outcome]record.Reason{batch.Exists: Exists, batch.Missing: Missing} {
		if n := counts[outcome]; n > 0 {
			c.Skipped += n
			c.because(reason, n)
		}
	}
	if counts[batch.TooLarge]+counts[batch.NoMemory] == 0 {
		return err
	}
	for i := range b.Len() {
		switch outcome, tag, key := b.Row(i); outcome {
		case batch.TooLarge:
			c.reject(line+uint64(tag), TooLarge, key)
		case batch.NoMemory:
			c.reject(line+uint64(tag), NoMemory, key)
		}
	}
	return err
}

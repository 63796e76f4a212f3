package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"memcached-backdoor/preload/door"
)

// copyCounts accounts for the items of a copy: Items = Copied + Rejected + Skipped + Filtered + Lost + Left.
type copyCounts struct {
	Items    uint64 `json:"items"`    // live ones that were met in the source
	Copied   uint64 `json:"copied"`   // stored at the target
	Rejected uint64 `json:"rejected"` // the target cannot store them
	Skipped  uint64 `json:"skipped"`  // for the mode, or had expired meanwhile
	Filtered uint64 `json:"filtered"` // not among those that were asked for
	Lost     uint64 `json:"lost"`     // their values could not be read
	Left     uint64 `json:"left"`     // the copy ended before they were stored, or before that was known

	Reasons  map[string]uint64 `json:"reasons,omitempty"` // of rejected and skipped items
	Rejects  []door.Reject     `json:"rejects,omitempty"` // the first
	LostKeys []string          `json:"lost_keys,omitempty"`
	Gone     *door.Gone        `json:"gone,omitempty"` // copied, and evicted by those that came after them

	Bytes        uint64      `json:"bytes"` // of the dump that was between them
	Seconds      float64     `json:"seconds"`
	Engine       door.Engine `json:"engine"`
	EngineReason string      `json:"engine_reason,omitempty"`
	To           string      `json:"to"`
	TargetEngine door.Engine `json:"target_engine"`
	TargetReason string      `json:"target_engine_reason,omitempty"`

	Verified *verifyCounts `json:"verified,omitempty"`
}

// copyDocument is what --json prints.
type copyDocument struct {
	*copyCounts
	Interrupted bool   `json:"interrupted"`
	Error       string `json:"error,omitempty"`
}

// print prints the outcome of a copy that ended with err and returns the error that the client ends with.
func (c *copyCounts) print(asJSON bool, err error) error {
	if err == nil && c.Rejected+c.Lost > 0 {
		err = errNotCopied
	}
	var printed error
	if asJSON {
		document := copyDocument{copyCounts: c, Interrupted: interrupted(err)}
		if err != nil && !errors.Is(err, errNotCopied) {
			document.Error = err.Error()
		}
		printed = printJSON(document)
	} else {
		c.list(os.Stderr)
		_, printed = fmt.Println(c.summary(interrupted(err)))
		if c.Verified != nil && printed == nil && c.Verified.Done {
			c.Verified.list(os.Stderr)
			_, printed = fmt.Println(c.Verified.summary(c.Rejected))
		}
	}
	if printed != nil && (err == nil || errors.Is(err, errNotCopied)) {
		return fileError("standard output", printed)
	}
	return err
}

// list says which items were not copied, and for which reasons.
func (c *copyCounts) list(w io.Writer) {
	for _, key := range c.LostKeys {
		fmt.Fprintf(w, "lost: %s\n", key)
	}
	for _, r := range c.Rejects {
		fmt.Fprintf(w, "rejected: %s\n", r.Text())
	}
	if uint64(len(c.Rejects)) == c.Rejected && c.Skipped == 0 {
		return
	}
	listReasons(w, c.Reasons, "item")
}

// summary is the line that accounts for every item.
func (c *copyCounts) summary(interrupted bool) string {
	s := fmt.Sprintf("%s met: %d copied, %d rejected, %d skipped, %d filtered, %d lost", door.Count(c.Items, "item"), c.Copied, c.Rejected, c.Skipped, c.Filtered, c.Lost)
	if c.Left > 0 {
		s += fmt.Sprintf(", %d left or unknown", c.Left)
	}
	s += fmt.Sprintf(" (%s in %.2f s", size(c.Bytes), c.Seconds)
	if c.Seconds > 0 {
		s += fmt.Sprintf(", %.0f items/s", float64(c.Items)/c.Seconds)
	}
	s += ") to " + c.To
	if c.TargetEngine != "" {
		s += ", " + string(c.TargetEngine)
	}
	if interrupted {
		s += ", interrupted"
	}
	if g := c.Gone; g != nil && g.Rows > 0 {
		about := "about "
		if g.Exact {
			about = ""
		}
		s += fmt.Sprintf("; %s%d of the copied items are gone again: %s", about, g.Rows, cmp.Or(g.Unknown, "the target is too small for them"))
	}
	if c.EngineReason != "" {
		s += "; the source is not native: " + c.EngineReason
	}
	if c.TargetReason != "" {
		s += "; the target is not native: " + c.TargetReason
	}
	return s
}

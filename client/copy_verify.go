package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/record"
)

// verifyCounts is what came of a verification: Copied = Same + Changed + Gone + Expired + Kept + Missing + Different.
// They are about keys; what was copied twice, since a client stored it anew meanwhile, counts once.
type verifyCounts struct {
	Done    bool   `json:"done"`
	Copied  uint64 `json:"copied"`  // items that came from the source, also those that the target or its protocol rejects
	Same    uint64 `json:"same"`    // in the source, as it is now, and in the target
	Changed uint64 `json:"changed"` // in the source since they were copied: the target may have the old ones
	Gone    uint64 `json:"gone"`    // from the source since they were copied
	Expired uint64 `json:"expired"` // since they were copied
	Kept    uint64 `json:"kept"`    // the target has others or none, as --mode says

	Missing   uint64 `json:"missing"`   // at the target: evicted or deleted there, or rejected
	Different uint64 `json:"different"` // at the target

	New   *uint64 `json:"new,omitempty"`   // in the source since; nil: conditions decide that are not about keys
	Extra *uint64 `json:"extra,omitempty"` // more items at the target; nil: it has no door

	Wrong   []wrongItem `json:"wrong,omitempty"` // the first that are missing or different
	Seconds float64     `json:"seconds"`
}

// A wrongItem is an item that is not at the target as it was copied.
type wrongItem struct {
	differenceJSON
	shown string
}

// wrongMax is how many wrong items are listed.
const wrongMax = 10

// tolerance is how many seconds earlier or later an item may expire at the target: both clocks tick once a second, and
// late on a busy machine.
const tolerance = 5

// verification compares a target with what was copied, and with the source as it is afterwards.
type verification struct {
	digests // of what was copied
	mode    record.Mode
	keys    keying
	read    chan error         // of reading what was copied
	how     map[*digest]string // of some different items: how they differ
	verifyCounts
}

// What the target has of an item that was copied.
const (
	absent    = iota
	present   // the same
	different // another value, flags, time or marks
)

func newVerification(c *copyCommand) *verification {
	v := &verification{digests: newDigests(), mode: record.Mode(c.Mode), keys: c.keying, how: map[*digest]string{}}
	if c.filter() == c.keying.filter() { // items that are new in the source would have been copied
		v.New = new(uint64)
	}
	return v
}

// watch returns what has the same bytes as the dump, of which the items are added.
func (v *verification) watch(dump *os.File) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	widen(w, pipeSize)
	v.read = make(chan error, 1)
	go func() {
		end := readItems(io.TeeReader(dump, w), itemMax, v.add)
		dump.Close()
		w.Close()
		v.read <- end.err
	}()
	return r, nil
}

// verify reads both sides again.
func (c *copying) verify() error {
	v := c.verified
	if v.read != nil {
		if err := <-v.read; err != nil {
			return err
		}
	}
	began := time.Now()
	v.Copied = v.sort()
	source := &dumping{caller: c.caller, request: dumpRequest(dump.MS, v.keys.filter())}
	if err := c.to.verify(v, source); err != nil {
		if interrupted(err) {
			return err
		}
		return fmt.Errorf("the copy is done, and cannot be verified: %w", err)
	}
	for n := range v.all {
		switch {
		case n.met:
		case over(n):
			v.Expired++
		default:
			v.Gone++
		}
	}
	v.Done, v.Seconds = true, time.Since(began).Seconds()
	if sum := v.Same + v.Changed + v.Gone + v.Expired + v.Kept + v.Missing + v.Different; sum != v.Copied {
		return fmt.Errorf("the counts do not add up: %+v", v.verifyCounts)
	}
	if v.Missing+v.Different > 0 {
		return errNotCopied
	}
	return nil
}

// over reports whether an item has expired, or will in a moment.
func over(n *digest) bool { return n.expires != 0 && int64(n.expires) <= time.Now().Unix()+tolerance }

// meet notes an item of the source as it is now. It returns the digest of what was copied, if the target is to have
// that: not of an item that is new, has changed, or was met already.
func (v *verification) meet(i *item) *digest {
	n := v.find(i.key)
	switch {
	case n == nil:
		if v.New != nil {
			*v.New++
		}
		return nil
	case n.met:
		return nil
	}
	n.met = true
	if n.differs(v.digest(i), tolerance) != "" {
		v.Changed++
		return nil
	}
	return n
}

// judge counts an item that has not changed in the source, by what the target has.
func (v *verification) judge(key []byte, n *digest, standing uint8, how string) {
	switch {
	case standing == present:
		v.Same++
	case over(n):
		v.Expired++
	case standing == different && v.mode == record.ModeAdd, standing == absent && v.mode == record.ModeReplace:
		v.Kept++
	case standing == different:
		v.Different++
		v.wrong('~', key, how)
	default:
		v.Missing++
		v.wrong('-', key, "")
	}
}

func (v *verification) wrong(sign byte, key []byte, how string) {
	if len(v.Wrong) == wrongMax {
		return
	}
	w := wrongItem{differenceOf(sign, key, how), fmt.Sprintf("%s: %s", signs[sign], shownKey(key))}
	if how != "" {
		w.shown += " " + how
	}
	v.Wrong = append(v.Wrong, w)
}

// verify reads the target first: what differs there, and is in the source afterwards as it was copied, is wrong.
func (s *doorSink) verify(v *verification, source *dumping) error {
	v.Extra = new(uint64)
	target := &dumping{caller: s.caller, request: dumpRequest(dump.MS, v.keys.filter())}
	err := target.each(func(i *item) {
		n := v.find(i.key)
		if n == nil {
			*v.Extra++
			return
		}
		n.standing = present
		if how := n.differs(v.digest(i), tolerance); how != "" {
			n.standing = different
			if len(v.how) < 100*wrongMax {
				v.how[n] = how
			}
		}
	})
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	err = source.each(func(i *item) {
		if n := v.meet(i); n != nil {
			v.judge(i.key, n, n.standing, v.how[n])
		}
	})
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	return nil
}

// each calls f for every item with its value.
func (d *dumping) each(f func(*item)) error {
	to, err := pipeTarget(func(r io.Reader) error { return readItems(r, itemMax, f).err })
	if err != nil {
		return err
	}
	return d.all(to)
}

// all dumps every item with its value.
func (d *dumping) all(to *target) error {
	counts, err := d.dump(to)
	if err == nil && counts.Lost > 0 {
		err = fmt.Errorf("the values of %s could not be read", door.Count(counts.Lost, "item"))
	}
	return err
}

func (c *verifyCounts) list(w io.Writer) {
	for _, wrong := range c.Wrong {
		fmt.Fprintln(w, wrong.shown)
	}
	if more := c.Missing + c.Different - uint64(len(c.Wrong)); more > 0 {
		fmt.Fprintf(w, "... and %d more\n", more)
	}
}

// summary accounts for what was copied; rejected is how many of the missing ones the target has rejected.
func (c *verifyCounts) summary(rejected uint64) string {
	s := fmt.Sprintf("%s compared: %d same, %d changed and %d gone in the source since, %d expired", door.Count(c.Copied, "item"), c.Same, c.Changed, c.Gone, c.Expired)
	if c.Kept > 0 {
		s += fmt.Sprintf(", %d as they were in the target (--mode)", c.Kept)
	}
	s += fmt.Sprintf(", %d missing in the target", c.Missing)
	if c.Missing > 0 {
		s += " (evicted or deleted there"
		if rejected > 0 {
			s += ", or rejected"
		}
		s += ")"
	}
	s += fmt.Sprintf(", %d different there", c.Different)
	if c.New != nil && *c.New > 0 {
		s += fmt.Sprintf("; %d new in the source", *c.New)
	}
	if c.Extra != nil && *c.Extra > 0 {
		s += fmt.Sprintf("; %d more in the target", *c.Extra)
	}
	return fmt.Sprintf("%s (%.2f s)", s, c.Seconds)
}

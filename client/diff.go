package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"memcached-backdoor/client/unpack"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/option"
)

type diffCommand struct {
	Dump string `arg:"" name:"DUMP" complete:"FILE" help:"The dump, which is read twice; - is standard input, if that is a file."`

	TTLTolerance timeToLive `group:"Items:" name:"ttl-tolerance" placeholder:"TIME" default:"2s" help:"How much earlier or later an item may expire: seconds, or a duration such as 10m. Default: 2s, since dates are known to a second."`
	keying
}

// Run compares, lists what differs, and accounts for all items.
func (c *diffCommand) Run(line *commandLine) error {
	selects, err := c.selects()
	if err != nil {
		return err
	}
	signals := interrupts()
	file, err := orInterrupted(signals, c.open)
	if err != nil {
		return err
	}
	// Reading a dump can take long: first look whether memcached answers.
	call := newCaller(line, signals, noProgress{}, 0)
	if _, err := call.status(); err != nil {
		return err
	}
	out := newDifferences(os.Stdout, line.JSON)
	d := &difference{command: c, selects: selects, name: file.name, file: file.file, start: file.start, packed: file.packed, out: out}
	dumping := dumping{caller: call, request: dumpRequest(dump.MS, c.filter())}
	err = d.compare(&dumping)
	if interrupted(err) {
		return err // the goroutine that lists the differences may still run
	}
	done := err == nil
	if done {
		err = d.verdict()
	}
	printed := out.end(&d.diffCounts, done, err)
	if printed != nil && (err == nil || errors.Is(err, errDiffer)) {
		return fileError("standard output", printed)
	}
	return err
}

// open opens the dump, which must be a regular file: it is read twice.
func (c *diffCommand) open() (*source, error) {
	s, err := openSource(c.Dump)
	if err != nil {
		return nil, err
	}
	if info, err := s.file.Stat(); err != nil {
		return nil, fileError(s.name, err)
	} else if !info.Mode().IsRegular() {
		return nil, hintError{fmt.Errorf("%s: is not a regular file: a dump is read twice, for its items and then for the keys of those that are missing", s.name),
			"write it to a file, and name that"}
	}
	if s.packed, err = unpack.Look(s.file); err != nil {
		return nil, fileError(s.name, err)
	}
	return s, nil
}

// diffCounts accounts for items: Dump = Same + Changed + Missing + Expired, and
// Cache = Same + Changed + Added.
type diffCounts struct {
	Dump    uint64 `json:"dump"`  // selected keys, each once
	Cache   uint64 `json:"cache"` // items
	Same    uint64 `json:"same"`
	Changed uint64 `json:"changed"`
	Missing uint64 `json:"missing"`
	Expired uint64 `json:"expired"` // since the dump
	Added   uint64 `json:"added"`
	Damaged uint64 `json:"damaged"` // items of the dump that are damaged, and not compared
	Lost    uint64 `json:"lost"`    // items of the cache whose values could not be read, and which may count as missing

	Complete bool    `json:"complete"` // the dump has its end
	Seconds  float64 `json:"seconds"`
}

func (c *diffCounts) check() error {
	if c.Dump != c.Same+c.Changed+c.Missing+c.Expired || c.Cache != c.Same+c.Changed+c.Added {
		return fmt.Errorf("the counts do not add up: %+v", *c)
	}
	return nil
}

// verdict is the error that the client ends with; nil: no difference.
func (c *diffCounts) verdict() error {
	switch {
	case !c.Complete:
		return errDumpCut
	case c.Lost > 0:
		return fmt.Errorf("the values of %s of the cache could not be read: they are not compared", door.Count(c.Lost, "item"))
	case c.Changed+c.Missing+c.Added+c.Damaged > 0:
		return errDiffer
	}
	return nil
}

func (c *diffCounts) summary() string {
	s := fmt.Sprintf("%s in the dump, %d in the cache: %d same, %d changed, %d missing, %d added, %d expired since the dump",
		door.Count(c.Dump, "item"), c.Cache, c.Same, c.Changed, c.Missing, c.Added, c.Expired)
	if c.Damaged > 0 {
		s += fmt.Sprintf("; %d damaged in the dump; those in the cache count as added", c.Damaged)
	}
	return fmt.Sprintf("%s (%.2f s)", s, c.Seconds)
}

// difference is a comparison.
type difference struct {
	command *diffCommand
	selects func(key []byte) bool
	name    string
	file    *os.File
	start   int64 // offset of the dump in the file
	packed  unpack.Kind
	out     *differences
	digests digests
	diffCounts
}

// compare reads the dump, then the cache, and, if items are missing, the dump again.
func (d *difference) compare(cache *dumping) error {
	began := time.Now()
	d.digests = newDigests()
	if _, err := orInterrupted(cache.signals, func() (bool, error) { return true, d.readDump() }); err != nil {
		return err
	}
	to, err := pipeTarget(func(r io.Reader) error { return readItems(r, itemMax, d.live).err })
	if err != nil {
		return err
	}
	counts, err := cache.dump(to)
	if err != nil {
		return err
	}
	d.Lost = counts.Lost
	d.account(time.Now().Unix())
	if err := d.check(); err != nil {
		return err
	}
	if d.Cache != counts.Written {
		return fmt.Errorf("the counts do not add up: %d items were sent, and %d came", counts.Written, d.Cache)
	}
	if d.Missing > 0 {
		if _, err := orInterrupted(cache.signals, func() (bool, error) { return true, d.listMissing() }); err != nil {
			return err
		}
	}
	d.Seconds = time.Since(began).Seconds()
	return nil
}

// readDump makes digests of the dump's items.
func (d *difference) readDump() error {
	end := d.eachDumped(func(i *item) { d.digests.add(i) })
	if end.err != nil {
		return end.err
	}
	d.Damaged, d.Complete = end.damaged, end.complete
	if end.items == 0 && !end.complete {
		return hintError{fmt.Errorf("%s: is not a dump", d.name), "dump without --format writes one"}
	}
	d.Dump = d.digests.sort()
	return nil
}

// eachDumped calls each for the selected items of the dump, from its beginning.
func (d *difference) eachDumped(each func(*item)) itemsEnd {
	if _, err := d.file.Seek(d.start, io.SeekStart); err != nil {
		return itemsEnd{err: fileError(d.name, err)}
	}
	plain, err := unpack.NewReader(d.packed, d.file)
	if err != nil {
		return itemsEnd{err: unpackError(d.name, err)}
	}
	defer plain.Close()
	end := readItems(plain, itemMax, func(i *item) {
		if d.selects(i.key) {
			each(i)
		}
	})
	if foreign, ok := errors.AsType[*option.Error](end.err); ok {
		end.err = hintError{fileError(d.name, foreign), foreign.Hint}
	} else if end.err != nil {
		end.err = unpackError(d.name, end.err)
	}
	return end
}

// live compares an item of the cache with the digests.
func (d *difference) live(i *item) {
	d.Cache++
	n := d.digests.find(i.key)
	if n == nil {
		d.Added++
		d.out.add('+', i.key, "")
		return
	}
	n.met = true
	if what := n.differs(d.digests.digest(i), int64(d.command.TTLTolerance)); what != "" {
		d.Changed++
		d.out.add('~', i.key, what)
	} else {
		d.Same++
	}
}

// account counts the items that were not met as expired or missing.
func (d *difference) account(now int64) {
	for n := range d.digests.all {
		switch {
		case n.met:
		case d.expired(n, now):
			d.Expired++
			n.met = true
		default:
			d.Missing++
		}
	}
}

// expired says whether an item has expired since the dump.
func (d *difference) expired(n *digest, now int64) bool {
	return n.expires != 0 && int64(n.expires) <= now+int64(d.command.TTLTolerance)
}

// listMissing lists the items that were not met; their keys are in the dump only.
func (d *difference) listMissing() error {
	var listed uint64
	end := d.eachDumped(func(i *item) {
		if n := d.digests.find(i.key); n != nil && !n.met {
			n.met = true
			listed++
			d.out.add('-', i.key, "")
		}
	})
	if end.err == nil && listed != d.Missing {
		return fmt.Errorf("%s: was changed while it was read", d.name)
	}
	return end.err
}

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

type getCommand struct {
	Keys []string `arg:"" name:"KEY" help:"The keys: of one, the value is printed byte for byte; of several, a JSON object per line, in their order."`

	keyEncoding
	Meta   bool   `group:"Output:" help:"Show what memcached knows of the item instead of its value: size, flags, when it expires and was used, CAS unique, slab class, whether it is in extstore, stale or won. Of several keys, and with --json, in addition to the value."`
	Output string `group:"Output:" placeholder:"FILE" complete:"FILE" help:"Write to FILE, which appears when it is complete; - is standard output, also if that is a terminal and the value is binary. Default: standard output."`

	waiting
}

// keyEncoding is how keys are written on the command line.
type keyEncoding struct {
	Base64 bool `group:"Items:" name:"base64" help:"The key is in base64: what is not text cannot be an argument."`
}

// key reads a key of the command line. The error is a usageError.
func (e *keyEncoding) key(text string) ([]byte, error) {
	key := []byte(text)
	if e.Base64 {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, usageError{fmt.Errorf("the key %s is not base64", clip.Quote(text))}
		}
	}
	if len(key) == 0 || len(key) > meta.KeyMax {
		return nil, usageError{fmt.Errorf("the key %s has %d bytes: memcached's keys have 1 to %d", clip.Quote(text), len(key), meta.KeyMax)}
	}
	return key, nil
}

// errMissing ends a get of keys that are not all in the cache, or whose values could not be read. They have been listed.
var errMissing = errors.New("not all keys are in the cache")

// Run gets the items, and says which are missing.
func (c *getCommand) Run(line *commandLine) error {
	g := getting{asJSON: line.JSON, meta: c.Meta, values: !c.Meta || line.JSON || len(c.Keys) > 1}
	for _, text := range c.Keys {
		key, err := c.key(text)
		if err != nil {
			return err
		}
		g.asked = append(g.asked, key)
	}
	signals := interrupts()
	to, err := orInterrupted(signals, func() (*target, error) { return openTarget(c.Output) })
	if err != nil {
		return err
	}
	if c.Output == "" {
		g.terminal, err = isTerminal(to.file)
	}
	g.out, g.called = to.file, to.called()
	var counts *door.Dump
	if err == nil {
		counts, err = g.get(newCaller(line, signals, noProgress{}, c.Timeout))
	}
	if abandoned(err) { // the items may still be read
		_, err = to.finish(err)
		return err
	}
	switch {
	case counts != nil && line.JSON:
		err = g.end(counts, err)
	case err == nil && g.found == 0:
		err = errMissing // and no file
	}
	_, err = to.finish(err)
	if !line.JSON {
		g.listMissing()
	}
	if err == nil && len(g.missing)+len(g.lost) > 0 {
		err = errMissing
	}
	return err
}

// listMissing lists the keys that have no item, and those whose values could not be read.
func (g *getting) listMissing() {
	for _, key := range g.missing {
		fmt.Fprintf(os.Stderr, "missing: %s\n", shownKey(key))
	}
	for _, key := range g.lost {
		fmt.Fprintf(os.Stderr, "lost: %s\n", shownKey(key))
	}
}

// get makes the call. It may return counts with an error, too; nil: nothing was read.
func (g *getting) get(c caller) (*door.Dump, error) {
	var list []byte
	for _, key := range g.asked {
		list = append(walk.AppendEncoded(list, key), '\n')
	}
	keys, err := inMemory("keys", list)
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	from, err := pipeTarget(g.read)
	if err != nil {
		return nil, err
	}
	request := dumpRequest(dump.Details, filter.Options{})
	request.Keys, request.KeysOnly = true, !g.values
	d := dumping{caller: c, request: request, keys: []*os.File{keys}}
	counts, err := d.dump(from)
	if err != nil {
		return counts, err
	}
	g.lost = append(g.lost, g.asked[g.answered:]...)
	if counts.Written != g.found || counts.Lost != uint64(len(g.lost)) || counts.Gone != uint64(len(g.missing)) {
		err = fmt.Errorf("the counts do not add up: %d items were sent, %d lost and %d gone; %d came, and %d are missing",
			counts.Written, counts.Lost, counts.Gone, g.found, len(g.missing))
	}
	g.found -= uint64(len(g.unknown))
	g.lost = append(g.lost, g.unknown...)
	return counts, err
}

// answer notes that an item came: those that were asked for before it, since the last one, had none that could be read.
func (g *getting) answer(i *dump.Listed) error {
	n := slices.IndexFunc(g.asked[g.answered:], func(key []byte) bool { return bytes.Equal(key, i.Key) })
	if n < 0 {
		return errListed
	}
	g.lost = append(g.lost, g.asked[g.answered:g.answered+n]...)
	g.answered += n + 1
	if i.Gone {
		g.missing = append(g.missing, bytes.Clone(i.Key))
	} else {
		g.found++
	}
	return nil
}

// inMemory makes a file of content that is in memory only. The caller closes it.
func inMemory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), name)
	// WriteAt leaves the file's offset, from which memcached reads, at 0.
	if _, err := file.WriteAt(content, 0); err != nil {
		file.Close()
		return nil, fileError(name, err)
	}
	return file, nil
}

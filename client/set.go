package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
)

type setCommand struct {
	Key string `arg:"" name:"KEY" help:"The key."`

	keyEncoding
	TTL      timeToLive `group:"Items:" name:"ttl" placeholder:"TIME" help:"Time to live: seconds, or a duration such as 10m, 24h or 30d. Default: 0, for ever."`
	Flags    uint32     `group:"Items:" placeholder:"NUMBER" xor:"flags" help:"memcached's client flags."`
	FlagsFor flagsFor   `group:"Items:" placeholder:"NAME" xor:"flags" complete:"FLAGS" help:"Or the flags by which an application's client library knows the value's type, as of load."`
	Mode     mode       `group:"Items:" placeholder:"MODE" complete:"set,add,replace" help:"set stores the value in any case; add, if the key is not in the cache; replace, if it is. Default: set."`

	waiting
}

// errNotStored ends a set whose value is not in the cache.
var errNotStored = errors.New("not stored")

// Run stores the value, and says so.
func (c *setCommand) Run(line *commandLine) error {
	key, err := c.key(c.Key)
	if err != nil {
		return err
	}
	call := newCaller(line, interrupts(), noProgress{}, c.Timeout)
	status, err := call.status()
	if err != nil {
		return err
	}
	v, err := orInterrupted(call.signals, func() (*value, error) { return readValue(os.Stdin, cmp.Or(status.ItemSizeMax, itemMax)) })
	if err != nil {
		return err
	}
	s, err := v.row(key)
	if err != nil {
		return err
	}
	defer s.file.Close()
	all := outcome{made: true}
	l := loading{caller: call, request: c.request}
	counts, err := l.load(s)
	if counts == nil {
		return err
	}
	return v.finish(key, &all, line.JSON, cmp.Or(err, all.add(s.name, counts)))
}

// request makes the request.
func (c *setCommand) request(*source) door.Request {
	request := door.Request{
		Version: door.Protocol, Op: door.OpLoad,
		Rows: door.Rows{Format: record.Memcached, Mode: record.Mode(c.Mode), TTL: int64(c.TTL), Flags: c.Flags},
	}
	c.FlagsFor.add(&request)
	return request
}

// value is the bytes that are to be stored.
type value struct {
	io.Reader
	size int64
}

// readValue reads a value, of up to most bytes, into memory; that of a regular file stays there. What it opens stays open until
// the process ends.
func readValue(f *os.File, most uint64) (*value, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fileError("standard input", err)
	}
	v := &value{Reader: f}
	if info.Mode().IsRegular() {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fileError("standard input", err)
		}
		v.size = max(info.Size()-at, 0)
	} else {
		if _, err := readsTerminal(f, "the value", "it"); err != nil {
			return nil, err
		}
		if v, err = keepValue(f, int64(most)+1); err != nil {
			return nil, err
		}
	}
	if uint64(v.size) > most {
		return nil, fmt.Errorf("%w: standard input has more bytes than memcached's largest item, %d (-I)", errNotStored, most)
	}
	if v.size == 0 {
		sayEmpty(os.Stderr, "standard input", f)
	}
	return v, nil
}

// keepValue reads a value, or at most that many bytes of it, into memory: how long it is must be known before the first
// byte is passed.
func keepValue(f *os.File, most int64) (*value, error) {
	kept, err := inMemory("value", nil)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(kept, io.LimitReader(f, most))
	if err != nil {
		return nil, fileError("standard input", err)
	}
	_, err = kept.Seek(0, io.SeekStart)
	return &value{kept, n}, err
}

// row makes a source of one row, memcached's command to store the value. The caller closes its file.
func (v *value) row(key []byte) (*source, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &source{name: "standard input", file: r, copied: make(chan error, 1)}
	go func() {
		_, err := w.Write(append(meta.AppendSet(nil, key, int(v.size)), "\r\n"...))
		if err == nil {
			_, err = io.CopyN(w, v, v.size)
		}
		if err == nil {
			_, err = w.Write([]byte("\r\n"))
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("the file has become shorter while it was read")
		}
		s.copied <- err
		w.Close()
	}()
	return s, nil
}

// finish says what became of the value, and returns the error that the command ends with.
func (v *value) finish(key []byte, all *outcome, asJSON bool, err error) error {
	load := &all.files[0].Load
	if err == nil && load.Stored == 0 {
		reason := "memcached does not say why"
		for r := range load.Reasons {
			reason = r
		}
		if len(load.Rejects) > 0 {
			reason = record.Reason(load.Rejects[0].Reason).With(load.Rejects[0].Detail)
		}
		err = fmt.Errorf("%w: %s (key %s)", errNotStored, reason, strconv.Quote(string(key)))
	}
	var printed error
	switch {
	case asJSON:
		printed = printJSON(all.document(err))
	case err == nil:
		s := fmt.Sprintf("%s: %s stored (%.2f s, %s)", shownKey(key), size(uint64(v.size)), load.Seconds, load.Engine) + all.gone()
		if load.EngineReason != "" {
			s += "; not native: " + load.EngineReason
		}
		_, printed = fmt.Println(s)
		all.hintMemory(os.Stderr)
	}
	if printed != nil && err == nil {
		return fileError("standard output", printed)
	}
	return err
}

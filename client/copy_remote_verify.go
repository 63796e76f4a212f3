package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"

	"memcached-backdoor/client/remote"
	"memcached-backdoor/preload/meta"
)

// verify asks the target for each item that is in the source as it was copied. That counts in the target's statistics,
// and as a use of its items only in that they were fetched. An item that is stale gives its token to the first who asks:
// it is given back.
func (s *remoteSink) verify(v *verification, source *dumping) error {
	var tokens []markedItem
	compare := func(i *item) {
		n := v.meet(i)
		if n == nil || s.pipe.Err() != nil {
			return
		}
		key := bytes.Clone(i.key)
		if !meta.Fits(key) {
			_ = s.pipe.Sync() // the counts are the reader's; the Pipe keeps its error
			v.judge(key, n, absent, "")
			return
		}
		s.pipe.Do(func(a *remote.Answer) error {
			if a.Code() == "EN" {
				v.judge(key, n, absent, "")
				return nil
			}
			found, token, err := itemOf(key, a)
			if err != nil {
				return err
			}
			if token != 0 {
				tokens = append(tokens, markedItem{key: key, cas: token})
			}
			if how := n.differs(v.digest(found), tolerance); how != "" {
				v.judge(key, n, different, how)
			} else {
				v.judge(key, n, present, "")
			}
			return nil
		}, func(w *meta.Writer) { w.Get(key, " v u f t c") })
	}
	read := make(chan struct{})
	to, err := pipeTarget(func(r io.Reader) error {
		defer close(read)
		return readItems(untilStopped{s, r}, itemMax, compare).err
	})
	if err != nil {
		return err
	}
	err = source.all(to)
	giveBack := func() (bool, error) {
		<-read // the Pipe is for one goroutine
		if err := s.pipe.Sync(); err != nil {
			return false, err
		}
		for _, t := range tokens {
			s.invalidate(t.key, t.cas, func() {})
		}
		return true, s.pipe.Sync()
	}
	if abandoned(err) {
		s.stop()
		select { // as far as the target and the source's pipe allow
		case <-ask(giveBack):
		case <-source.signals:
		case <-time.After(cancelLimit):
		}
		return err
	}
	if _, err := giveBack(); err != nil {
		return remoteError(s.address, err)
	}
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	return nil
}

// itemOf is the item of an answer to "mg" with the flags v, f, t and c. token is its CAS unique if this client has won its
// token; 0: it has not.
func itemOf(key []byte, a *remote.Answer) (i *item, token uint64, err error) {
	if a.Code() != "VA" {
		return nil, 0, a.Unexpected()
	}
	i = &item{key: key, value: a.Value}
	won := false
	for _, word := range a.Flags() {
		switch word[0] {
		case 'f':
			flags, err := strconv.ParseUint(string(word[1:]), 10, 32)
			if err != nil {
				return nil, 0, a.Unexpected()
			}
			i.flags = uint32(flags)
		case 't':
			left, err := strconv.ParseInt(string(word[1:]), 10, 64)
			if err != nil {
				return nil, 0, a.Unexpected()
			}
			if left >= 0 {
				i.expires = time.Now().Unix() + left
			}
		case 'W':
			won = true
		case 'X':
			i.stale = true
		case 'Z':
			i.won = true
		}
	}
	if won && i.stale {
		token, err = casOf(a)
	}
	return i, token, err
}

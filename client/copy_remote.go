package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"memcached-backdoor/client/remote"
	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
)

// lateDate is the reason for which an item cannot be sent: memcached reads dates of 31 bits (proto_parser.c, flag T).
const lateDate record.Reason = "it expires after January 2038, the last date that memcached's commands can have"

const (
	dateMax = 1<<31 - 1
	// marksMax is about how many stored items wait for their marks at most.
	marksMax = 256
)

// remoteSink is a memcached at an address. Its fields below mu are shared with the goroutine that gets the answers.
type remoteSink struct {
	address string
	conn    *remote.Conn
	pipe    *remote.Pipe
	mode    record.Mode
	pace    limits.Pace
	paced   int // items since the pace was kept
	stopped atomic.Bool

	mu       sync.Mutex
	counts   door.Load
	marked   []markedItem
	outdated [][]byte // keys whose old values are to go
}

// A markedItem is stored, and is to be marked, or, if it is another by now, not.
type markedItem struct {
	key                     []byte
	cas                     uint64
	stale, won, placeholder bool // placeholder: it has a date that it is not to keep
}

func newRemoteSink(a remote.Address, c *copyCommand) (sink, error) {
	conn, err := remote.Dial(a)
	if err != nil {
		return nil, remoteError(a.Address, err)
	}
	return &remoteSink{address: a.Address, conn: conn, pipe: remote.NewPipe(conn), mode: record.Mode(c.Mode), pace: limits.NewPace(c.limits())}, nil
}

// remoteError is an error of package remote with the address, and its hint.
func remoteError(address string, err error) error {
	if e, ok := errors.AsType[*remote.Error](err); ok && e.Hint != "" {
		return hintError{fmt.Errorf("%s: %w", address, err), e.Hint}
	}
	return fmt.Errorf("%s: %w", address, err)
}

func (s *remoteSink) name() string {
	return fmt.Sprintf("memcached %s at %s", strings.Trim(clip.QuoteN(s.conn.Version, 32), `"`), s.address)
}

func (s *remoteSink) waits() string { return "" }
func (s *remoteSink) stop()         { s.stopped.Store(true) }
func (s *remoteSink) close()        { s.pipe.Close() }

// is compares the processes, and if their numbers are the same, which they are in two containers, too, it looks in the source
// for an item that is new to the target.
func (s *remoteSink) is(source *caller, status *door.Status) (found bool, err error) {
	if s.conn.PID != status.PID {
		return false, nil
	}
	key := []byte("memcached-backdoor:" + rand.Text())
	s.pipe.Do(func(a *remote.Answer) error { return oneOf(a, "HD") }, func(w *meta.Writer) { w.Set(key, nil, meta.Set{TTL: 60}) })
	if err := s.pipe.Sync(); err != nil {
		return false, remoteError(s.address, err)
	}
	keys, err := inMemory("keys", append(bytes.Clone(key), '\n'))
	if err != nil {
		return false, err
	}
	defer keys.Close()
	d := dumping{caller: *source, request: dumpRequest(dump.Details, filter.Options{}), keys: []*os.File{keys}}
	d.request.Keys, d.request.KeysOnly, d.shown = true, true, noProgress{}
	if _, err := d.list(func(i *dump.Listed) { found = found || !i.Gone }); err != nil {
		return false, err
	}
	s.pipe.Do(func(a *remote.Answer) error { return oneOf(a, "HD", "NF") }, func(w *meta.Writer) { w.Delete(key) })
	if err := s.pipe.Sync(); err != nil {
		return false, remoteError(s.address, err)
	}
	return found, nil
}

func (s *remoteSink) take(dump *os.File, v *verification) (<-chan answer[*door.Load], error) {
	began := time.Now()
	return ask(func() (*door.Load, error) {
		defer dump.Close()
		end := readItems(untilStopped{s, dump}, itemMax, func(i *item) {
			if v != nil {
				v.add(i)
			}
			s.store(i)
		})
		err := s.settle()
		if err == nil && end.err != nil && !s.stopped.Load() {
			err = end.err
		}
		if err == nil && end.damaged > 0 {
			err = fmt.Errorf("items that came damaged: %d", end.damaged)
		}
		if err != nil {
			err = remoteError(s.address, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		counts := s.counts
		counts.Engine, counts.Seconds = door.EngineProtocol, time.Since(began).Seconds()
		counts.Incomplete, counts.Canceled = !end.complete, s.stopped.Load()
		return &counts, err
	}), nil
}

// untilStopped is what is read until the sink is stopped or fails.
type untilStopped struct {
	sink *remoteSink
	from io.Reader
}

// Read reads.
func (u untilStopped) Read(p []byte) (int, error) {
	if err := u.sink.pipe.Err(); err != nil {
		return 0, err
	}
	if u.sink.stopped.Load() {
		return 0, io.EOF
	}
	return u.from.Read(p)
}

// store sends one item.
func (s *remoteSink) store(i *item) {
	if s.stopped.Load() || s.pipe.Err() != nil {
		return
	}
	set := meta.Set{Flags: i.flags, TTL: s.conn.Exptime(i.expires), AskCAS: i.stale || i.won}
	m := markedItem{key: bytes.Clone(i.key), stale: i.stale, won: i.won, placeholder: i.won && !i.stale && i.expires == 0}
	switch {
	case !meta.Fits(i.key):
		s.reject(record.BinaryKey, m.key)
		return
	case set.TTL > dateMax:
		s.reject(lateDate, m.key)
		return
	case m.placeholder: // only of an item that expires a fresh one's token is to be had
		set.TTL = dateMax - 1
	}
	switch s.mode {
	case record.ModeAdd:
		set.Mode = meta.Add
	case record.ModeReplace:
		set.Mode = meta.Replace
	}
	expired := set.TTL < 0
	s.pipe.Do(func(a *remote.Answer) error { return s.stored(&m, expired, a) }, func(w *meta.Writer) { w.Set(i.key, i.value, set) })
	s.keepPace()
	s.mu.Lock()
	full := len(s.marked)+len(s.outdated) >= marksMax
	s.mu.Unlock()
	if full {
		_ = s.settle() // the Pipe keeps its error
	}
}

// keepPace waits as long as the limits say.
func (s *remoteSink) keepPace() {
	if s.paced++; s.paced < s.pace.Rows {
		return
	}
	for wait := s.pace.Until(time.Now(), 0); wait > 0 && !s.stopped.Load(); wait = s.pace.Until(time.Now(), 0) {
		time.Sleep(min(wait, 100*time.Millisecond))
	}
	s.pace.Submitted(time.Now(), s.paced)
	_ = s.pipe.Sync() // the Pipe keeps its error
	s.pace.Finished(time.Now())
	s.paced = 0
}

// stored accounts for an item by memcached's answer to "ms" (proto_text.c: process_mset_command, complete_nread_ascii).
func (s *remoteSink) stored(m *markedItem, expired bool, a *remote.Answer) error {
	switch code := a.Code(); {
	case code == "HD" && expired:
		s.skip(record.Expired)
	case code == "HD":
		cas, err := casOf(a)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.Rows++
		s.counts.Stored++
		if m.cas = cas; m.stale || m.won {
			s.marked = append(s.marked, *m)
		}
	case code == "NS" && s.mode == record.ModeAdd:
		s.skip(unstored.Exists)
	case code == "NS" && s.mode == record.ModeReplace:
		s.skip(unstored.Missing)
	case bytes.HasPrefix(a.Line, []byte("SERVER_ERROR object too large for cache")):
		s.reject(unstored.TooLarge, m.key)
	case bytes.HasPrefix(a.Line, []byte("SERVER_ERROR out of memory")):
		s.reject(unstored.NoMemory, m.key)
	case bytes.HasPrefix(a.Line, []byte("SERVER_ERROR Out of memory during read")):
		s.reject(unstored.NoMemory, m.key)
		if s.mode == "" || s.mode == record.ModeSet { // memcached keeps the old value only here
			s.mu.Lock()
			defer s.mu.Unlock()
			s.outdated = append(s.outdated, m.key)
		}
	default:
		return a.Unexpected()
	}
	return nil
}

// casOf is the CAS unique of an answer; 0: it has none.
func casOf(a *remote.Answer) (uint64, error) {
	for _, word := range a.Flags() {
		if word[0] == 'c' {
			cas, err := strconv.ParseUint(string(word[1:]), 10, 64)
			if err != nil {
				return 0, a.Unexpected()
			}
			return cas, nil
		}
	}
	return 0, nil
}

func (s *remoteSink) skip(reason record.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Skipped++
	s.because(reason)
}

func (s *remoteSink) reject(reason record.Reason, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Rejected++
	s.because(reason)
	if len(s.counts.Rejects) < door.MaxRejects {
		s.counts.Rejects = append(s.counts.Rejects, door.Reject{Reason: string(reason), Key: clip.Quote(key)})
	}
}

// because counts a row with a reason; the caller holds mu.
func (s *remoteSink) because(reason record.Reason) {
	s.counts.Rows++
	if s.counts.Reasons == nil {
		s.counts.Reasons = map[string]uint64{}
	}
	s.counts.Reasons[string(reason)]++
}

// settle waits for all answers, and gives the items that are stored their marks: until then, for a moment, they are
// fresh ones. It marks no item that a client has stored since, as far as memcached compares (host.DeletesByCAS).
func (s *remoteSink) settle() error {
	if err := s.pipe.Sync(); err != nil {
		return err
	}
	marked, outdated := s.marked, s.outdated // without mu: nothing is on its way
	s.marked, s.outdated = nil, nil
	for _, key := range outdated {
		s.pipe.Do(func(a *remote.Answer) error { return oneOf(a, "HD", "NF") }, func(w *meta.Writer) { w.Delete(key) })
	}
	var won, forever []markedItem
	for _, m := range marked {
		if !m.stale {
			won = append(won, m)
			continue
		}
		s.invalidate(m.key, m.cas, func() {
			if m.won {
				won = append(won, m)
			}
		})
	}
	if err := s.pipe.Sync(); err != nil {
		return err
	}
	for _, m := range won {
		s.pipe.Do(func(a *remote.Answer) error {
			if cas, err := casOf(a); err != nil {
				return err
			} else if m.placeholder && cas == m.cas && a.Code() == "HD" {
				forever = append(forever, m)
			}
			return oneOf(a, "HD", "EN")
		}, func(w *meta.Writer) {
			if m.stale {
				w.Get(m.key, " u c")
			} else {
				w.Get(m.key, " u c R2147483647") // dateMax: the item expires before
			}
		})
	}
	if err := s.pipe.Sync(); err != nil {
		return err
	}
	for _, m := range forever {
		s.pipe.Do(func(a *remote.Answer) error { return oneOf(a, "HD", "EN") }, func(w *meta.Writer) { w.Get(m.key, " u T0") })
	}
	return s.pipe.Sync()
}

// invalidate makes an item stale that has a CAS unique, and calls done then.
func (s *remoteSink) invalidate(key []byte, cas uint64, done func()) {
	compare := cas != 0 && host.DeletesByCAS(s.conn.Version)
	s.pipe.Do(func(a *remote.Answer) error {
		if a.Code() == "HD" {
			done()
		}
		return oneOf(a, "HD", "EX", "NF")
	}, func(w *meta.Writer) { w.Invalidate(key, compare, cas, 0) })
}

func oneOf(a *remote.Answer, codes ...string) error {
	if strings.Contains(" "+strings.Join(codes, " ")+" ", " "+a.Code()+" ") {
		return nil
	}
	return a.Unexpected()
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"memcached-backdoor/client/unpack"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// cancelLimit is how long an interrupted client waits for the outcome.
const cancelLimit = 2 * time.Second

// loading is what the calls of one run share.
type loading struct {
	caller
	request func(*source) door.Request
	rejects *rejectFiles
	resumes bool // the command has --resume
}

// loadFiles loads the files of the command line, adds their counts to all, and writes rejects.
func (l *loading) loadFiles(files []string, progress, rejects string, all *outcome) error {
	sources, err := orInterrupted(l.signals, func() ([]*source, error) { return openSources(files) })
	if err != nil {
		return err
	}
	all.several = len(sources) > 1
	if l.shown, err = newProgress(progress, all.unit, all.several); err != nil {
		return err
	}
	if l.rejects, err = createRejects(rejects); err != nil {
		return err
	}
	l.resumes = true
	err = l.loadAll(sources, all)
	l.rejects.close(!errors.Is(err, errDetached) && !errors.Is(err, errNoOutcome))
	return err
}

// loadAll loads the sources one after the other, each by its own call, and stops
// at the first that fails.
func (l *loading) loadAll(sources []*source, all *outcome) error {
	for _, s := range sources {
		counts, err := l.load(s)
		if counts != nil {
			err = cmp.Or(err, all.add(s.name, counts))
			all.files[len(all.files)-1].rows = l.request(s).Rows
			l.shown.result(s, s.progress(counts))
			if err == nil || errors.Is(err, errIncomplete) {
				s.warnEmpty(os.Stderr, counts)
			}
		}
		if err != nil {
			if l.resumes && errors.Is(err, errInterrupted) && s.resumable(counts) {
				err = hintError{err, all.hintResume(s)}
			}
			return all.blame(s.name, err)
		}
	}
	return nil
}

// resumable reports whether memcached remembers where the load of a source has ended: that of a file, when some of its
// rows were stored or rejected, but not all, and that memcached reads itself.
func (s *source) resumable(counts *door.Load) bool {
	if counts == nil || counts.DryRun || !counts.Canceled || counts.Rows+counts.Resumed == 0 || s.packed != unpack.None {
		return false
	}
	_, isFile := s.size(0)
	return isFile
}

// hintResume is the hint to resume the load of a source. The files before it are complete.
func (o *outcome) hintResume(s *source) string {
	if o.several {
		return "the same command with --resume, and without the files before " + s.name + ", continues where this one has ended"
	}
	return "the same command with --resume continues where this one has ended"
}

// load makes one call. It may return counts with an error, too; without an error
// it always does.
func (l *loading) load(s *source) (*door.Load, error) {
	conn, err := l.connect(s)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := l.request(s)
	if err := s.allows(&request); err != nil {
		return nil, err
	}
	request.Progress = l.shown != noProgress{}
	if err := conn.Call(request, append([]*os.File{s.file}, l.rejects.files()...)...); err != nil {
		return nil, err
	}
	s.sent()

	answers := answersOf(conn)
	a, ended := l.await(conn, answers, func(r door.Reply) {
		if r.Load != nil {
			l.shown.show(s, s.progress(r.Load))
		}
	})
	l.shown.clear()
	if ended == nil {
		reply, err := judge(a, door.OpLoad, errLostLoad)
		if e, ok := errors.AsType[*door.Error](err); ok && e.Code == door.CodeWrite && l.rejects != nil {
			err = fmt.Errorf("%s or %s: %w", l.rejects.rows.Name(), l.rejects.reasons.Name(), err)
		}
		counts := reply.Load
		if err == nil && counts.Canceled {
			err = errCanceled
		}
		if err == nil && counts.Limited {
			err = errLimited
		}
		if err == nil && counts.Incomplete {
			if err = errIncomplete; request.Rows.Format == record.JSONL {
				err = errArrayCut
			}
		}
		return counts, cmp.Or(s.failed(), err)
	}
	if request.Detach {
		return nil, errDetached
	}
	return l.cancel(conn, answers)
}

// prepareLimit is how long a source may take to be prepared while a connection to the door
// waits, where other clients may wait, too.
const prepareLimit = 100 * time.Millisecond

// connect dials the door and prepares the source. That a door is missing is said before the
// first bytes of a pipe are there. But memcached waits only a short time for the request of a
// connection (package door: Receive): if the first bytes take longer, it is dialed again.
func (l *loading) connect(s *source) (*door.Conn, error) {
	conn, err := l.dial()
	if err != nil {
		return nil, err
	}
	prepared := ask(func() (bool, error) { return true, s.prepare() })
	select {
	case a := <-prepared:
		if a.err == nil {
			return conn, nil
		}
		err = a.err
	case <-l.signals:
		err = errInterrupted
	case <-time.After(prepareLimit):
	}
	conn.Close()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-prepared:
		if a.err != nil {
			return nil, a.err
		}
		return l.dial()
	case <-l.signals:
		return nil, errInterrupted
	}
}

// answersOf reads the replies to a call, up to the first that is not progress.
func answersOf(conn *door.Conn) <-chan answer[door.Reply] {
	answers := make(chan answer[door.Reply])
	go func() {
		for {
			reply, err := conn.Next()
			answers <- answer[door.Reply]{reply, err}
			if err != nil || reply.Type != door.TypeProgress {
				return
			}
		}
	}()
	return answers
}

// cancel cancels the call and waits for its counts, until cancelLimit or a second
// signal.
func (l *loading) cancel(conn *door.Conn, answers <-chan answer[door.Reply]) (*door.Load, error) {
	if a, ok := l.canceled(conn, answers); ok {
		if reply, _ := judge(a, door.OpLoad, errLostLoad); reply.Load != nil {
			return reply.Load, errInterrupted
		}
	}
	return nil, errNoOutcome
}

// awaitOrCancel waits for the end of a call, shows its progress, and returns what judge does. A signal cancels the call: then the
// error is errInterrupted, and the reply has counts if they came in time.
func (c *caller) awaitOrCancel(conn *door.Conn, op string, lost error, show func(door.Reply)) (door.Reply, error) {
	answers := answersOf(conn)
	a, ended := c.await(conn, answers, show)
	c.shown.clear()
	switch {
	case ended == nil:
		return judge(a, op, lost)
	case !errors.Is(ended, errInterrupted):
		return door.Reply{}, ended
	}
	var reply door.Reply
	if a, ok := c.canceled(conn, answers); ok {
		reply, _ = judge(a, op, lost) // a call that failed meanwhile has counts, too
	}
	return reply, errInterrupted
}

// canceled cancels a call and waits for its last answer, until cancelLimit or another signal.
func (c *caller) canceled(conn *door.Conn, answers <-chan answer[door.Reply]) (a answer[door.Reply], ok bool) {
	if conn.Cancel() != nil {
		return a, false
	}
	limit := time.After(cancelLimit)
	for {
		select {
		case a := <-answers:
			if a.err != nil || a.value.Type != door.TypeProgress {
				return a, true
			}
		case <-c.signals:
			return a, false
		case <-limit:
			return a, false
		}
	}
}

// judge returns the reply that ends a call of an op, with its counts; a failed call may have
// counts, too. lost is the error if the connection was lost.
func judge(a answer[door.Reply], op string, lost error) (door.Reply, error) {
	if errors.Is(a.err, door.ErrLost) {
		return door.Reply{}, lost
	}
	if e, ok := errors.AsType[*door.Error](a.err); ok {
		return door.Reply{Load: e.Load, Dump: e.Dump, Changed: e.Changed, Hot: e.Hot}, e
	}
	if a.err != nil {
		return door.Reply{}, a.err
	}
	has := map[string]bool{
		door.OpLoad: a.value.Load != nil, door.OpDump: a.value.Dump != nil,
		door.OpDelete: a.value.Changed != nil, door.OpTouch: a.value.Changed != nil,
		door.OpHot: a.value.Hot != nil,
	}
	if !has[op] {
		return door.Reply{}, fmt.Errorf("memcached answered a %s with %q", op, a.value.Type)
	}
	return a.value, nil
}

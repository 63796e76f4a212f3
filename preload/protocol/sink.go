package protocol

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"memcached-backdoor/preload/batch"
)

var (
	// errAnonymous says that a row of a quiet batch was rejected; it is unknown which.
	errAnonymous = errors.New("a row was rejected")
	errBeyond    = errors.New("memcached's protocol has no time to live beyond the year 2038; hint: a shorter --ttl, or none")
)

// sink is one load's connection, with the goroutine that uses it.
type sink struct {
	session
	answered bool // a row was rejected: from then on each row gets an answer
	work     chan task
	ended    sync.WaitGroup
}

// task is a batch and what is to be done with it.
type task struct {
	*batch.Batch
	do func(*batch.Batch) error
}

func (k *sink) Submit(b *batch.Batch) { k.work <- task{b, k.put} }

func (k *sink) Look(b *batch.Batch) { k.work <- task{b, k.look} }

func (k *sink) Close() {
	close(k.work)
	k.ended.Wait()
	k.conn.close()
}

func (k *sink) run() {
	defer k.ended.Done()
	var failed error
	for t := range k.work {
		if failed == nil {
			failed = k.guarded(t)
		}
		t.Finish(failed)
	}
}

// guarded turns a panic into an error: none may reach memcached.
func (k *sink) guarded(t task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if err := k.refresh(); err != nil {
		return err
	}
	err = t.do(t.Batch)
	k.used = time.Now()
	return err
}

// put stores a batch.
func (k *sink) put(b *batch.Batch) error {
	e := exchange{Batch: b, conn: k.conn, answered: k.answered}
	if err := e.prepare(); err != nil {
		return err
	}
	err := e.do()
	if errors.Is(err, errAnonymous) {
		// To set the rows again changes nothing; now each gets an answer.
		k.answered, e.answered = true, true
		err = e.do()
	}
	if err == nil && len(e.stale) > 0 {
		err = e.removeStale()
	}
	if err == nil && len(e.drawn) > 0 {
		err = e.mark()
	}
	if err != nil {
		return fmt.Errorf("memcached at %v: %w; what became of up to %d rows is not known", k.store.at, err, b.Len()-e.settled)
	}
	return nil
}

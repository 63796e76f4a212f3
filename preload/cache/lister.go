package cache

/*
#include "backdoor.h"
*/
import "C"

import (
	"errors"
	"io"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

// lister is a walk through the items of listed keys.
type lister struct {
	*walker
	left  walk.Keys
	asked int  // bytes of keys that were submitted, and whose items are not all read
	ended bool // there are no more keys
}

// listedBytes is about how many bytes of keys are submitted at once.
const listedBytes = 16 << 10

// Next calls each for the next items.
func (l *lister) Next(each func(*walk.Item) error) error {
	if l.asked == 0 {
		if err := l.readKeys(); err != nil {
			return err
		}
		if l.asked == 0 {
			return io.EOF
		}
		l.c.keys_filled, l.c.keys_done = C.uint32_t(l.asked), 0
	}
	l.c.data, l.c.room = l.buffers[0].data(), l.buffers[0].room()
	C.backdoor_submit_listed(l.c)
	if err := l.await(); err != nil {
		return err
	}
	if l.c.job.finished != 1 {
		return batch.ErrStopping
	}
	if l.c.end {
		l.asked = 0
	}
	if err := l.items(l.buffers[0][:l.c.filled], each); err != nil {
		return err
	}
	return l.makeRoom(0)
}

// readKeys reads some of the keys that are left.
func (l *lister) readKeys() error {
	for !l.ended && l.asked < listedBytes {
		key, err := l.left.Next()
		if errors.Is(err, io.EOF) {
			l.ended = true
			break
		}
		if err != nil {
			return err
		}
		l.keys[l.asked] = byte(len(key))
		l.asked += 1 + copy(l.keys[l.asked+1:][:meta.KeyMax], key)
	}
	return nil
}

// Part is not known: nobody knows how many keys there are.
func (l *lister) Part() float64 { return 0 }

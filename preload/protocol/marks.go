package protocol

import (
	"bytes"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/walk"
)

// invalidate asks for an item to be stale, and its token not won. One that has another CAS unique by now stays
// as it is. Without CAS uniques (-C), and before 1.6.13, memcached cannot compare them: an item that a client
// has stored in the moment since would be stale, too, and be made anew once more. From
// 1.6.27 on the item keeps its CAS unique; before, it gets the next one, as by any "md" with this flag.
func (c *conn) invalidate(w *meta.Writer, key []byte, cas uint64) {
	var keep uint64
	if c.hasCAS {
		keep = cas
	}
	w.Invalidate(key, c.deletesCAS && cas != 0, cas, keep)
}

// invalidated reads memcached's answer to that: HD it is done, EX the item is another, NF it is gone.
func invalidated(line []byte) (done bool, err error) {
	switch string(bytes.TrimRight(line, " ")) {
	case "HD":
		return true, nil
	case "EX", "NF":
		return false, nil
	}
	return false, unexpected(line)
}

// giveBack gives back the tokens of stale items that this connection has won: the next
// client that asks for such an item wins it, as it would have without the library. left are those that are not known to
// be given back, with an error.
func (c *conn) giveBack(items []*walk.Item) (left []*walk.Item, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	w := meta.NewWriter(c.send)
	for _, i := range items {
		c.invalidate(w, i.Key, i.CAS)
	}
	if err := w.End(); err != nil {
		return items, err
	}
	for i := range items {
		line, err := c.line()
		if err == nil {
			_, err = invalidated(line)
		}
		if err != nil {
			return items[i:], err
		}
	}
	return nil, c.noop()
}

// isPlaceholder tells of a row whose item is won, fresh and never expires, as one that "mg" with the flag N0 has made.
// Only of an item that expires a fresh one's token is to be had, so it gets the last date for the moment.
func isPlaceholder(row batch.Row) bool { return row.Won && !row.Stale && row.TTL == 0 }

// note keeps the CAS unique of a row that memcached has stored.
func (e *exchange) note(i int, answer []byte) error {
	var item walk.Item
	if _, err := readFlags(&item, bytes.Fields(answer)[1:]); err != nil {
		return unexpected(answer)
	}
	if e.drawn == nil {
		e.drawn = make(map[int]uint64)
	}
	e.drawn[i] = item.CAS
	return nil
}

// mark gives the rows that were stored their marks (package meta: AppendMarks). Until then, for a moment, their items
// are fresh ones. An item that another client stores in that moment stays fresh.
func (e *exchange) mark() error {
	last := make(map[string]int) // of several rows of one key
	for i := range e.Len() {
		if e.Outcome(i) == batch.Stored {
			last[string(e.Key(i))] = i
		}
	}
	var stale, won, forever []int
	for i := range e.Len() {
		if _, ok := e.drawn[i]; !ok || last[string(e.Key(i))] != i {
			continue
		}
		if e.Row(i).Stale {
			stale = append(stale, i)
		} else {
			won = append(won, i)
		}
	}
	invalidate := func(w *meta.Writer, i int) { e.conn.invalidate(w, e.Key(i), e.drawn[i]) }
	err := e.each(stale, invalidate, func(i int, line []byte) error {
		done, err := invalidated(line)
		if done && e.Row(i).Won {
			won = append(won, i)
		}
		return err
	})
	if err != nil {
		return err
	}
	win := func(w *meta.Writer, i int) {
		if e.Row(i).Stale {
			w.Get(e.Key(i), " u c")
		} else {
			w.Get(e.Key(i), " u c R2147483647") // maxDate
		}
	}
	err = e.each(won, win, func(i int, line []byte) error {
		var item walk.Item
		words := bytes.Fields(line)
		switch {
		case len(words) == 1 && string(words[0]) == "EN": // it is gone
			return nil
		case len(words) == 0 || string(words[0]) != "HD":
			return unexpected(line)
		}
		if _, err := readFlags(&item, words[1:]); err != nil {
			return unexpected(line)
		}
		if isPlaceholder(e.Row(i)) && item.CAS == e.drawn[i] {
			forever = append(forever, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	never := func(w *meta.Writer, i int) { w.Get(e.Key(i), " u T0") }
	return e.each(forever, never, func(int, []byte) error { return nil })
}

// each asks something for each of the rows, and reads its answer.
func (e *exchange) each(rows []int, ask func(w *meta.Writer, i int), answer func(i int, line []byte) error) error {
	if len(rows) == 0 {
		return nil
	}
	w := meta.NewWriter(e.conn.send)
	for _, i := range rows {
		ask(w, i)
	}
	if err := w.End(); err != nil {
		return err
	}
	for _, i := range rows {
		line, err := e.conn.line()
		if err == nil {
			err = answer(i, line)
		}
		if err != nil {
			return err
		}
	}
	return e.conn.noop()
}

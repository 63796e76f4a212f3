package protocol

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/walk"
)

const (
	// fetched is how many items are asked for at once, and fetchedBytes about how many bytes of a walk at most.
	fetched      = 256
	fetchedBytes = 4 << 20
	// tries is how many times an item is asked for that is there and is not answered.
	tries = 4
)

// Fetch asks memcached for items by their keys, wherever their values are. Items get everything but
// their keys, and are not External any more; those that cannot be read stay as they are, or are
// Gone.
func (s *Store) Fetch(items []*walk.Item) error { return s.fetch(items, true) }

func (s *Store) fetch(items []*walk.Item, values bool) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.close()
	for part := range slices.Chunk(askable(items), fetched) {
		if err := s.fetchAlone(c, part, values); err != nil {
			return err
		}
	}
	return nil
}

// describe asks which of the items do not exist, and about how large the others are.
func (s *Store) describe(items []*walk.Item) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.close()
	for part := range slices.Chunk(askable(items), fetched) {
		if err := c.tellGone(part); err != nil {
			return err
		}
	}
	return nil
}

// fetchAlone fetches items while no other dump does: it would be told of a token taken by this one that it is won, and say
// so of an item that no client makes anew.
func (s *Store) fetchAlone(c *conn, items []*walk.Item, values bool) error {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	taken, err := c.fetchAll(items, values)
	if err != nil {
		s.giveBackAnew(taken)
	}
	return err
}

// fetchAll asks again for items that are there and were not answered: a client may have replaced one while memcached
// read the old value from extstore. taken are the items whose tokens are still to be given back, with an error.
func (c *conn) fetchAll(items []*walk.Item, values bool) (taken []*walk.Item, err error) {
	for try := 0; try < tries && len(items) > 0; try++ {
		taken, err := c.fetch(items, values)
		if err != nil {
			return taken, err
		}
		if left, err := c.giveBack(taken); err != nil {
			return left, err
		}
		items = slices.DeleteFunc(slices.Clone(items), func(i *walk.Item) bool { return !i.External })
		if err := c.tellGone(items); err != nil {
			return nil, err
		}
		// One whose token was taken may be what a client has stored since, and be stale by that only (invalidate).
		items = slices.DeleteFunc(items, func(i *walk.Item) bool { return i.Gone || slices.Contains(taken, i) })
	}
	return nil, nil
}

// askable are those of the items for which a command can ask; the others cannot be read.
func askable(items []*walk.Item) []*walk.Item {
	unfit := func(i *walk.Item) bool { return !meta.Fits(i.Key) }
	if !slices.ContainsFunc(items, unfit) {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), unfit)
}

// giveBackAnew gives tokens back over a connection of its own, after the one over which they were
// taken has failed.
func (s *Store) giveBackAnew(taken []*walk.Item) {
	if len(taken) == 0 {
		return
	}
	if c, err := dial(s.at); err == nil {
		_, _ = c.giveBack(taken) // the caller reports the first connection's error
		c.close()
	}
}

// fetch asks with meta gets that leave the LRU as it is (protocol.txt: "Meta Get", flag u). There
// is no command that shows whether an item is stale and leaves its token: the first client that asks
// wins it (proto_text.c: process_mget_command). taken are the items whose tokens are to
// be given back, also with an error; until then, some milliseconds, clients are told that another one
// has won. Of an item that is known from the list of keys only, the marks are unknown before its answer: a stale one
// whose answer is lost with the connection stays won.
func (c *conn) fetch(items []*walk.Item, values bool) (taken []*walk.Item, err error) {
	w := meta.NewWriter(c.send)
	for _, i := range items {
		if values {
			w.Get(i.Key, " u f l t s c h v")
		} else {
			w.Get(i.Key, " u f l t s c h")
		}
	}
	// Of a value that cannot be read from extstore memcached says nothing, after it has marked the item.
	marked := func(i *walk.Item) bool { return i.External && i.Stale && !i.Won }
	unanswered := func(items []*walk.Item) []*walk.Item {
		return slices.DeleteFunc(slices.Clone(items), func(i *walk.Item) bool { return !marked(i) })
	}
	if err := w.End(); err != nil {
		return unanswered(items), err // memcached may have got some of the commands
	}
	for n, i := range items {
		won, err := c.answer(i)
		if won || marked(i) {
			taken = append(taken, i)
		}
		if err != nil {
			return append(taken, unanswered(items[n+1:])...), err
		}
	}
	return taken, c.noop()
}

// tellGone asks which of the items that were not answered are there all the same, what size they have and in which slab
// class they are: of a value that cannot be read from extstore memcached says no more than of a key that it does not have.
// "me" takes no token, and counts as no get.
func (c *conn) tellGone(items []*walk.Item) error {
	var absent []*walk.Item
	for _, i := range items {
		if i.External {
			absent = append(absent, i)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	w := meta.NewWriter(c.send)
	for _, i := range absent {
		w.Debug(i.Key)
	}
	if err := w.End(); err != nil {
		return err
	}
	for _, i := range absent {
		line, err := c.line()
		if err != nil {
			return err
		}
		if i.Gone = string(line) == "EN"; i.Gone {
			continue
		}
		known, err := debugged(line)
		if err != nil {
			return err
		}
		i.Class, i.Total = known.Class, known.Total
		if i.Size == 0 {
			i.Size = max(known.Total-slabs.ItemOverhead-len(i.Key), 0) // about that of its value, until it is known
		}
	}
	return c.noop()
}

// debugged reads an answer to "me": ME KEY exp=-1 la=1 cas=2 fetch=no cls=1 size=64 (proto_text.c: process_meta_command).
// The time until an item expires is negative before 1.6.24, so that one of a second cannot be told from for ever.
func debugged(line []byte) (i walk.Item, err error) {
	i.TTL = -1
	words := bytes.Fields(line)
	if len(words) < 2 || string(words[0]) != "ME" {
		return i, unexpected(line)
	}
	for _, word := range words[2:] {
		name, value, _ := bytes.Cut(word, []byte("="))
		var n uint64
		switch string(name) {
		case "exp":
			i.TTL, err = strconv.ParseInt(string(value), 10, 64)
			if i.TTL < -1 {
				i.TTL = -i.TTL
			}
		case "la":
			i.Idle, err = strconv.ParseInt(string(value), 10, 64)
		case "cas":
			i.CAS, err = strconv.ParseUint(string(value), 10, 64)
		case "fetch":
			i.Fetched = string(value) == "yes"
		case "cls":
			n, err = strconv.ParseUint(string(value), 10, 8)
			i.Class = int(n)
		case "size":
			n, err = strconv.ParseUint(string(value), 10, 31)
			i.Total = int(n)
		}
		if err != nil {
			return i, unexpected(line)
		}
	}
	return i, nil
}

// answer reads what memcached says of one item; won reports whether this connection was told to
// make its value anew.
func (c *conn) answer(i *walk.Item) (won bool, err error) {
	line, err := c.line()
	if err != nil {
		return false, err
	}
	words := bytes.Fields(line)
	switch {
	case len(words) == 1 && string(words[0]) == "EN":
		return false, nil
	case len(words) > 1 && string(words[0]) == "VA", len(words) > 0 && string(words[0]) == "HD":
	default:
		return false, unexpected(line)
	}
	got := walk.Item{Key: i.Key, TTL: -1, Idle: i.Idle, Fetched: i.Fetched, Class: i.Class, Total: i.Total, Extstore: i.Extstore}
	value := string(words[0]) == "VA"
	flags := words[1:]
	length := -1
	if value {
		if length, err = strconv.Atoi(string(words[1])); err != nil || length < 0 || uint64(length) > c.itemSizeMax {
			return false, unexpected(line)
		}
		flags = words[2:]
	}
	if won, err = readFlags(&got, flags); err != nil {
		return false, unexpected(bytes.Clone(line))
	}
	if value {
		if got.Value, err = c.data(length); err != nil {
			i.CAS = got.CAS
			return won, err
		}
		got.Size = length
	}
	*i = got
	return won, nil
}

// readFlags reads an item's flags in an answer (protocol.txt: "Meta Get").
func readFlags(i *walk.Item, flags [][]byte) (won bool, err error) {
	for _, word := range flags {
		n, err := strconv.ParseInt(string(word[1:]), 10, 64)
		switch word[0] {
		case 'f':
			i.Flags, err = strconv.ParseUint(string(word[1:]), 10, 64)
		case 'c':
			i.CAS, err = strconv.ParseUint(string(word[1:]), 10, 64)
		case 'l':
			i.Idle = n
		case 'h':
			i.Fetched = n != 0
		case 't':
			i.TTL = n
		case 's':
			i.Size = int(n)
		case 'W':
			won, err = true, nil
		case 'X':
			i.Stale, err = true, nil
		case 'Z':
			i.Won, err = true, nil
		default:
			err = nil // b, of a key in base64
		}
		if err != nil {
			return false, err
		}
	}
	return won, nil
}

// data reads n bytes, and the end of their line.
func (c *conn) data(n int) ([]byte, error) {
	for len(c.in) < n+2 {
		if _, err := c.poll(unix.POLLIN); err != nil {
			return nil, err
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
	if string(c.in[n:n+2]) != "\r\n" {
		return nil, fmt.Errorf("the data that it answers has no end after %d bytes", n)
	}
	data := bytes.Clone(c.in[:n])
	c.in = c.in[n+2:]
	return data, nil
}

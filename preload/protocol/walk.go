package protocol

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/walk"
)

// crawlerWait is how long memcached's crawler may be busy with something else, and its hash table be about to grow, together.
const crawlerWait = time.Minute

// walker is a walk by memcached's own list of keys (protocol.txt: "LRU Crawler"), each of whose items
// is then asked for. The list is read at once and kept in a file, for memcached may stand still while it is
// not read.
type walker struct {
	store   *Store
	options walk.Options
	list    *os.File
	lines   *bufio.Scanner
	read    int64
	size    int64
}

// Walk lists all keys, unless they are listed already, and begins to walk through their items.
func (s *Store) Walk(o walk.Options) (walk.Walker, error) {
	if o.Keys != nil {
		return &lister{store: s, options: o}, nil
	}
	list, err := os.CreateTemp("", "memcached-backdoor")
	if err != nil {
		return nil, fmt.Errorf("a file for the list of keys: %w", err)
	}
	if err := os.Remove(list.Name()); err != nil {
		list.Close()
		return nil, err
	}
	if o.ClientGone == nil {
		o.ClientGone = func() error { return nil }
	}
	w := &walker{store: s, options: o, list: list}
	if err := w.listKeys(); err != nil {
		list.Close()
		return nil, err
	}
	return w, nil
}

// listKeys asks until the crawler is free.
func (w *walker) listKeys() error {
	deadline := time.Now().Add(crawlerWait)
	for {
		busy, err := w.crawl(deadline)
		if !busy || err == nil || time.Now().After(deadline) {
			return err
		}
		if err := w.options.ClientGone(); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// crawl lists the keys through the hash table, in which each is once.
func (w *walker) crawl(deadline time.Time) (busy bool, err error) {
	c, err := w.store.dial()
	if err != nil {
		return false, err
	}
	defer c.close()
	if err := c.awaitGrowth(deadline, w.options.ClientGone); err != nil {
		return false, err
	}
	if err := c.send(meta.Commands("lru_crawler metadump hash\r\n")); err != nil {
		return false, err
	}
	out := bufio.NewWriter(w.list)
	for {
		line, err := c.line()
		if err != nil {
			return false, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("key=")):
			if _, err := out.Write(append(line, '\n')); err != nil {
				return false, err
			}
		case string(line) == "END":
			if err := out.Flush(); err != nil {
				return false, err
			}
			if w.size, err = w.list.Seek(0, io.SeekCurrent); err != nil {
				return false, err
			}
			_, err := w.list.Seek(0, io.SeekStart)
			w.lines = bufio.NewScanner(w.list)
			return false, err
		case string(line) == "OK": // from 1.6.43 on
		case bytes.HasPrefix(line, []byte("BUSY")), bytes.HasPrefix(line, []byte("ERROR locked")):
			return true, fmt.Errorf("its crawler is busy: %s", line)
		default:
			if reason, ok := unlisted[string(line)]; ok {
				return false, reason
			}
			return false, fmt.Errorf("its list of keys: %s", line)
		}
	}
}

// Unlisted is the reason for which memcached lists no keys, with a hint. There is no other list: "stats
// cachedump" ends after 2 MB of a slab class (items.c: item_cachedump). And to enable the crawler
// would change how the host behaves.
type Unlisted struct{ Message, Hint string }

func (u *Unlisted) Error() string { return u.Message }

var (
	disabled  = &Unlisted{"memcached's LRU crawler, which lists the keys, is disabled", "send memcached the command: lru_crawler enable"}
	forbidden = &Unlisted{"memcached lists no keys, since it runs with -X", "start memcached without -X"}
)

// unlisted are what memcached answers (proto_text.c: process_lru_crawler_command).
var unlisted = map[string]*Unlisted{
	"CLIENT_ERROR lru crawler disabled": disabled,
	"ERROR an unknown error happened":   disabled, // a moment ago (crawler.c: lru_crawler_start)
	"ERROR metadump not allowed":        forbidden,
}

// Next asks for some more of the items on the list.
func (w *walker) Next(each func(*walk.Item) error) error {
	var items []*walk.Item
	bytesOf := 0
	for len(items) < fetched && bytesOf < fetchedBytes && w.lines.Scan() {
		w.read += int64(len(w.lines.Bytes())) + 1
		i, err := parseLine(w.lines.Bytes())
		if err != nil {
			return err
		}
		if bytes.HasPrefix(i.Key, []byte(w.options.Prefix)) {
			items = append(items, i)
			bytesOf += i.Size
		}
	}
	if err := w.lines.Err(); err != nil {
		return err
	}
	if len(items) == 0 {
		return io.EOF
	}
	if err := w.store.fetch(items, !w.options.KeysOnly); err != nil {
		return err
	}
	for _, i := range items {
		if i.Gone {
			continue // it is not in the cache to the end: a walk need not find it
		}
		if err := each(i); err != nil {
			return err
		}
	}
	return nil
}

// lister is a walk through the items of listed keys.
type lister struct {
	store   *Store
	options walk.Options
}

// Next asks for some more of the items: for their sizes first, so that not all values are in memory at once.
func (l *lister) Next(each func(*walk.Item) error) error {
	var items []*walk.Item
	for len(items) < fetched {
		key, err := l.options.Keys.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		items = append(items, &walk.Item{Key: bytes.Clone(key), TTL: -1, External: true})
	}
	if len(items) == 0 {
		return io.EOF
	}
	if err := l.store.describe(items); err != nil {
		return err
	}
	for len(items) > 0 {
		n := l.few(items)
		if err := l.read(items[:n], each); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// few is how many of the items, at least one, are fetched at once.
func (l *lister) few(items []*walk.Item) int {
	if l.options.KeysOnly {
		return len(items)
	}
	n, bytesOf := 1, items[0].Size
	for n < len(items) && bytesOf+items[n].Size <= fetchedBytes {
		bytesOf += items[n].Size
		n++
	}
	return n
}

// read fetches the items that exist, and calls each for all of them.
func (l *lister) read(items []*walk.Item, each func(*walk.Item) error) error {
	there := slices.DeleteFunc(slices.Clone(items), func(i *walk.Item) bool { return i.Gone })
	if err := l.store.fetch(there, !l.options.KeysOnly); err != nil {
		return err
	}
	for n, i := range items {
		if err := each(i); err != nil {
			return err
		}
		items[n] = nil // its value is not needed any more
	}
	return nil
}

// Part is not known: nobody knows how many keys there are.
func (l *lister) Part() float64 { return 0 }

// Close does nothing.
func (l *lister) Close() {}

// parseLine reads a line of the list: key=KEY exp=DATE la=DATE cls=CLASS size=BYTES and more.
func parseLine(line []byte) (*walk.Item, error) {
	i := &walk.Item{External: true} // if no command can ask for it, the list is all that is known
	for _, word := range bytes.Fields(line) {
		name, value, _ := bytes.Cut(word, []byte("="))
		switch string(name) {
		case "key":
			key, err := walk.Decode(bytes.Clone(value))
			if err != nil {
				return nil, fmt.Errorf("its list of keys: %w", err)
			}
			i.Key = key
		case "fetch":
			i.Fetched = string(value) == "yes"
		case "exp", "la", "cls", "size":
			n, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("its list of keys: %w", err)
			}
			switch string(name) {
			case "cls":
				i.Class = int(n)
			case "size":
				i.Total = int(n)
			case "la":
				i.Idle = max(time.Now().Unix()-n, 0)
			case "exp":
				if i.TTL = n; n >= 0 {
					i.TTL = max(n-time.Now().Unix(), 0)
				}
			}
		}
	}
	if len(i.Key) == 0 {
		return nil, errors.New("its list of keys has a line without one")
	}
	i.Size = max(i.Total-slabs.ItemOverhead-len(i.Key), 0) // about that of its value, until it is known
	return i, nil
}

// Part is the part of the list that was walked through, from 0 to 1.
func (w *walker) Part() float64 { return float64(w.read) / float64(max(w.size, 1)) }

// Close ends the walk.
func (w *walker) Close() { w.list.Close() }

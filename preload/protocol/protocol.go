// Package protocol is the engine by protocol. It stores rows and reads items in this
// process's memcached as a client does: with meta commands (memcached's doc/protocol.txt),
// over a connection to an address at which memcached itself listens.
//
// It is for a memcached whose functions cannot be used.  It knows nothing of memcached's
// memory, and uses an address only if this process answers there.
package protocol

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/slabs"
)

const (
	// AnswerLimit is how long memcached may take for an answer. It is counted in parts: a process that is stopped for
	// longer (SIGSTOP, a frozen container) uses up only one of them, since it cannot answer.
	AnswerLimit = 10 * time.Second
	answerParts = 10
	// idleLimit is how long a connection may be idle and is still used: memcached
	// closes idle connections after a second at the earliest (-o idle_timeout).
	idleLimit = 500 * time.Millisecond
)

// A Store is this process's memcached, by its protocol.
type Store struct {
	itemSizeMax uint64
	hasCAS      bool
	at          Address
	fetching    sync.Mutex // held while the tokens of stale items are taken and given back
}

var errNowhere = errors.New("memcached listens at no address that takes connections")

// Open finds among addresses one at which this process's memcached takes the
// commands.  Its error has the reason against each address.
func Open(addresses []Address) (*Store, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var reasons []error
	for _, at := range addresses {
		c, err := dial(at)
		if err == nil {
			c.close()
			return &Store{itemSizeMax: c.itemSizeMax, hasCAS: c.hasCAS, at: at}, nil
		}
		reasons = append(reasons, fmt.Errorf("%v: %w", at, err))
	}
	return nil, errors.Join(reasons...)
}

// ItemSizeMax is the largest item in bytes, by memcached's settings.
func (s *Store) ItemSizeMax() uint64 { return s.itemSizeMax }

// BinaryKeyMax is the longest key in bytes that a command can have in base64.
func (s *Store) BinaryKeyMax() int { return meta.BinaryKeyMax }

// HasCAS reports whether memcached stores an item with a chosen CAS unique.
func (s *Store) HasCAS() bool { return s.hasCAS }

// HasStale is true: every memcached whose meta commands are known marks items as stale.
func (s *Store) HasStale() bool { return true }

// ItemSize is about what memcached makes of a row; the client flags may take 4 bytes more.
func (s *Store) ItemSize(nkey int, flags uint32, nvalue int) uint64 {
	size := slabs.ItemOverhead + nkey + nvalue
	if flags != 0 {
		size += clientFlags / 2
	}
	return uint64(size)
}

// greeting asks which process answers, for its settings, whether it knows the flag that chooses an
// item's CAS (the flag is incomplete here, so no key is looked up), and whether it reads
// meta commands.
// It is sent at once: a memcached that reads only binary commands waits for the 24
// bytes of one before it rejects them.
const greeting = "stats\r\nstats settings\r\nmg k E\r\nmn\r\n"

// incompleteFlag is the answer of a memcached that knows the flag: from 1.6.27 on (proto_text.c:
// _meta_flag_preparse).
const incompleteFlag = "CLIENT_ERROR bad token in command line format"

// dial connects to an address and makes sure that this process answers there, and that
// it stores rows itself.
func dial(at Address) (*conn, error) {
	c, err := connect(at, AnswerLimit)
	if err != nil {
		return nil, err
	}
	if err := c.greet(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *conn) greet() error {
	if err := c.send(meta.Commands(greeting)); err != nil {
		return err
	}
	stats, err := c.stats()
	if err != nil {
		return err
	}
	c.greeted = time.Now()
	if stats["pid"] != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("another process answers, %s", clip.Quote(stats["pid"]))
	}
	// An older memcached would read the values of rows as commands.
	if !host.HasMeta(stats["version"]) {
		return fmt.Errorf("it states the version %s, whose meta commands are not known", clip.Quote(stats["version"]))
	}
	c.deletesCAS = host.DeletesByCAS(stats["version"])
	if c.clock, err = strconv.ParseInt(stats["time"], 10, 64); err != nil {
		return fmt.Errorf("it states no time: %w", err)
	}
	settings, err := c.stats()
	if err != nil {
		return err
	}
	if settings["proxy_enabled"] == "yes" {
		return errors.New("it is a proxy, which sends rows on to others")
	}
	if c.itemSizeMax, err = strconv.ParseUint(settings["item_size_max"], 10, 64); err != nil {
		return fmt.Errorf("it states no item_size_max: %w", err)
	}
	// If it states none, no row is sent quietly.
	if n, err := strconv.ParseUint(settings["slab_chunk_max"], 10, 64); err == nil {
		c.chunkMax = n
	}
	flag, err := c.line()
	if err != nil {
		return err
	}
	c.usesCAS = settings["cas_enabled"] == "yes"
	c.hasCAS = c.usesCAS && string(flag) == incompleteFlag
	return c.noop()
}

// stats reads a group of statistics.
func (c *conn) stats() (map[string]string, error) {
	const most = 4000 // lines; "stats items" has some 30 for each of 63 classes
	values := make(map[string]string)
	for range most {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		if string(line) == "END" {
			return values, nil
		}
		name, value, ok := statistic(line)
		if !ok {
			return nil, unexpected(line)
		}
		values[name] = value
	}
	return nil, fmt.Errorf("it has more than %d statistics", most)
}

// Open begins a load with a connection of its own.
func (s *Store) Open() (batch.Sink, error) {
	session, err := s.session()
	if err != nil {
		return nil, err
	}
	k := &sink{session: session, work: make(chan task, 1)}
	k.ended.Add(1)
	go k.run()
	return k, nil
}

// Package protocol stores rows in the memcached that the library sits in the way
// a client does: with meta commands (memcached's doc/protocol.txt), over a
// connection to an address that memcached itself listens on.
//
// It is for a memcached whose functions cannot be used.  It knows nothing of its
// memory, and believes an address only when what answers there is this process.
package protocol

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/slabs"
)

const (
	// patience is how long memcached may take for an answer. It is counted in parts: a process that is stopped for longer
	// (SIGSTOP, a container that is frozen) uses up one of them, for it cannot answer.
	patience      = 10 * time.Second
	patienceParts = 10
	// rest is how long a connection may lie idle and still be trusted: memcached
	// closes such ones after a second at the earliest (-o idle_timeout).
	rest = 500 * time.Millisecond
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
// commands.  Its error says what stands against each address.
func Open(addresses []Address) (*Store, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var why []error
	for _, at := range addresses {
		c, err := dial(at)
		if err == nil {
			c.close()
			return &Store{itemSizeMax: c.itemSizeMax, hasCAS: c.hasCAS, at: at}, nil
		}
		why = append(why, fmt.Errorf("%v: %w", at, err))
	}
	return nil, errors.Join(why...)
}

// ItemSizeMax is what memcached states in its settings.
func (s *Store) ItemSizeMax() uint64 { return s.itemSizeMax }

// BinaryKeyMax is what fits in a command in base64.
func (s *Store) BinaryKeyMax() int { return meta.BinaryKeyMax }

// HasCAS says whether it takes a CAS unique, and keeps it.
func (s *Store) HasCAS() bool { return s.hasCAS }

// HasStale says that it marks items as stale, as all do whose meta commands are known.
func (s *Store) HasStale() bool { return true }

// ItemSize is about what memcached makes of a row; the client flags may take 4 bytes more.
func (s *Store) ItemSize(nkey int, flags uint32, nvalue int) uint64 {
	size := slabs.ItemOverhead + nkey + nvalue
	if flags != 0 {
		size += clientFlags / 2
	}
	return uint64(size)
}

// greeting asks who answers, what it is set to, whether it knows the flag that chooses an
// item's CAS, which is not complete here, so that nothing is looked for, and whether it reads
// meta commands.
// It goes out at once: a memcached that reads binary commands only waits for the 24
// bytes of one before it finds fault with them.
const greeting = "stats\r\nstats settings\r\nmg k E\r\nmn\r\n"

// incompleteFlag is the answer of one that knows the flag: from 1.6.27 on (proto_text.c:
// _meta_flag_preparse).
const incompleteFlag = "CLIENT_ERROR bad token in command line format"

// dial connects to an address and makes sure that it is this process that answers,
// and stores rows itself.
func dial(at Address) (*conn, error) {
	c, err := connect(at)
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
		return fmt.Errorf("another process answers, %.20q", stats["pid"])
	}
	// An older one would take the values of rows for commands.
	if !host.HasMeta(stats["version"]) {
		return fmt.Errorf("it states the version %.20q, whose meta commands are not known", stats["version"])
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
	// Where it states none, no row is sent quietly.
	if n, err := strconv.ParseUint(settings["slab_chunk_max"], 10, 64); err == nil {
		c.chunkMax = n
	}
	flag, err := c.line()
	if err != nil {
		return err
	}
	c.hasCAS = settings["cas_enabled"] == "yes" && string(flag) == incompleteFlag
	return c.noop()
}

// stats reads one group of statistics.
func (c *conn) stats() (map[string]string, error) {
	const most = 1000 // lines; there are some 100
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
	c, err := dial(s.at)
	if err != nil {
		return nil, fmt.Errorf("memcached at %v: %w", s.at, err)
	}
	k := &sink{store: s, conn: c, used: time.Now(), work: make(chan task, 1)}
	k.ended.Add(1)
	go k.run()
	return k, nil
}

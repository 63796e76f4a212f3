package main

import (
	"cmp"
	"hash/maphash"
	"math"
	"runtime/debug"
	"slices"
	"strings"
)

// digest is what the client keeps of an item of a dump: 24 bytes, whatever its size.
type digest struct {
	key     uint64 // its hash
	value   uint32 // its hash
	flags   uint32
	expires uint32 // in seconds since 1970; 0: never
	stale   bool
	won     bool
	met     bool // the cache has the key, or the item is counted already

	standing uint8 // of a copy: what the target has, absent if that is nothing
}

// digests are the digests of all items, by the hashes of their keys. Two keys with the same hash count as
// one: a difference of one of them is missed, or listed for the other. With n keys in dump and cache
// the probability is n*n/2^65: with a hundred million, once in 3700 comparisons. A changed value has
// the same hash once in 2^32. The seed is random in each run, so that no one can choose keys or values
// that collide.
type digests struct {
	seed maphash.Seed
	// shelves has the digests by the first bits of their hashes, so that no slice has to grow by much
	// at once.
	shelves [][]digest
}

const shelfBits = 10

func newDigests() digests {
	// Notes are nearly all of the heap and have no pointers: more frequent garbage collection costs
	// little, and saves a third of the memory.
	debug.SetGCPercent(25)
	return digests{maphash.MakeSeed(), make([][]digest, 1<<shelfBits)}
}

func (s *digests) shelf(key uint64) *[]digest { return &s.shelves[key>>(64-shelfBits)] }

// digest makes a digest of an item.
func (s *digests) digest(i *item) digest {
	return digest{
		key:   maphash.Bytes(s.seed, i.key),
		value: uint32(maphash.Bytes(s.seed, i.value)),
		flags: i.flags, stale: i.stale, won: i.won, expires: uint32(min(i.expires, math.MaxUint32)),
	}
}

// add adds an item's digest. The caller calls sort before find.
func (s *digests) add(i *item) {
	n := s.digest(i)
	shelf := s.shelf(n.key)
	*shelf = append(*shelf, n)
}

// sort sorts the digests and returns their number. Of several items with one key the last stays, as in
// the cache.
func (s *digests) sort() (count uint64) {
	for at, shelf := range s.shelves {
		slices.Reverse(shelf)
		slices.SortStableFunc(shelf, func(a, b digest) int { return cmp.Compare(a.key, b.key) })
		s.shelves[at] = slices.CompactFunc(shelf, func(a, b digest) bool { return a.key == b.key })
		count += uint64(len(s.shelves[at]))
	}
	return count
}

// find returns the digest of a key, nil if there is none.
func (s *digests) find(key []byte) *digest {
	hash := maphash.Bytes(s.seed, key)
	shelf := *s.shelf(hash)
	at, ok := slices.BinarySearchFunc(shelf, hash, func(n digest, hash uint64) int { return cmp.Compare(n.key, hash) })
	if !ok {
		return nil
	}
	return &shelf[at]
}

// all yields every digest.
func (s *digests) all(yield func(*digest) bool) {
	for _, shelf := range s.shelves {
		for at := range shelf {
			if !yield(&shelf[at]) {
				return
			}
		}
	}
}

// differs returns how an item differs from another, "" if it does not. Times may differ by tolerance
// seconds.
func (n *digest) differs(o digest, tolerance int64) string {
	var what []string
	if n.value != o.value {
		what = append(what, "value")
	}
	if n.flags != o.flags {
		what = append(what, "flags")
	}
	later := int64(n.expires) - int64(o.expires)
	if (n.expires == 0) != (o.expires == 0) || max(later, -later) > tolerance {
		what = append(what, "ttl")
	}
	if n.stale != o.stale {
		what = append(what, "stale")
	}
	if n.won != o.won {
		what = append(what, "won")
	}
	return strings.Join(what, ",")
}

package e2e

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"testing"
)

// murmur is memcached's hash_algorithm=murmur3 (MurmurHash3_x86_32, seed 0) of a key whose length is a multiple of four.
func murmur(key string) uint32 {
	var h uint32
	for at := 0; at < len(key); at += 4 {
		k := binary.LittleEndian.Uint32([]byte(key[at:])) * 0xcc9e2d51
		h = bits.RotateLeft32(h^bits.RotateLeft32(k, 15)*0x1b873593, 13)*5 + 0xe6546b64
	}
	h ^= uint32(len(key))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// chain is the power of a table's size and items, most of which are in one of its buckets; its neighbours have a few as well.
var chain = sync.OnceValues(func() (power int, items map[string]entry) {
	const full = 300
	power, items = 13, map[string]entry{}
	long := strings.Repeat("k", 240)
	for i := 0; len(items) < full; i++ {
		key := fmt.Sprintf("%08x%s", i, long)
		bucket := murmur(key) & (1<<power - 1)
		if bucket == 100 || len(items) < full/10 && bucket >= 90 && bucket < 110 {
			items[key] = entry{value: fmt.Sprint(i)}
		}
	}
	return power, items
})

// However many keys are in one bucket, and however long they are, all are in the dump.
func TestDumpOfLongChains(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		power, want := chain()
		s := start(t, h.program, "-o", fmt.Sprintf("hashpower=%d,hash_algorithm=murmur3", power))
		s.store(want)
		path, d := s.dump()
		if d.Items != uint64(len(want)) {
			t.Errorf("%+v", d)
		}
		same(t, "the dump", dumped(t, path), want)
	})
}

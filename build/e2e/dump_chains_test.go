package e2e

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
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

// However many keys are in one bucket, and however long they are, all are in the dump.
func TestDumpOfLongChains(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		const power, chain = 13, 600
		want := map[string]entry{}
		long := strings.Repeat("k", 240)
		// Neighbours of what is full have a few as well.
		for i := 0; len(want) < chain+200; i++ {
			key := fmt.Sprintf("%08x%s", i, long)
			bucket := murmur(key) & (1<<power - 1)
			if bucket == 100 || len(want) < 200 && bucket >= 90 && bucket < 110 {
				want[key] = entry{value: fmt.Sprint(i), ttl: -1}
			}
		}
		s := start(t, h.program, "-o", fmt.Sprintf("hashpower=%d,hash_algorithm=murmur3", power))
		s.store(want)
		path, d := s.dump()
		if d.Items != uint64(len(want)) {
			t.Errorf("%+v", d)
		}
		same(t, "the dump", dumped(t, path), want)
	})
}

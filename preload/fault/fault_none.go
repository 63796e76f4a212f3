//go:build !faulty

package fault

import (
	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/host"
)

// BeforeAnswer does nothing here; see fault.go.
func BeforeAnswer() {}

// BeforeProof does nothing here.
func BeforeProof(*host.Facts) {}

// BeforeFixtures does nothing here.
func BeforeFixtures() {}

// Try makes the proof.
func Try(proof *cache.Proof) (*cache.Cache, error) { return proof.Try() }

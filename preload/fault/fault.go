//go:build faulty

package fault

/*
#cgo CFLAGS: -O2 -Wall
#include <limits.h>
#include <stdlib.h>

static void write_behind(void) {
    volatile char *volatile bytes = malloc(16); // the compiler does not know its size
    bytes[16] = 1;
    free((void *)bytes);
}

static void overflow(void) {
    volatile int most = INT_MAX;
    most = most + 1;
}
*/
import "C"

import (
	"os"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/host"
)

// asked is the fault that the file named in the environment asks for. The tests show with it that no fault
// of the library reaches memcached, the benchmark what a load is without some part.
func asked() string {
	text, _ := os.ReadFile(os.Getenv("MEMCACHED_BACKDOOR_FAULT"))
	return string(text)
}

// BeforeAnswer makes the library fail as it is asked to.
func BeforeAnswer() {
	switch asked() {
	case "address":
		C.write_behind()
	case "undefined":
		C.overflow()
	case "panic":
		panic("as asked")
	case "nil":
		var nothing *struct{ field int }
		nothing.field = 1
	}
}

// BeforeProof makes the hash table one that is not located.
func BeforeProof(facts *host.Facts) {
	if asked() == "unlocated" {
		facts.Table = host.Table{}
	}
}

// Try makes the proof come to nothing, or takes all descriptors for as long as it lasts.
func Try(proof *cache.Proof) (*cache.Cache, error) {
	switch asked() {
	case "hindered":
		return nil, cache.ErrHindered
	case "descriptors":
		for fd, err := unix.Dup(0); err == nil; fd, err = unix.Dup(0) {
			defer unix.Close(fd)
		}
	}
	return proof.Try()
}

// BeforeFixtures makes the loading of the fixtures fail as it is asked to.
func BeforeFixtures() {
	if asked() == "preload" {
		panic("as asked")
	}
}

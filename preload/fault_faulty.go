//go:build faulty

package main

/*
#include <limits.h>
#include <stdlib.h>

static void write_behind(void) {
    volatile char *volatile bytes = malloc(16); // of a size that no compiler sees
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

// fault is what the file named in the environment asks for.  A build that obeys shows
// in the tests that no fault of ours reaches memcached, and in the benchmark what a
// load is without something.
func fault() string {
	asked, _ := os.ReadFile(os.Getenv("MEMCACHED_BACKDOOR_FAULT"))
	return string(asked)
}

// beforeAnswer makes the library fail as it is asked to.
func beforeAnswer() {
	switch fault() {
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

// beforeProof makes the hash table one that is not located.
func beforeProof(facts *host.Facts) {
	if fault() == "unlocated" {
		facts.Table = host.Table{}
	}
}

// try makes the proof come to nothing, or takes all descriptors for as long as it lasts.
func try(proof *cache.Proof) (*cache.Cache, error) {
	switch fault() {
	case "hindered":
		return nil, cache.ErrHindered
	case "descriptors":
		for fd, err := unix.Dup(0); err == nil; fd, err = unix.Dup(0) {
			defer unix.Close(fd)
		}
	}
	return proof.Try()
}

// beforePreload makes the loading of the fixtures fail as it is asked to.
func beforePreload() {
	if fault() == "preload" {
		panic("as asked")
	}
}

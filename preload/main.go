// The library keeps the number of processors that the machine had at the start: Go's updates would
// cost two descriptors and a wake-up now and then.
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

/*
#include <stdint.h>
*/
import "C"

import (
	"memcached-backdoor/preload/server"
	_ "memcached-backdoor/preload/startup"
	"memcached-backdoor/preload/version"
)

// backdoor_serve serves the door for the life of the process, on a thread of its own
// (startup/lifecycle.h).
//
//export backdoor_serve
func backdoor_serve(door, program C.int, path *C.char, bias C.uintptr_t) {
	server.Serve(int(door), server.Program{File: int(program), Path: C.GoString(path), Bias: uintptr(bias)}, version.String())
}

// A c-shared library needs a main; it is never called.
func main() {}

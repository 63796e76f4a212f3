package main

/*
#cgo CFLAGS: -O2 -Wall -I${SRCDIR}/../include
#cgo LDFLAGS: -ldl
#include <stdint.h>

void backdoor_initialize(int argc, char **argv, char **envp, void *go);
*/
import "C"

import (
	"unsafe"

	_ "memcached-backdoor/preload/entry"
)

// For Go's linker: the name is C's, which entry calls.
var _ = unsafe.Pointer(C.backdoor_initialize)

// backdoor_serve loads the fixtures and serves the door for the life of the process, on a thread
// of our own.  door is the listening socket, or -1, program the file of memcached's program or
// a negative errno; it takes both over.  path is the program's, and bias its load bias.
//
//export backdoor_serve
func backdoor_serve(door, program C.int, path *C.char, bias C.uintptr_t) {
	serve(int(door), int(program), C.GoString(path), uintptr(bias))
}

package main

/*
#include <stdlib.h>

void backdoor_say(const char *line);
void say_release(void);
const char *workers_objection(void);
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// say writes one line on memcached's stderr.
func say(format string, args ...any) {
	line := C.CString(fmt.Sprintf(format, args...))
	defer C.free(unsafe.Pointer(line))
	C.backdoor_say(line)
}

// workersObjection says why memcached's workers cannot serve us, "" if they can.
func workersObjection() string { return C.GoString(C.workers_objection()) }

// releaseStderr lets go of the stderr that memcached was started with; from then
// on say uses the one it has.
func releaseStderr() { C.say_release() }

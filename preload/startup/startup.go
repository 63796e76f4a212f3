// Package startup runs before and around the Go runtime. All of it is C; this file is its only Go. See README.md here.
package startup

/*
#cgo CFLAGS: -O2 -Wall -I${SRCDIR}/../../include
#cgo LDFLAGS: -ldl
#include "env.h"
#include "fd.h"
#include "gate.h"
#include "lifecycle.h"
#include "log.h"
#include "program.h"
#include "shutdown.h"

#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	_ "memcached-backdoor/preload/entry"
)

// For Go's linker: entry calls it.
var _ = unsafe.Pointer(C.backdoor_initialize)

// Say writes one line to memcached's stderr, and never waits (log.h).
func Say(format string, args ...any) {
	line := C.CString(fmt.Sprintf(format, args...))
	defer C.free(unsafe.Pointer(line))
	C.say_line(line)
}

// ReleaseStderr closes the stderr that memcached was started with; from then on Say writes to the one that it has.
func ReleaseStderr() { C.log_release_stderr() }

// WorkersReason is the reason why memcached's workers cannot run jobs, or "".
func WorkersReason() string { return C.GoString(C.workers_reason()) }

// FirstDescriptor is the first of the descriptors that are reserved for the library; 0 if none are (fd.c).
func FirstDescriptor() int { return int(C.fd_first()) }

// DescriptorsForCalls is how many of them are for calls.
func DescriptorsForCalls() int { return int(C.fd_for_calls()) }

// Fixtures are the files to load before memcached accepts a connection, as the environment names them.
type Fixtures struct {
	Paths     string // a list; "": none
	Directory string // that they are relative to; "": not known
	Strict    bool   // memcached ends unless every row is stored
}

// FindFixtures reads them (env.h).
func FindFixtures() Fixtures {
	return Fixtures{C.GoString(C.env.fixtures), C.GoString(&C.env.directory[0]), bool(C.env.strict)}
}

// Complete is called when they are loaded: memcached accepts connections.
func (f Fixtures) Complete() { C.gate_open() }

// Incomplete is called when they cannot be loaded: memcached accepts connections, or ends, if they are strict.
func (f Fixtures) Incomplete() { C.gate_incomplete(C.bool(f.Strict)) }

// NotHeld logs the reason why connections are accepted before they are loaded; if they are strict, memcached ends.
func (f Fixtures) NotHeld(reason string) {
	text := C.CString(reason)
	defer C.free(unsafe.Pointer(text))
	C.gate_not_closed(C.bool(f.Strict), text)
}

// ConnectionsHeld says whether connections wait for the fixtures.
func ConnectionsHeld() bool { return bool(C.gate_is_closed()) }

// ConnectionsRefused says whether memcached ends because of strict fixtures.
func ConnectionsRefused() bool { return bool(C.gate_refuses()) }

// SaveFile is the absolute path at which the cache is saved when memcached ends; "": nowhere.
func SaveFile() string {
	if path := C.GoString(&C.env.save[0]); path != "" {
		return filepath.Clean(path)
	}
	return ""
}

// SaveLimit is how long memcached's end may wait for that; 0 if the variable is not a number of seconds.
func SaveLimit() time.Duration { return time.Duration(C.env.save_limit) * time.Second }

// AwaitEnd waits until memcached is told to end.
func AwaitEnd() { C.shutdown_await() }

// ProceedToEnd lets memcached end after AwaitEnd.
func ProceedToEnd() { C.shutdown_proceed() }

// Package cache puts items into memcached's cache, on memcached's own worker
// threads and with memcached's own functions.
//
// It is the only package that knows memcached's memory.  Its C works there
// (worker.c, store.c, prove.c); its Go prepares what the C shall do.
package cache

/*
#cgo CFLAGS: -O2 -Wall -I${SRCDIR}/../../include
#cgo LDFLAGS: -ldl
#include "backdoor.h"
*/
import "C"

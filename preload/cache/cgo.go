// Package cache puts items into memcached's cache, on memcached's own worker
// threads and with memcached's own functions.
//
// It is the only package that knows memcached's memory.  Its C runs there:
// worker.c and turn.c run jobs, and the jobs are those of store.c, walk.c, change.c and
// prove.c.  Its Go submits them and waits for them.
package cache

/*
#cgo CFLAGS: -O2 -Wall -I${SRCDIR}/../../include
#cgo LDFLAGS: -ldl
#include "backdoor.h"
*/
import "C"

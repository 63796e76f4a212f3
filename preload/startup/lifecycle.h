/* The library's life in C: load, memcached ready, exit.  preload/doc.go tells the whole of it. */
#ifndef LIFECYCLE_H
#define LIFECYCLE_H

#include "runtime.h"

#include <stdint.h>

/* What the loader calls, by way of preload/entry, in place of go, the Go runtime's initialiser. */
void backdoor_initialize(int argc, char **argv, char **envp, go_initializer *go);

/*
 * memcached is ready: its main thread is about to enter its loop.  Called once.  ungated is the
 * reason why connections cannot be held back there, or NULL.
 */
void memcached_ready(const char *ungated);

/* preload/main.go: loads the fixtures, and serves the door, for the life of the process.  door is
 * the listening socket or -1, program the file of memcached's program or a negative errno; both
 * are Go's from then on.  path is the program's path, bias its load bias. */
extern void backdoor_serve(int door, int program, char *path, uintptr_t bias);

#endif

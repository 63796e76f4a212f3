/* The Go runtime: initialised at load, started when memcached is ready. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <pthread.h>
#include <stdbool.h>

typedef void go_initializer(int argc, char **argv, char **envp);
typedef void *start_fn(void *arg);

/* Calls Go's initialiser, with an environment of its own, and keeps the thread that it asks for. */
void runtime_initialize(go_initializer *go);

/* Did Go's initialiser ask for its thread? */
bool runtime_is_held(void);

/*
 * Makes the thread that was kept, and one that runs enter, which may call Go.  Returns 0 or an
 * errno; then nothing of Go runs.
 */
int runtime_start(start_fn *enter);

/* What Go calls as pthread_create (runtime/cgo: gcc_libinit.c, gcc_linux_*.c). */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, start_fn *fn, void *arg);

#endif
